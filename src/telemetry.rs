//! The log: its form, and its level while the program runs.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::settings::LogFormat;

/// Always added. `kube_client` logs at error level what it then returns as an error, and the driver logs that once;
/// and when an answer does not decode it logs the whole answer, which may be a Secret.
const QUIET: &str = "kube_client=off,kube_lease_manager=warn,tower=warn,hyper=warn";

/// Changes what is logged.
#[derive(Clone)]
pub struct LogLevel(Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

/// Why what is logged could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LogLevelError {
    /// The directives do not parse.
    #[error("{0:?} is no level and no directives, such as info or info,tremplin::cluster=debug: {1}")]
    Directives(String, ParseError),
    /// The subscriber is gone.
    #[error("failed to change the filter")]
    Gone(#[from] reload::Error),
}

impl LogLevel {
    /// Logs what `directives` say from now on: a level, or `target=level` pairs.
    ///
    /// # Errors
    /// When the directives do not parse; then nothing changes.
    pub fn set(&self, directives: &str) -> Result<(), LogLevelError> {
        Ok((self.0)(filter(directives)?)?)
    }

    /// For a program that set up its log itself: nothing can be changed.
    pub fn fixed() -> Self {
        Self(Arc::new(|_| Ok(())))
    }
}

fn filter(directives: &str) -> Result<EnvFilter, LogLevelError> {
    let parsed = EnvFilter::builder().parse(format!("{QUIET},{directives}"));
    parsed.map_err(|error| LogLevelError::Directives(directives.to_owned(), error))
}

/// Starts logging to standard error.
///
/// # Errors
/// When the directives do not parse. A log that runs already is left as it is.
pub fn start(format: LogFormat, directives: &str) -> Result<LogLevel, LogLevelError> {
    let (filter, handle) = reload::Layer::<_, Registry>::new(filter(directives)?);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A file or a collector keeps the bytes of the colours.
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    // A contained panic is a line of the log like any other, with its place.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, message = panic.payload_as_str().unwrap_or("no message"), "panic");
    }));
    let _already_running = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(LogLevel(Arc::new(move |filter| handle.reload(filter))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_checked_before_anything_changes() {
        assert!(filter("debug").is_ok());
        assert!(filter("info,tremplin::cluster=trace").is_ok());
        let error = anyhow::Error::from(filter("tremplin=loud").unwrap_err());
        assert_eq!(format!("{error:#}").matches("error parsing").count(), 1, "{error:#}");
    }
}
