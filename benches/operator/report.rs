//! The table that is printed.

use std::fmt::Write as _;
use std::time::Duration;

/// One figure.
#[derive(Clone, Debug)]
pub struct Row {
    figure: String,
    reached: String,
    target: String,
    reference: String,
    met: Option<bool>,
}

impl Row {
    /// A figure without a target.
    pub fn new(figure: impl Into<String>, reached: impl Into<String>) -> Self {
        Self {
            figure: figure.into(),
            reached: reached.into(),
            target: String::new(),
            reference: String::new(),
            met: None,
        }
    }

    /// What it should be, and whether it is.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>, met: bool) -> Self {
        self.target = target.into();
        self.met = Some(met);
        self
    }

    /// What something else did in the same run.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        }
    }

    fn cells(&self) -> [&str; 5] {
        [
            &self.figure,
            &self.reached,
            &self.target,
            self.verdict(),
            &self.reference,
        ]
    }
}

/// The rows as a table of Markdown, whose columns also align as they are.
pub fn table(rows: &[Row]) -> String {
    let heading = ["figure", "reached", "target", "", "reference, same run"];
    let lines: Vec<_> = std::iter::once(heading).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [0; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let rule = format!(
        "|{}\n",
        widths.map(|width| format!("{}|", "-".repeat(width + 2))).concat()
    );
    let mut text = String::new();
    for (number, line) in lines.into_iter().enumerate() {
        for (width, cell) in widths.iter().zip(line) {
            // Writing to a string does not fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            text.push_str(&rule);
        }
    }
    text
}

/// The one in the middle; of two, the greater. Nothing for no number.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The median, and between what the others are.
pub fn spread(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    if numbers.len() < 2 {
        return format!("{:.2}", median(numbers));
    }
    format!("{:.2} ({least:.2} to {most:.2})", median(numbers))
}

/// As people say it.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

/// As people say it.
pub fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

/// How many of something happened per second.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// One quantity of bytes as a multiple of another.
#[allow(clippy::cast_precision_loss, reason = "bytes here are far below 2^52")]
pub fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}
