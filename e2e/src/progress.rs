//! What is going on, told on stderr: one line when a step starts, one every few seconds while it
//! lasts, one with the elapsed time when it is over. Output for programs (stdout) is never touched.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// Steps shorter than this are not worth a second line.
const QUIET: Duration = Duration::from_secs(2);
/// Time between two reminders that a step is still running.
const REMINDER: Duration = Duration::from_secs(15);

/// A step that is being done. Dropping it without [`Step::done`] says nothing more: the error does.
pub struct Step {
    name: String,
    started: Instant,
    reminder: JoinHandle<()>,
}

impl Step {
    /// Says that `name` starts, and that it still runs every 15 seconds.
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        let started = Instant::now();
        eprintln!("  … {name}");
        let reminder = tokio::spawn({
            let name = name.clone();
            async move {
                loop {
                    tokio::time::sleep(REMINDER).await;
                    eprintln!("  … {name} ({})", seconds(started.elapsed()));
                }
            }
        });
        Self {
            name,
            started,
            reminder,
        }
    }

    /// Says that the step is over, and how long it took if that was noticeable.
    pub fn done(self) {
        if self.started.elapsed() >= QUIET {
            eprintln!("  ✓ {} ({})", self.name, seconds(self.started.elapsed()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.reminder.abort();
    }
}

/// A duration as people say it: `3.2 s`, `6 min 04`.
pub fn seconds(elapsed: Duration) -> String {
    if elapsed.as_secs() < 60 {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        format!("{} min {:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(seconds(Duration::from_millis(3240)), "3.2 s");
        assert_eq!(seconds(Duration::from_secs(364)), "6 min 04");
    }
}
