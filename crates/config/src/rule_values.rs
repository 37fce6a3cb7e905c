//! Owns the types of settings that only rules about statements have.

use crate::error::Malformed;
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit};
use crate::values::{at_least_one, kind, malformed};
use crate::words::{RuleAccess, RuleEffect, RulePer, Weekday};

/// Names; at least one.
#[derive(Clone)]
pub(crate) struct NameList(pub(crate) Vec<String>);
/// Texts; at least one.
#[derive(Clone)]
pub(crate) struct Texts(pub(crate) Vec<String>);
/// Effects of statements.
#[derive(Clone)]
pub(crate) struct Effects(pub(crate) Vec<RuleEffect>);
/// What is done to relations.
#[derive(Clone)]
pub(crate) struct Accesses(pub(crate) Vec<RuleAccess>);
/// Names with schemas.
#[derive(Clone)]
pub(crate) struct Patterns(pub(crate) Vec<String>);
/// Ids of statements.
#[derive(Clone)]
pub(crate) struct Shapes(pub(crate) Vec<[u8; 32]>);
/// Minutes of a day: from one to before another.
#[derive(Clone)]
pub(crate) struct Hours(pub(crate) (u16, u16));
/// What is counted together.
#[derive(Clone)]
pub(crate) struct Pers(pub(crate) Vec<RulePer>);
/// Days of the week.
#[derive(Clone)]
pub(crate) struct Days(pub(crate) Vec<Weekday>);

impl Read for NameList {
    const KIND: Kind = kind("a name, or a list of names", Unit::Length);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| String::read(one, bounds)).map(Self)
    }
}

impl Read for Texts {
    const KIND: Kind = kind("a text, or a list of texts", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| String::read(one, Bounds::new(0, 1024))).map(Self)
    }
}

impl Read for Effects {
    const KIND: Kind = Kind {
        name: "one or several of",
        unit: Unit::None,
        words: RuleEffect::WORDS,
    };

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| RuleEffect::read(one, bounds)).map(Self)
    }
}

impl Read for Accesses {
    const KIND: Kind = Kind {
        name: "one or several of",
        unit: Unit::None,
        words: RuleAccess::WORDS,
    };

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| RuleAccess::read(one, bounds)).map(Self)
    }
}

impl Read for Pers {
    const KIND: Kind = Kind {
        name: "one or several of",
        unit: Unit::None,
        words: RulePer::WORDS,
    };

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| RulePer::read(one, bounds)).map(Self)
    }
}

impl Read for Days {
    const KIND: Kind = Kind {
        name: "one or several of",
        unit: Unit::None,
        words: Weekday::WORDS,
    };

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| Weekday::read(one, bounds)).map(Self)
    }
}

impl Read for Patterns {
    const KIND: Kind = kind("a name, or a list of names", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = value.text(Self::KIND.name)?;
            let mut parts = text.split('.');
            let fits = |part: &str| !part.is_empty() && !part.contains(char::is_control);
            let is_whole = parts.clone().count() <= 2 && parts.all(fits);
            match is_whole {
                true => Ok(text.to_owned()),
                false => Err(malformed(value, Malformed::NamePattern)),
            }
        };
        at_least_one(value, one).map(Self)
    }
}

impl Read for Shapes {
    const KIND: Kind = kind("a shape, or a list of shapes", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = value.text(Self::KIND.name)?;
            shape(text).ok_or_else(|| malformed(value, Malformed::Shape))
        };
        at_least_one(value, one).map(Self)
    }
}

fn shape(text: &str) -> Option<[u8; 32]> {
    let is_whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut shape = [0; 32];
    for (index, byte) in shape.iter_mut().enumerate().filter(|_| is_whole) {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    is_whole.then_some(shape)
}

impl Read for Hours {
    const KIND: Kind = kind("two times of day", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let text = value.text(Self::KIND.name)?;
        let times = text.split_once('-').and_then(|(from, until)| {
            let (from, until) = (minute(from)?, minute(until)?);
            (from != until && from < 1440).then_some((from, until))
        });
        times
            .map(Self)
            .ok_or_else(|| malformed(value, Malformed::Hours))
    }
}

/// `HH:MM` up to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str| match part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit()) {
        true => part.parse::<u16>().ok(),
        false => None,
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = 60 * hour + minute;
    (minute < 60 && minutes <= 1440).then_some(minutes)
}
