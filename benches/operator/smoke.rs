//! The part of the figures that no machine can excuse: counts. Each is a rule, told as tests are.

use crate::Figures;
use crate::at_rest::silent;
use crate::ledger::{Ledger, Part};

/// A rule, and whether it holds.
pub type Rule = (&'static str, bool);

/// The rules of apps.
pub fn rules(figures: &Figures) -> Vec<Rule> {
    let children = figures.recipe.count(Part::Child);
    let (paced, started) = (&figures.paced.0, &figures.started);
    let bursts = || figures.bursts.iter().map(|pair| &pair.operator.ledger);
    vec![
        (
            "an_app_costs_its_children_two_statuses_and_one_event",
            cheap(paced, children),
        ),
        (
            "in_a_burst_an_app_costs_no_more",
            bursts().all(|burst| cheap(burst, children)),
        ),
        (
            "apps_are_created_without_reading_and_without_conflict",
            blind(paced) && bursts().all(blind),
        ),
        ("a_start_with_apps_writes_nothing", started.asked.requests() == 0),
        ("at_rest_nothing_is_asked", silent(&started.rest)),
    ]
}

/// Prints each rule and whether it holds; whether all do.
pub fn tell(rules: &[Rule]) -> bool {
    for (rule, holds) in rules {
        println!("test {rule} ... {}", if *holds { "ok" } else { "FAILED" });
    }
    let passed = rules.iter().filter(|(_, holds)| *holds).count();
    let failed = rules.len() - passed;
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed");
    failed == 0
}

fn cheap(ledger: &Ledger, children: usize) -> bool {
    let mut apps = ledger.apps.values();
    !ledger.apps.is_empty() && apps.all(|app| app.children == children && app.statuses <= 2 && app.events <= 1)
}

fn blind(ledger: &Ledger) -> bool {
    ledger.gets + ledger.lists + ledger.conflicts == 0
}
