//! Owns one value of a row: its type, and its text and binary forms.

use std::borrow::Cow;

/// A type of a column, as PgBouncer uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `text`
    Text,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `numeric`
    Numeric,
}

impl Type {
    /// Its oid (`pg_type.dat`).
    pub(crate) fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int4 => 23,
            Self::Int8 => 20,
            Self::Numeric => 1700,
        }
    }

    /// Its size in bytes; -1 if that varies.
    pub(crate) fn len(self) -> i16 {
        match self {
            Self::Int4 => 4,
            Self::Int8 => 8,
            Self::Text | Self::Numeric => -1,
        }
    }

    /// SQL's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Numeric => "numeric",
        }
    }
}

/// How a value is sent: the format codes of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

impl Format {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum<'a> {
    /// SQL's NULL.
    Null,
    /// `text`
    Text(Cow<'a, str>),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `numeric`
    Numeric(u64),
}

impl Datum<'_> {
    /// Appends the value in this form; false for NULL. A NUL would cut a text short in the client:
    /// what stands behind one is left out.
    pub(crate) fn write(&self, format: Format, out: &mut Vec<u8>) -> bool {
        match (self, format) {
            (Self::Null, _) => return false,
            (Self::Text(text), _) => {
                let text = text.split('\0').next().unwrap_or_default();
                out.extend_from_slice(text.as_bytes());
            }
            (Self::Int4(value), Format::Text) => {
                out.extend_from_slice(value.to_string().as_bytes())
            }
            (Self::Int8(value), Format::Text) => {
                out.extend_from_slice(value.to_string().as_bytes())
            }
            (Self::Numeric(value), Format::Text) => {
                out.extend_from_slice(value.to_string().as_bytes());
            }
            (Self::Int4(value), Format::Binary) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Int8(value), Format::Binary) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Numeric(value), Format::Binary) => numeric(*value, out),
        }
        true
    }
}

/// `numeric_send` (numeric.c): digits of base 10000, the weight of the first, sign and scale.
fn numeric(value: u64, out: &mut Vec<u8>) {
    let mut digits = Vec::new();
    let mut rest = value;
    while rest > 0 {
        digits.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    let weight = digits.len().saturating_sub(1) as i16;
    let trailing = digits.iter().take_while(|digit| **digit == 0).count();
    let shown = &digits[trailing..];
    for field in [shown.len() as i16, weight, 0, 0] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    for digit in shown.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// What can stand in a row.
pub(crate) trait Value {
    const TYPE: Type;
    fn datum(&self) -> Datum<'_>;
}

impl Value for String {
    const TYPE: Type = Type::Text;
    fn datum(&self) -> Datum<'_> {
        Datum::Text(Cow::Borrowed(self))
    }
}

impl Value for &'static str {
    const TYPE: Type = Type::Text;
    fn datum(&self) -> Datum<'_> {
        Datum::Text(Cow::Borrowed(self))
    }
}

impl<V: Value> Value for Option<V> {
    const TYPE: Type = V::TYPE;
    fn datum(&self) -> Datum<'_> {
        self.as_ref().map_or(Datum::Null, Value::datum)
    }
}

/// Counts are `integer`s, as far as they fit.
impl Value for u32 {
    const TYPE: Type = Type::Int4;
    fn datum(&self) -> Datum<'_> {
        Datum::Int4(i32::try_from(*self).unwrap_or(i32::MAX))
    }
}

/// Yes and no are 1 and 0.
impl Value for bool {
    const TYPE: Type = Type::Int4;
    fn datum(&self) -> Datum<'_> {
        Datum::Int4(i32::from(*self))
    }
}

impl Value for u64 {
    const TYPE: Type = Type::Int8;
    fn datum(&self) -> Datum<'_> {
        Datum::Int8(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

/// A sum that only grows: `numeric`, as it may pass what a `bigint` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(pub u64);

impl Value for Sum {
    const TYPE: Type = Type::Numeric;
    fn datum(&self) -> Datum<'_> {
        Datum::Numeric(self.0)
    }
}

/// A point in time, in seconds since 1970; shown in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment(pub u64);

impl Value for Moment {
    const TYPE: Type = Type::Text;
    fn datum(&self) -> Datum<'_> {
        Datum::Text(Cow::Owned(self.to_string()))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = calendar::date(days as i64);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(Moment(seconds).to_string(), text);
        }
    }

    #[test]
    fn numerics_are_what_the_server_sends() {
        // SELECT encode(numeric_send(x), 'hex')
        for (value, hex) in [
            (0, "0000000000000000"),
            (1, "00010000000000000001"),
            (10_000, "00010001000000000001"),
            (12_345, "000200010000000000010929"),
            (u64::MAX, "0005000400000000073407431de925931655"),
        ] {
            let mut bytes = Vec::new();
            assert!(Datum::Numeric(value).write(Format::Binary, &mut bytes));
            let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            if value == u64::MAX {
                // 1844 6744 0737 0955 1615
                let digits: Vec<_> = [1844u16, 6744, 737, 955, 1615]
                    .iter()
                    .map(|it| format!("{it:04x}"))
                    .collect();
                assert_eq!(shown, format!("0005000400000000{}", digits.concat()));
            } else {
                assert_eq!(shown, hex, "{value}");
            }
        }
    }

    #[test]
    fn values_in_both_forms() {
        let cases: [(Datum, &[u8], &[u8]); 4] = [
            (Datum::Int4(-2), b"-2", &[255, 255, 255, 254]),
            (Datum::Int8(258), b"258", &[0, 0, 0, 0, 0, 0, 1, 2]),
            (Datum::Text("a".into()), b"a", b"a"),
            (Datum::Text("a\0b".into()), b"a", b"a"),
        ];
        for (datum, text, binary) in cases {
            for (format, expected) in [(Format::Text, text), (Format::Binary, binary)] {
                let mut bytes = Vec::new();
                assert!(datum.write(format, &mut bytes));
                assert_eq!(bytes, expected);
            }
        }
        assert!(!Datum::Null.write(Format::Text, &mut Vec::new()));
    }

    #[test]
    fn great_counts_stay_great() {
        assert_eq!(u32::MAX.datum(), Datum::Int4(i32::MAX));
        assert_eq!(u64::MAX.datum(), Datum::Int8(i64::MAX));
    }
}
