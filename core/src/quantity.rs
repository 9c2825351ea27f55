//! CPU and memory quantities, printed as the API server prints them.
//!
//! The API server rewrites what it stores: `1000m` becomes `1`, `0.5Gi` becomes `512Mi`. A desired object that says
//! `1000m` would look drifted for ever, so every quantity passes through here first. The canonical form is that of
//! `k8s.io/apimachinery/pkg/api/resource` after the rounding to thousandths that `v1` applies to resource lists.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul, Sub};
use std::str::FromStr;

/// A non-negative amount: of CPUs, of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    thousandths: i128,
    format: Format,
}

/// How a quantity was written, which decides how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Powers of 1000: `m`, none, `k`, `M`, `G`, `T`, `P`, `E`.
    Decimal,
    /// Powers of 1024: `Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei`.
    Binary,
    /// Powers of ten: `e3`.
    Exponent,
}

/// A text that is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity such as 250m, 1, 256Mi or 1.5Gi")]
pub struct QuantityError(String);

/// The largest amount that Kubernetes keeps exactly.
const MAX_THOUSANDTHS: i128 = i64::MAX as i128 * 1000;

const DECIMAL: [(&str, i128); 7] = [
    ("", 1000),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
];
const BINARY: [(&str, i128); 6] = [
    ("Ki", 1000 << 10),
    ("Mi", 1000 << 20),
    ("Gi", 1000 << 30),
    ("Ti", 1000 << 40),
    ("Pi", 1000 << 50),
    ("Ei", 1000 << 60),
];

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        thousandths: 0,
        format: Format::Decimal,
    };

    /// The amount in thousandths: millicores for CPU, thousandths of a byte for memory.
    pub fn thousandths(self) -> i128 {
        self.thousandths
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.thousandths == 0
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text).ok_or_else(|| QuantityError(text.chars().take(40).collect()))
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (unit, format) = unit(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 22 || fraction.len() > 12 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = digits.checked_mul(unit.numerator)?;
    let divisor = scale.checked_mul(unit.denominator)?;
    let thousandths = scaled.checked_add(divisor - 1)? / divisor;
    (thousandths <= MAX_THOUSANDTHS).then_some(Quantity { thousandths, format })
}

/// A unit in thousandths, as a fraction.
struct Unit {
    numerator: i128,
    denominator: i128,
}

fn unit(suffix: &str) -> Option<(Unit, Format)> {
    let whole = |numerator, format| {
        Some((
            Unit {
                numerator,
                denominator: 1,
            },
            format,
        ))
    };
    if let Some((_, size)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return whole(*size, Format::Decimal);
    }
    if let Some((_, size)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return whole(*size, Format::Binary);
    }
    match suffix {
        "m" => whole(1, Format::Decimal),
        "u" => Some((
            Unit {
                numerator: 1,
                denominator: 1000,
            },
            Format::Decimal,
        )),
        "n" => Some((
            Unit {
                numerator: 1,
                denominator: 1_000_000,
            },
            Format::Decimal,
        )),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = |by: i32| 10_i128.checked_pow(u32::try_from(by).ok()?);
            let unit = match exponent + 3 {
                by if by >= 0 => Unit {
                    numerator: power(by.min(25))?,
                    denominator: 1,
                },
                by => Unit {
                    numerator: 1,
                    denominator: power(by.saturating_neg().min(25))?,
                },
            };
            (exponent.abs() <= 18).then_some((unit, Format::Exponent))
        }
    }
}

/// The canonical form: the largest unit that leaves a whole number.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.thousandths;
        if amount == 0 {
            return f.write_str("0");
        }
        // Below 1024, and for what is no whole number, Kubernetes falls back to decimal units rather than round. What no
        // binary unit divides would be written without one, and then be decimal when it is read again: it is at once.
        if self.format == Format::Binary
            && amount >= 1024 * 1000
            && amount % 1000 == 0
            && let Some((name, size)) = BINARY.iter().rev().find(|(_, size)| amount % size == 0)
        {
            return write!(f, "{}{name}", amount / size);
        }
        match DECIMAL
            .iter()
            .enumerate()
            .rev()
            .find(|(_, (_, size))| amount % size == 0)
        {
            Some((0, (_, size))) => write!(f, "{}", amount / size),
            Some((index, (_, size))) if self.format == Format::Exponent => write!(f, "{}e{}", amount / size, index * 3),
            Some((_, (name, size))) => write!(f, "{}{name}", amount / size),
            None if self.format == Format::Exponent => write!(f, "{amount}e-3"),
            None => write!(f, "{amount}m"),
        }
    }
}

