//! Days as dates of the Gregorian calendar, and back. Knows no clock, no time zone and no text.
//!
//! Years are counted from 1 March, so that a leap day is a year's last, in eras of 400 years (Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms").

#![forbid(unsafe_code)]

/// Days of 400 years.
const ERA: i64 = 146_097;

/// Days from 1 March of the year 0 to 1 January 1970.
const TO_1970: i64 = 719_468;

/// Year, month and day of a day, counted from 1 January 1970. The year 0 is the one before the year 1.
pub fn date(day: i64) -> (i64, u8, u8) {
    let day = day + TO_1970;
    let (era, of_era) = (day.div_euclid(ERA), day.rem_euclid(ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = match from_march {
        0..=9 => from_march + 3,
        _ => from_march - 9,
    };
    let year = 400 * era + year + i64::from(month <= 2);
    (year, month as u8, of_month as u8)
}

/// The day of a date, counted from 1 January 1970. What no month has counts on into the next.
pub fn day((year, month, day): (i64, u8, u8)) -> i64 {
    let year = year - i64::from(month <= 2);
    let from_march = match month {
        3.. => i64::from(month) - 3,
        _ => i64::from(month) + 9,
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * ERA + 365 * year + year / 4 - year / 100 + of_year - TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (number, wanted) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_015, (2000, 2, 28)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_088, (2024, 12, 31)),
            (47_541, (2100, 3, 1)),
            (-719_468, (0, 3, 1)),
            (-719_529, (-1, 12, 31)),
        ] {
            assert_eq!(date(number), wanted, "{number}");
            assert_eq!(day(wanted), number, "{wanted:?}");
        }
    }

    /// Each day follows the one before it, and leads back to its number.
    #[test]
    fn no_day_is_left_out() {
        let mut before = date(-800_001);
        for number in -800_000..800_000 {
            let it = date(number);
            assert!(it > before, "{before:?} {it:?}");
            assert_eq!(day(it), number);
            before = it;
        }
    }
}
