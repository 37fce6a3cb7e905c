//! Owns the text of a moment: RFC 3339 in UTC to the microsecond, which sorts as time passes. Pure.

use std::time::Duration;

const DAY: u64 = 86_400;

/// The text of a moment since 1970.
pub fn text(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = calendar::date((seconds / DAY) as i64);
    let of_day = seconds % DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since_1970.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, micros, wanted) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, 1234, "2000-02-29T00:00:00.001234Z"),
            (951_868_799, 999_999, "2000-02-29T23:59:59.999999Z"),
            (1_772_323_200, 0, "2026-03-01T00:00:00.000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(text(Duration::new(seconds, micros * 1000)), wanted);
        }
    }
}
