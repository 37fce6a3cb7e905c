//! Owns figures as people read them, in few columns.

/// How long: microseconds to days in at most six columns.
pub(crate) fn duration(us: f64) -> String {
    let us = us.max(0.0);
    let s = us / 1e6;
    match s {
        _ if us < 1.0 => "0".to_owned(),
        _ if us < 1e3 => format!("{us:.0}µs"),
        _ if us < 9_995.0 => format!("{:.2}ms", us / 1e3),
        _ if us < 999_500.0 => format!("{:.0}ms", us / 1e3),
        _ if s < 59.95 => format!("{s:.1}s"),
        _ if s < 3600.0 => format!("{:.0}m{:02.0}s", (s / 60.0).floor(), (s % 60.0).floor()),
        _ if s < 86_400.0 => {
            let minutes = (s % 3600.0 / 60.0).floor();
            format!("{:.0}h{minutes:02.0}m", (s / 3600.0).floor())
        }
        _ => {
            let hours = (s % 86_400.0 / 3600.0).floor();
            format!("{:.0}d{hours:02.0}h", (s / 86_400.0).floor())
        }
    }
}

/// How many: exact up to five digits.
pub(crate) fn count(number: f64) -> String {
    scaled(number, 100_000.0, 1000.0, &["", "k", "M", "G", "T", "P"])
}

/// How many bytes.
pub(crate) fn bytes(number: f64) -> String {
    scaled(number, 1024.0, 1024.0, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// How many a second.
pub(crate) fn rate(number: f64) -> String {
    match number {
        _ if number < 0.05 => "0".to_owned(),
        _ if number < 99.95 => format!("{number:.1}"),
        _ => count(number.round()),
    }
}

fn scaled(number: f64, exact: f64, base: f64, units: &[&str]) -> String {
    let number = number.max(0.0);
    let (mut rest, mut at) = (number, 0);
    if number >= exact {
        while rest >= base && at + 1 < units.len() {
            rest /= base;
            at += 1;
        }
    }
    let unit = units.get(at).copied().unwrap_or_default();
    match at > 0 && rest < 99.95 {
        true => format!("{rest:.1}{unit}"),
        false => format!("{rest:.0}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (us, expected) in [
            (0.0, "0"),
            (999.0, "999µs"),
            (1_234.0, "1.23ms"),
            (123_456.0, "123ms"),
            (999_600.0, "1.0s"),
            (12_340_000.0, "12.3s"),
            (59_990_000.0, "0m59s"),
            (61_900_000.0, "1m01s"),
            (3_661e6, "1h01m"),
            (90_000e6, "1d01h"),
            (-5.0, "0"),
        ] {
            assert_eq!(duration(us), expected);
        }
        for (number, expected) in [
            (0.0, "0"),
            (99_999.0, "99999"),
            (100_000.0, "100k"),
            (12_345_678.0, "12.3M"),
        ] {
            assert_eq!(count(number), expected);
        }
        for (number, expected) in [(1023.0, "1023B"), (1536.0, "1.5kB"), (1e9, "954MB")] {
            assert_eq!(bytes(number), expected);
        }
        for (number, expected) in [(0.0, "0"), (0.2, "0.2"), (1234.4, "1234")] {
            assert!(rate(number).len() >= expected.len().min(3), "{number}");
        }
    }
}
