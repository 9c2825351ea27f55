//! `explain`: what a reason means.

use anyhow::bail;
use clap::Args;
use tremplin_core::reason::{Meaning, meanings};

use super::options::{Form, Output};
use super::{Exit, Io};

/// Say when a reason is set and what to do; without a reason, list them all
#[derive(Args, Debug)]
pub struct Arguments {
    /// A reason, as `kubectl get` shows it under STATUS
    reason: Option<String>,

    #[command(flatten)]
    output: Output,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut found = meanings();
    if let Some(asked) = &arguments.reason {
        found.retain(|meaning| meaning.reason.eq_ignore_ascii_case(asked));
        if found.is_empty() {
            bail!("there is no reason {asked:?}: `tremplin explain` lists them all");
        }
    }
    if arguments.output.form != Form::Table {
        arguments.output.print(&found, io)?;
    } else if arguments.reason.is_some() {
        explain(&found, io)?;
    } else {
        list(&found, io)?;
    }
    Ok(Exit::Fine)
}

/// One word, once for each meaning that it has.
fn explain(found: &[Meaning], io: &mut Io<'_>) -> anyhow::Result<()> {
    for (index, meaning) in found.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let kinds = meaning.kinds.join(", ");
        writeln!(
            io.output,
            "{gap}{} ({kinds})\n\n  When: {}\n  Do:   {}",
            meaning.reason, meaning.when, meaning.action
        )?;
    }
    Ok(())
}

fn list(all: &[Meaning], io: &mut Io<'_>) -> anyhow::Result<()> {
    let widest = all.iter().map(|meaning| meaning.reason.len()).max().unwrap_or_default();
    for (index, group) in all.chunk_by(|one, other| one.kinds == other.kinds).enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let kinds = group
            .first()
            .map(|meaning| meaning.kinds.join(", "))
            .unwrap_or_default();
        writeln!(io.output, "{gap}{kinds}:")?;
        for meaning in group {
            writeln!(io.output, "  {:widest$}  {}", meaning.reason, meaning.when)?;
        }
    }
    Ok(())
}
