//! Owns the text of a moment: RFC 3339 in UTC to the microsecond, which sorts as time passes. Pure.

use std::time::Duration;

const DAY: u64 = 86_400;

/// The text of a moment since 1970.
pub fn text(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = date(seconds / DAY);
    let of_day = seconds % DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since_1970.subsec_micros()
    )
}

/// Year, month and day, by eras of 400 years that begin in March, so that leap days come last.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (400 * era + year + u64::from(month <= 2), month, day)
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
