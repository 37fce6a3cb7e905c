//! Owns the values of settings: numbers, times, words and lists, as PgBouncer writes them.

use crate::Translation;
use crate::document::{Block, Value, fitted, setting};
use crate::fault::{At, Fault, Problem};
use crate::ini::Entry;
use crate::note::Kind;
use config::Unit;

/// A whole number as strtol reads it: decimal, 0 before octal, 0x before hexadecimal.
pub(crate) fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    // A second sign would be taken by the standard library.
    let fits = digits.chars().all(|digit| digit.is_digit(radix));
    let number = i64::from_str_radix(digits, radix).ok().filter(|_| fits)?;
    Some(sign * number)
}

/// The milliseconds of a number of seconds, which may have a fraction; none for no time.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let plain = text
        .chars()
        .all(|it| it.is_ascii_digit() || "+-.eE".contains(it));
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    if !(seconds >= 0.0 && seconds.is_finite()) {
        return None;
    }
    let millis = (seconds * 1000.0).ceil();
    // Past any bound, and so cut to it.
    Some(if millis < 1e15 {
        millis as u64
    } else {
        1 << 50
    })
}

/// The elements of a list, apart by commas.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty())
}

/// One of the words, in any case.
pub(crate) fn word(text: &str, words: &[&'static str]) -> Option<&'static str> {
    let words = words.iter().copied();
    words
        .into_iter()
        .find(|word| text.eq_ignore_ascii_case(word))
}

/// A text that the configuration can hold: not empty, not endless, without control characters.
pub(crate) fn is_plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.contains(char::is_control)
}

/// What PgBouncer's value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A whole number.
    Number,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// 0 or something else.
    Flag,
    /// Users.
    Users,
    /// Parameters of PostgreSQL.
    Parameters,
    /// A pool mode.
    PoolMode,
}

/// A setting that has PgBouncer's meaning, on its way.
pub(crate) struct Same<'s> {
    /// PgBouncer's name for it.
    pub(crate) key: &'s str,
    /// What its value is made of.
    pub(crate) form: Form,
    /// Our name for it, in the section of the block.
    pub(crate) name: &'s str,
    /// Where it stands.
    pub(crate) at: &'s At,
    /// Its value.
    pub(crate) value: &'s str,
}

/// The names of pool modes.
pub(crate) const POOL_MODES: &[&str] = &["session", "transaction", "statement"];

impl Translation<'_> {
    /// Writes a setting that has PgBouncer's meaning; notes what had to be cut to fit, and faults.
    pub(crate) fn same(&mut self, block: &mut Block, path: &'static str, same: &Same<'_>) {
        match self.value(path, same) {
            Ok(Some(value)) => block.set(same.name, value, Some(same.at)),
            Ok(None) => {}
            Err(problem) => self.bad((same.key, same.at), problem),
        }
    }

    fn value(&mut self, path: &str, same: &Same<'_>) -> Result<Option<Value>, Problem> {
        let text = same.value;
        let Some(setting) = setting(path, same.name) else {
            let text = "there is no such setting here; it is left out";
            self.note(Kind::Differs, (same.key, Some(same.at)), text);
            return Ok(None);
        };
        let amount = match same.form {
            Form::Number => {
                let number = number(text).ok_or(Problem::Number)?;
                match u64::try_from(number) {
                    Ok(number) => number,
                    // PgBouncer's way to say that nothing is said.
                    Err(_) => return Ok(None),
                }
            }
            Form::Millis => number(text)
                .and_then(|number| u64::try_from(number).ok())
                .ok_or(Problem::Number)?,
            Form::Seconds => millis(text).ok_or(Problem::Time)?,
            Form::Flag => {
                let number = number(text).ok_or(Problem::Number)?;
                return Ok(Some(Value::Flag(number != 0)));
            }
            Form::PoolMode => {
                let problem = "there are session, transaction and statement";
                let mode = word(text, POOL_MODES).ok_or(Problem::Word(problem))?;
                return Ok(Some(Value::Text(mode.to_owned())));
            }
            Form::Users | Form::Parameters => return self.names(same).map(Some),
        };
        let fitted = fitted(setting, amount);
        if fitted != amount {
            self.cut(same, setting.kind.unit, (amount, fitted));
        }
        Ok(Some(match setting.kind.unit {
            Unit::Millis if same.form == Form::Millis && fitted != 0 => {
                Value::Text(format!("{fitted}ms"))
            }
            Unit::Millis => Value::Time(fitted),
            Unit::None | Unit::Count | Unit::Length => Value::Number(fitted),
        }))
    }

    fn cut(&mut self, same: &Same<'_>, unit: Unit, (amount, fitted): (u64, u64)) {
        let shown = |amount: u64| match unit {
            Unit::Millis => format!("{} s", amount as f64 / 1000.0),
            _ => amount.to_string(),
        };
        let text = format!(
            "{} is out of bounds here; {} is written instead",
            shown(amount),
            shown(fitted)
        );
        self.note(Kind::Differs, (same.key, Some(same.at)), &text);
    }

    fn names(&mut self, same: &Same<'_>) -> Result<Value, Problem> {
        let names: Vec<String> = list(same.value).map(str::to_owned).collect();
        let fits = |name: &String| match same.form {
            Form::Users => is_plain(name, 128),
            _ => name
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || "_.".contains(it)),
        };
        match names.iter().all(fits) {
            true => Ok(Value::Texts(names)),
            false => Err(Problem::Text),
        }
    }

    /// Notes a value that PgBouncer would refuse.
    pub(crate) fn bad(&mut self, (key, at): (&str, &At), problem: Problem) {
        self.faults.push(Fault::Setting {
            at: at.clone(),
            key: crate::pairs::printable(key),
            problem,
        });
    }
}

impl<'a> Translation<'a> {
    /// The text of a general setting that is written and not empty.
    pub(crate) fn general(&self, key: &str) -> Option<(&'a Entry, &'a str)> {
        let entry = self.ini.general(key)?;
        Some((entry, entry.value())).filter(|(_, value)| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        for (text, expected) in [
            ("0", Some(0)),
            ("20", Some(20)),
            ("-1", Some(-1)),
            ("+3", Some(3)),
            ("0777", Some(0o777)),
            ("0x1f", Some(31)),
            ("08", None),
            ("", None),
            ("-", None),
            ("+-1", None),
            ("1 ", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_may_have_fractions() {
        for (text, expected) in [
            ("0", Some(0)),
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("0.0001", Some(1)),
            ("1e3", Some(1_000_000)),
            ("1e300", Some(1 << 50)),
            ("-1", None),
            ("inf", None),
            ("nan", None),
            ("5s", None),
            ("", None),
        ] {
            assert_eq!(millis(text), expected, "{text:?}");
        }
    }
}
