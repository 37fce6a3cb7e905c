//! Owns reading the values of common types in binary form (PostgreSQL's `*_send` functions) as the text that the server
//! would show. What isn't known is shown as hexadecimal digits.

use std::fmt::Write as _;

/// Microseconds and days are counted from 2000-01-01.
const DAYS_TO_2000: i64 = 10_957;
const DAY_US: i64 = 86_400_000_000;

/// The names of types that are read, by OID.
const TYPES: &[(u32, &str)] = &[
    (16, "bool"),
    (17, "bytea"),
    (18, "char"),
    (19, "name"),
    (20, "int8"),
    (21, "int2"),
    (23, "int4"),
    (25, "text"),
    (26, "oid"),
    (114, "json"),
    (700, "float4"),
    (701, "float8"),
    (1042, "bpchar"),
    (1043, "varchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1184, "timestamptz"),
    (1700, "numeric"),
    (2950, "uuid"),
    (3802, "jsonb"),
];

/// The name of a type.
pub(super) fn type_name(oid: u32) -> Option<&'static str> {
    let found = TYPES.binary_search_by_key(&oid, |it| it.0).ok()?;
    Some(TYPES[found].1)
}

/// Appends a value, for a string of JSON.
pub(super) fn write(oid: u32, is_binary: bool, bytes: &[u8], to: &mut String) {
    match is_binary {
        false => escaped(bytes, to),
        true => {
            if binary(oid, bytes, to).is_none() {
                to.push_str("\\\\x");
                bytes.iter().for_each(|it| {
                    let _ = write!(to, "{it:02x}");
                });
            }
        }
    }
}

/// A text in whatever encoding, for a string of JSON.
fn escaped(bytes: &[u8], to: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' => to.push_str("\\\""),
                '\\' => to.push_str("\\\\"),
                '\n' => to.push_str("\\n"),
                '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(to, "\\u{:04x}", u32::from(letter));
                }
                letter => to.push(letter),
            }
        }
        if !chunk.invalid().is_empty() {
            to.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// `None`, and nothing is appended, if it isn't a value of a type that is known.
fn binary(oid: u32, bytes: &[u8], to: &mut String) -> Option<()> {
    let _ = match oid {
        16 => write!(
            to,
            "{}",
            match bytes {
                [0] => "f",
                [1] => "t",
                _ => return None,
            }
        ),
        20 => write!(to, "{}", i64::from_be_bytes(bytes.try_into().ok()?)),
        21 => write!(to, "{}", i16::from_be_bytes(bytes.try_into().ok()?)),
        23 => write!(to, "{}", i32::from_be_bytes(bytes.try_into().ok()?)),
        26 => write!(to, "{}", u32::from_be_bytes(bytes.try_into().ok()?)),
        700 => write!(to, "{}", f32::from_be_bytes(bytes.try_into().ok()?)),
        701 => write!(to, "{}", f64::from_be_bytes(bytes.try_into().ok()?)),
        18 | 19 | 25 | 114 | 1042 | 1043 => {
            escaped(bytes, to);
            Ok(())
        }
        3802 => {
            escaped(bytes.strip_prefix(&[1])?, to);
            Ok(())
        }
        1082 => date(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)), to),
        1083 => time_of_day(i64::from_be_bytes(bytes.try_into().ok()?), to),
        1114 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "", to),
        1184 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "+00", to),
        1700 => {
            to.push_str(&numeric(bytes)?);
            Ok(())
        }
        2950 => uuid(bytes.try_into().ok()?, to),
        _ => return None,
    };
    Some(())
}

fn date(days: i64, to: &mut String) -> std::fmt::Result {
    match days {
        _ if days == i64::from(i32::MAX) => write!(to, "infinity"),
        _ if days == i64::from(i32::MIN) => write!(to, "-infinity"),
        _ => {
            let (year, month, day) = calendar::date(days + DAYS_TO_2000);
            match year > 0 {
                true => write!(to, "{year:04}-{month:02}-{day:02}"),
                false => write!(to, "{:04}-{month:02}-{day:02} BC", 1 - year),
            }
        }
    }
}

fn time_of_day(micros: i64, to: &mut String) -> std::fmt::Result {
    let seconds = micros / 1_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    write!(to, "{hours:02}:{minutes:02}:{:02}", seconds % 60)?;
    match micros % 1_000_000 {
        0 => Ok(()),
        micros => {
            let digits = format!("{micros:06}");
            write!(to, ".{}", digits.trim_end_matches('0'))
        }
    }
}

