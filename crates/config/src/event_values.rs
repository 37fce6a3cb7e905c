//! Owns the types of settings that only events have.

use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit};
use crate::values::at_least_one;
use crate::words::EventKind;

/// Kinds of events.
#[derive(Clone)]
pub(crate) struct EventKinds(pub(crate) Vec<EventKind>);

impl Read for EventKinds {
    const KIND: Kind = Kind {
        name: "one or several of",
        unit: Unit::None,
        words: EventKind::WORDS,
    };

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |one| EventKind::read(one, bounds)).map(Self)
    }
}
