//! `explain`: what a reason means.

use anyhow::bail;
use clap::Args;
use tremplin_core::app::Reason;

use super::{Exit, Io};

/// Say when a reason is set and what to do; without a reason, list them all
#[derive(Args, Debug)]
pub struct Arguments {
    /// A reason, as `kubectl get startupapps` shows it under STATUS
    reason: Option<String>,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let Some(asked) = &arguments.reason else {
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
    writeln!(
        io.output,
        "{}\n\n  When: {}\n  Do:   {}",
        reason.as_str(),
        reason.when(),
        reason.action()
    )?;
    Ok(Exit::Fine)
}