fn timestamp(micros: i64, zone: &str, to: &mut String) -> std::fmt::Result {
    match micros {
        i64::MAX => return write!(to, "infinity"),
        i64::MIN => return write!(to, "-infinity"),
        _ => {}
    }
    let mut day = String::new();
    date(micros.div_euclid(DAY_US), &mut day)?;
    let (day, era) = match day.strip_suffix(" BC") {
        Some(day) => (day, " BC"),
        None => (day.as_str(), ""),
    };
    write!(to, "{day} ")?;
    time_of_day(micros.rem_euclid(DAY_US), to)?;
    write!(to, "{zone}{era}")
}

fn uuid(bytes: [u8; 16], to: &mut String) -> std::fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            to.push('-');
        }
        write!(to, "{byte:02x}")?;
    }
    Ok(())
}

/// Digits to the base of 10,000, the weight of the first, a sign, and how many decimal digits are behind the point.
fn numeric(bytes: &[u8]) -> Option<String> {
    let mut words = bytes
        .chunks_exact(2)
        .map(|it| u16::from_be_bytes([it[0], it[1]]));
    let (count, weight) = (usize::from(words.next()?), i32::from(words.next()? as i16));
    let (sign, scale) = (words.next()?, usize::from(words.next()?));
    let digits: Vec<u16> = words.collect();
    let special = match sign {
        0 | 0x4000 => None,
        0xc000 => Some("NaN"),
        0xd000 => Some("Infinity"),
        0xf000 => Some("-Infinity"),
        _ => return None,
    };
    if let Some(special) = special {
        return Some(special.to_owned());
    }
    let is_read = digits.len() == count
        && bytes.len().is_multiple_of(2)
        && digits.iter().all(|it| *it < 10_000);
    // A number of such a size is no reason to write as many zeros.
    if !is_read || weight.abs() > 256 || scale > 1024 {
        return None;
    }
    let digit = |place: i32| {
        let index = usize::try_from(weight - place).ok();
        index.and_then(|it| digits.get(it)).copied().unwrap_or(0)
    };
    let mut text = String::new();
    for place in (0..=weight).rev() {
        let _ = write!(text, "{:04}", digit(place));
    }
    let whole = text.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if sign == 0x4000 { "-" } else { "" };
    let mut text = format!("{sign}{whole}");
    if scale > 0 {
        let mut behind = String::new();
        let mut place = -1;
        while behind.len() < scale {
            let _ = write!(behind, "{:04}", digit(place));
            place -= 1;
        }
        let _ = write!(text, ".{}", &behind[..scale]);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are what `encode(TYPE_send(VALUE), 'hex')` says on a server.
    #[test]
    fn values_read_as_the_server_shows_them() {
        for (oid, hex, wanted) in [
            (16, "01", "t"),
            (20, "fffffffffffffffe", "-2"),
            (21, "8000", "-32768"),
            (23, "0000002a", "42"),
            (26, "ffffffff", "4294967295"),
            (701, "3ff8000000000000", "1.5"),
            (25, "c3a422", "ä\\\""),
            (25, "0aff", "\\n\u{fffd}"),
            (3802, "017b7d", "{}"),
            (1082, "00000000", "2000-01-01"),
            (1082, "0000003b", "2000-02-29"),
            (1082, "fffffffe", "1999-12-30"),
            (1082, "7fffffff", "infinity"),
            (1082, "fff4dbf8", "0001-12-31 BC"),
            (1083, "0000000bbfa86140", "14:01:00.123456"),
            (1114, "0000000000000001", "2000-01-01 00:00:00.000001"),
            (1184, "ffffffffffffffff", "1999-12-31 23:59:59.999999+00"),
            (1700, "0002000000000002007b1194", "123.45"),
            (1700, "0001ffff400000030001", "-0.000"),
            (1700, "00010001000000000001", "10000"),
            (1700, "00000000c0000000", "NaN"),
            (
                2950,
                "0123456789abcdef0123456789abcdef",
                "01234567-89ab-cdef-0123-456789abcdef",
            ),
            (17, "00ff", "\\\\x00ff"),
            (99_999, "0102", "\\\\x0102"),
            // What is no value of its type.
            (23, "01", "\\\\x01"),
            (1700, "0005", "\\\\x0005"),
            (3802, "02", "\\\\x02"),
        ] {
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|it| u8::from_str_radix(&hex[2 * it..2 * it + 2], 16).unwrap())
                .collect();
            let mut text = String::new();
            write(oid, true, &bytes, &mut text);
            assert_eq!(text, wanted, "{oid} {hex}");
        }
    }

    #[test]
    fn types_are_found_by_number() {
        assert!(TYPES.is_sorted_by_key(|it| it.0));
        assert_eq!((type_name(23), type_name(24)), (Some("int4"), None));
    }
}
