//! What the demo says at its end.

use std::path::Path;

use anyhow::Result;

use super::{Site, Target, app};

/// What the demo has seen.
pub(super) struct Seen {
    /// The app's URL.
    pub url: String,
    /// What was answered there, where this machine reaches it.
    pub answer: Option<String>,
    /// The command that resolved the team's name, and what it printed.
    pub resolved: Option<(String, String)>,
}

/// Prints the app's URL, its state, the team's name and what to try next, to stdout.
pub(super) async fn say(site: &Site, target: &Target, seen: &Seen) -> Result<()> {
    let apps = site.cluster.kubectl(&["get", "startupapps"]).await?;
    println!("\n{}", seen.url);
    match &seen.answer {
        Some(answer) => println!("  {answer}\n"),
        None => println!("  answers once this name leads to the cluster's ingress controller\n"),
    }
    println!("$ kubectl get startupapps\n{apps}");
    if let Some((command, printed)) = &seen.resolved {
        let records = site.cluster.kubectl(&["get", "dnsrecords"]).await?;
        println!("$ kubectl get dnsrecords\n{records}\n$ {command}\n{printed}");
    }
    println!(
        "To go on, in this shell:\n\n  . {}\n",
        relative(&site.folder.join("env")).display()
    );
    for (what, command) in suggestions(&site.sample_app) {
        println!("  # {what}\n  {command}\n");
    }
    let stop = match target {
        Target::Local(_) => "make demo-down",
        Target::Current { .. } => "make demo-down CLUSTER=current",
    };
    println!("To stop: {stop}");
    Ok(())
}

/// Five things to try, and the command for each. They work as printed once `env` is read.
fn suggestions(sample_app: &str) -> [(&'static str, String); 5] {
    let name = app::NAME;
    let patch = |spec: &str| format!("kubectl patch startupapp {name} --type=merge -p '{{\"spec\":{spec}}}'");
    [
        (
            "change the image, and see it roll",
            patch(&format!("{{\"image\":\"{sample_app}:1.1.0\"}}")),
        ),
        (
            "restart, one instance after the other",
            format!("kubectl tremplin restart startupapp/{name}"),
        ),
        (
            "run the cron now",
            format!("kubectl tremplin run-cron startupapp/{name} tidy"),
        ),
        (
            "break the release: the version before it goes on serving",
            patch("{\"release\":{\"command\":[\"/sample-app\",\"release\",\"--fail\",\"no such table: users\"]}}"),
        ),
        ("ask what is wrong", format!("kubectl tremplin why startupapp/{name}")),
    ]
}

/// Short where it can be: a path below the folder that the reader is in.
fn relative(path: &Path) -> &Path {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path)
}
