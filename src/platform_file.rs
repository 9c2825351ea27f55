//! The platform file: read at the start, and again when it changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tremplin_core::platform::{BUNDLED, Platform, PlatformError};

use crate::metrics::Metrics;

/// Why there is no platform to work with.
#[derive(Debug, thiserror::Error)]
pub enum PlatformFileError {
    /// Neither a bundled profile nor a file.
    #[error("there is no platform file {0:?}, and no such profile: there are {names}", names = BUNDLED.map(|profile| profile.name).join(", "))]
    Absent(PathBuf),
    /// The file cannot be read.
    #[error("failed to read the platform file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot work: `FILE:LINE:COLUMN: FIELD: REASON`.
    #[error("{}:{}: {}{}", path.display(), fault.location, if fault.field.is_empty() { String::new() } else { format!("{}: ", fault.field) }, fault.reason)]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where, which field, and why.
        fault: PlatformError,
    },
}

/// Where the platform's decisions come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A profile that travels with the program.
    Bundled(&'static str),
    /// A file.
    File(PathBuf),
}

impl Source {
    /// A bundled profile of that name, else a file.
    pub fn of(name: &str) -> Self {
        match BUNDLED.iter().find(|profile| profile.name == name) {
            Some(profile) => Self::Bundled(profile.text),
            None => Self::File(name.into()),
        }
    }

    /// Reads and checks it; gives the text as well.
    ///
    /// # Errors
    /// When it cannot be read, or says something that cannot work.
    pub fn load(&self) -> Result<(Platform, String), PlatformFileError> {
        let (text, path) = match self {
            Self::Bundled(text) => ((*text).to_owned(), PathBuf::from("bundled")),
            Self::File(path) => {
                let unreadable = |source: std::io::Error| match source.kind() {
                    std::io::ErrorKind::NotFound => PlatformFileError::Absent(path.clone()),
                    _ => PlatformFileError::Unreadable {
                        path: path.clone(),
                        source,
                    },
                };
                (std::fs::read_to_string(path).map_err(unreadable)?, path.clone())
            }
        };
        let platform = Platform::parse(&text).map_err(|fault| PlatformFileError::Invalid { path, fault })?;
        Ok((platform, text))
    }

    /// Looks at the file every `period`, for ever, and sends what it says when that changed. A file that cannot be
    /// used is told once by log and metric, and the last good one is kept. (By content: Kubernetes swaps a mounted
    /// ConfigMap by a link, and times of files in images mean nothing.)
    pub async fn follow(
        &self,
        mut last: String,
        platform: &watch::Sender<Arc<Platform>>,
        period: Duration,
        metrics: &Metrics,
    ) {
        let Self::File(path) = self else {
            return std::future::pending().await;
        };
        let mut failed = false;
        loop {
            tokio::time::sleep(period).await;
            match tokio::fs::read_to_string(path).await {
                Ok(text) if text == last => failed = false,
                Ok(text) => {
                    match Platform::parse(&text) {
                        Ok(new) => {
                            tracing::info!(path = %path.display(), "platform file changed");
                            platform.send_replace(Arc::new(new));
                        }
                        Err(error) => keep(&path.display().to_string(), &error, metrics),
                    }
                    (last, failed) = (text, false);
                }
                Err(error) if !failed => {
                    keep(&path.display().to_string(), &error, metrics);
                    failed = true;
                }
                Err(_) => {}
            }
        }
    }
}

fn keep(path: &str, error: &(dyn std::error::Error + 'static), metrics: &Metrics) {
    metrics.platform_errors.inc();
    tracing::error!(
        path,
        error,
        "the platform file cannot be used; the last good one is kept"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_profile_loads_by_its_name() {
        for profile in BUNDLED {
            assert!(Source::of(profile.name).load().is_ok(), "{}", profile.name);
        }
    }

    #[test]
    fn what_is_neither_a_profile_nor_a_file_is_told_with_the_profiles() {
        let error = Source::of("nowhere.yaml").load().unwrap_err().to_string();
        assert!(error.contains("nowhere.yaml") && error.contains("cpin-pax"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_edit_keeps_the_last_good_file() {
        let folder = std::env::temp_dir().join(format!("tremplin-platform-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("platform.yaml");
        let [generic, pax, _] = BUNDLED.map(|profile| profile.text);
        std::fs::write(&path, generic).unwrap();
        let source = Source::File(path.clone());
        let (first, text) = source.load().unwrap();
        let (sender, mut receiver) = watch::channel(Arc::new(first.clone()));
        let metrics = Arc::new(Metrics::default());
        let counted = metrics.clone();
        let task = tokio::spawn(async move { source.follow(text, &sender, Duration::from_secs(1), &counted).await });

        std::fs::write(&path, "sizes: nonsense").unwrap();
        while metrics.platform_errors.get() == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(**receiver.borrow_and_update(), first);

        std::fs::write(&path, pax).unwrap();
        receiver.changed().await.unwrap();
        assert_ne!(**receiver.borrow(), first);
        task.abort();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
