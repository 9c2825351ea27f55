//! What the person who installs the controller decides. The only reader of flags and environment variables.
//!
//! Every flag has a variable `TREMPLIN_<FLAG>`; a flag wins. What the *platform team* decides about apps is not here
//! but in the platform file.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// The settings of `tremplin controller`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// What the platform team decides.
    #[command(flatten)]
    pub platform: PlatformChoice,

    /// How often the platform file is looked at for changes
    #[arg(long, env = "TREMPLIN_PLATFORM_POLL", default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub platform_poll: Duration,

    /// The controller's own namespace, where the lease and the content key are. Absent: that of its service account
    #[arg(long, env = "TREMPLIN_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// What tells this cluster from others that serve the same DNS zones. Absent: made once, and kept with the content key
    #[arg(long, env = "TREMPLIN_CLUSTER", value_name = "NAME", value_parser = cluster_name)]
    pub cluster: Option<String>,

    /// The name of the lease that lets one replica write
    #[arg(
        long,
        env = "TREMPLIN_LEASE_NAME",
        default_value = "tremplin-controller",
        value_name = "NAME"
    )]
    pub lease_name: String,

    /// For how long a lease is valid after it was renewed; whole seconds, at least 3. Another replica takes over at most this long
    /// after this one died
    #[arg(long, env = "TREMPLIN_LEASE", default_value = "15s", value_name = "TIME", value_parser = lease_duration)]
    pub lease: Duration,

    /// Who holds the lease: unique among the replicas. Absent: the host name and a random suffix
    #[arg(long, env = "TREMPLIN_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,

    /// Where /healthz, /readyz and /metrics answer; /log-level answers to callers on the same host only
    #[arg(
        long,
        env = "TREMPLIN_ADMIN_ADDRESS",
        default_value = "[::]:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub admin_address: SocketAddr,

    /// How many objects are worked on at the same time
    #[arg(long, env = "TREMPLIN_CONCURRENCY", default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,

    /// How long the work on one object may take
    #[arg(long, env = "TREMPLIN_DEADLINE", default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub deadline: Duration,

    /// How often an object that nothing happened to is looked at again; from watched state, without a request
    #[arg(long, env = "TREMPLIN_RESYNC", default_value = "1h", value_name = "TIME", value_parser = duration)]
    pub resync: Duration,

    /// The wait before a failed object is tried again; doubled at each failure in a row
    #[arg(long, env = "TREMPLIN_BACKOFF", default_value = "500ms", value_name = "TIME", value_parser = duration)]
    pub backoff: Duration,

    /// The longest wait before a failed object is tried again
    #[arg(long, env = "TREMPLIN_BACKOFF_CAP", default_value = "5m", value_name = "TIME", value_parser = duration)]
    pub backoff_cap: Duration,

    /// The time between two rolls that no team asked for: those of a new operator or platform file
    #[arg(long, env = "TREMPLIN_ROLL_INTERVAL", default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub roll_interval: Duration,

    /// After how long a watch is opened anew; whole seconds
    #[arg(long, env = "TREMPLIN_WATCH_TIMEOUT", default_value = "290s", value_name = "TIME", value_parser = whole_seconds)]
    pub watch_timeout: Duration,

    /// The form of the log
    #[arg(long, env = "TREMPLIN_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives such as `info,tremplin::cluster=debug`
    #[arg(long, env = "TREMPLIN_LOG", default_value = "info", value_name = "LEVEL|DIRECTIVES")]
    pub log: String,
}

/// Where the platform team's decisions are: the same flag and variable for the operator and the command line.
#[derive(Args, Clone, Debug)]
pub struct PlatformChoice {
    /// The platform file, or the name of a bundled profile: generic, cpin-pax, cpin-mi
    #[arg(
        long,
        env = "TREMPLIN_PLATFORM",
        default_value = "generic",
        value_name = "FILE|PROFILE"
    )]
    pub platform: String,
}

/// The form of a line of the log.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// A length of time: a number and one of `ms`, `s`, `m`, `h`.
///
/// # Errors
/// When it is not one, is zero, or is more than a year.
pub fn duration(text: &str) -> Result<Duration, String> {
    const YEAR: u64 = 365 * 24 * 3_600_000;
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    if number.is_empty() || factor == 0 {
        return Err(format!(
            "`{text}` is no length of time: write a number and ms, s, m or h, such as 30s"
        ));
    }
    let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    match milliseconds {
        Some(0) => Err("it must be longer than nothing".to_owned()),
        Some(milliseconds) if milliseconds <= YEAR => Ok(Duration::from_millis(milliseconds)),
        _ => Err(format!("`{text}` is too long: at most a year")),
    }
}

/// It is written into DNS zones.
fn cluster_name(text: &str) -> Result<String, String> {
    let fits = (1..=63).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("at most 63 letters without accents, digits, -, . and _".to_owned())
    }
}

/// Where a smaller unit would be cut off.
fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.subsec_nanos() != 0 {
        return Err(format!("`{text}` is not a number of whole seconds: write 1s or more"));
    }
    Ok(duration)
}

/// The API keeps a lease's duration in whole seconds; it is renewed after a third of it, so three are the least.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = whole_seconds(text)?;
    if duration.as_secs() < 3 {
        return Err(format!("`{text}` is too short for a lease: at least 3s"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn without_flags_every_setting_has_a_careful_default() {
        let settings = Program::try_parse_from(["tremplin"]).unwrap().settings;
        assert_eq!(settings.platform.platform, "generic");
        assert_eq!(settings.lease, Duration::from_secs(15));
        assert_eq!(settings.backoff_cap, Duration::from_mins(5));
    }

    #[test]
    fn lengths_of_time_are_read_and_nonsense_is_refused() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for nonsense in ["", "5", "s", "-1s", "1.5s", "0s", "9999999h", "99999999999999999999s"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
        assert!(duration("s").unwrap_err().contains("is no length of time"));
        assert!(whole_seconds("1500ms").unwrap_err().contains("whole seconds"));
        assert_eq!(whole_seconds("2000ms"), Ok(Duration::from_secs(2)));
    }

    #[test]
    fn a_lease_shorter_than_its_renewal_is_refused() {
        assert!(lease_duration("2s").is_err());
        assert!(lease_duration("3500ms").is_err());
        assert_eq!(lease_duration("3s"), Ok(Duration::from_secs(3)));
    }
}
