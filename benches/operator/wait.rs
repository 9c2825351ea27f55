//! Waiting for conditions, and what the system knows of a process.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tremplin_e2e::process::Process;

/// How often a condition is looked at, unless looking costs.
const POLL: Duration = Duration::from_millis(10);

/// Waits until the condition holds.
///
/// # Errors
/// When it fails, or does not hold within the deadline.
pub async fn until<F: AsyncFnMut() -> Result<bool>>(what: &str, deadline: Duration, condition: F) -> Result<()> {
    until_looking(POLL, what, deadline, condition).await
}

/// The same, looking at the condition so often.
///
/// # Errors
/// As [`until`].
pub async fn until_looking<F: AsyncFnMut() -> Result<bool>>(
    poll: Duration,
    what: &str,
    deadline: Duration,
    mut condition: F,
) -> Result<()> {
    let end = Instant::now() + deadline;
    while !condition().await? {
        if Instant::now() > end {
            bail!("not within {deadline:?}: {what}");
        }
        tokio::time::sleep(poll).await;
    }
    Ok(())
}

/// The time that a process was on a processor, all its threads so far, in steps of 10 ms.
pub fn whole_processor_time(pid: i32) -> Result<Duration> {
    /// Of what proc(5) calls clock ticks: 100 per second on Linux, whatever the kernel's own.
    const TICK: Duration = Duration::from_millis(10);
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    // The name, in brackets, may hold spaces. After it come the fields from the third on; 14 and 15 count.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks: Option<Vec<u32>> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().ok())
        .collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 2);
    let ticks = ticks.with_context(|| format!("{path} is not as proc(5) says"))?;
    Ok(TICK * ticks.iter().sum())
}

/// The time that the living threads of a process were on a processor. Of ended threads nothing is told, so between
/// two looks no thread may end; the programs measured here keep theirs.
pub fn processor_time(process: &Process) -> Result<Duration> {
    let path = format!("/proc/{}/task", process.identity().pid);
    let mut nanoseconds = 0;
    for thread in fs::read_dir(&path).with_context(|| format!("failed to read {path}"))? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let first = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        nanoseconds += first.with_context(|| format!("{} is not as proc(5) says", path.display()))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
