//! `explain`: what a reason means.

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use tremplin_core::app::Reason;

use super::options::{Form, Output};
use super::{Exit, Io};

/// Say when a reason is set and what to do; without a reason, list them all
#[derive(Args, Debug)]
pub struct Arguments {
    /// A reason, as `kubectl get startupapps` shows it under STATUS
    reason: Option<String>,

    #[command(flatten)]
    output: Output,
}

/// A reason, for programs.
#[derive(Serialize)]
struct Explained {
    reason: &'static str,
    when: &'static str,
    action: &'static str,
}

impl From<&Reason> for Explained {
    fn from(reason: &Reason) -> Self {
        Self {
            reason: reason.as_str(),
            when: reason.when(),
            action: reason.action(),
        }
    }
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let Output { form } = arguments.output;
    let Some(asked) = &arguments.reason else {
        if form != Form::Table {
            let all: Vec<Explained> = Reason::ALL.iter().map(Explained::from).collect();
            arguments.output.print(&all, io)?;
            return Ok(Exit::Fine);
        }
        let widest = Reason::ALL
            .iter()
            .map(|reason| reason.as_str().len())
            .max()
            .unwrap_or_default();
        for reason in Reason::ALL {
            writeln!(io.output, "{:widest$}  {}", reason.as_str(), reason.when())?;
        }
        return Ok(Exit::Fine);
    };
    let Some(reason) = Reason::ALL
        .iter()
        .find(|reason| reason.as_str().eq_ignore_ascii_case(asked))
    else {
        bail!("there is no reason {asked:?}: `tremplin explain` lists them all");
    };
    if form != Form::Table {
        arguments.output.print(&Explained::from(reason), io)?;
        return Ok(Exit::Fine);
    }
    writeln!(
        io.output,
        "{}\n\n  When: {}\n  Do:   {}",
        reason.as_str(),
        reason.when(),
        reason.action()
    )?;
    Ok(Exit::Fine)
}