/// Two quantities are equal when they are the same amount, however written.
impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.thousandths == other.thousandths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.thousandths.cmp(&other.thousandths)
    }
}

/// The sum is printed as the first summand that is not nothing. It stops at the largest amount rather than overflow.
impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self {
            thousandths: (self.thousandths + other.thousandths).min(MAX_THOUSANDTHS),
            format,
        }
    }
}

/// What is left; nothing when more is taken than there is.
impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            thousandths: (self.thousandths - other.thousandths).max(0),
            format: self.format,
        }
    }
}

impl Mul<u32> for Quantity {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self {
            thousandths: (self.thousandths * i128::from(times)).min(MAX_THOUSANDTHS),
            format: self.format,
        }
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>().unwrap().to_string()
    }

    #[test]
    fn a_quantity_is_printed_as_the_api_server_prints_it() {
        for (written, stored) in [
            ("1000m", "1"),
            ("250m", "250m"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("2000", "2k"),
            ("0", "0"),
            ("0m", "0"),
            ("0.1", "100m"),
            ("100u", "1m"),
            ("0.5m", "1m"),
            ("1e3", "1e3"),
            ("1500e-3", "1500e-3"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1.5Gi", "1536Mi"),
            ("1000Mi", "1000Mi"),
            ("512", "512"),
            ("0.1Gi", "107374182400m"),
            ("0.5Ki", "512"),
            ("1Ki", "1Ki"),
            ("1025", "1025"),
            ("62.5Ki", "64k"),
            ("1000000", "1M"),
            ("1G", "1G"),
            ("1.5G", "1500M"),
            ("1000000000", "1G"),
            ("2Ti", "2Ti"),
            ("10e0", "10"),
            ("1E", "1E"),
        ] {
            assert_eq!(canonical(written), stored, "{written}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in [
            "",
            ".",
            "-1",
            "+1",
            "1 ",
            "1gi",
            "1GI",
            "Mi",
            "1.2.3",
            "1e",
            "1e99",
            "99999999999999999999",
            "0x1",
            "1,5",
            "½",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_keep_the_unit_of_the_first() {
        let sum: Quantity = ["0", "256Mi", "1Gi"]
            .iter()
            .map(|text| text.parse::<Quantity>().unwrap())
            .sum();
        assert_eq!(sum.to_string(), "1280Mi");
        assert_eq!(("250m".parse::<Quantity>().unwrap() * 4).to_string(), "1");
        assert_eq!(
            ("1".parse::<Quantity>().unwrap() - "250m".parse().unwrap()).to_string(),
            "750m"
        );
        assert_eq!(
            ("1".parse::<Quantity>().unwrap() - "2".parse().unwrap()).to_string(),
            "0"
        );
    }

    prop_compose! {
        fn quantity()(number in "[0-9]{1,6}(\\.[0-9]{1,3})?", unit in "(m|k|M|G|T|Ki|Mi|Gi|Ti|e3|e-2)?") -> String {
            format!("{number}{unit}")
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_the_same_amount_and_stays(text in quantity()) {
            let read: Quantity = text.parse().unwrap();
            let again: Quantity = read.to_string().parse().unwrap();
            prop_assert_eq!(read, again);
            prop_assert_eq!(read.to_string(), again.to_string());
        }

        #[test]
        fn equal_amounts_of_one_unit_are_printed_alike(count in 1..10_000u32, unit in "(m|k|M|Ki|Mi|Gi)") {
            let one: Quantity = format!("1{unit}").parse().unwrap();
            prop_assert_eq!((one * count).to_string(), canonical(&format!("{count}{unit}")));
        }

        #[test]
        fn addition_does_not_depend_on_the_order(a in quantity(), b in quantity(), c in quantity()) {
            let [a, b, c] = [a, b, c].map(|text| text.parse::<Quantity>().unwrap());
            prop_assert_eq!(a + b, b + a);
            prop_assert_eq!((a + b) + c, a + (b + c));
            prop_assert!(a + b >= a);
            prop_assert_eq!((a + b) - b, a);
        }
    }
}
