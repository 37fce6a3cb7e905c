//! Owns an event, its bounds, and its form as JSON.

use crate::kind::Kind;
use crate::stamp::stamp;
use std::fmt::Write as _;

/// Where in its course an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It happened, and that was all.
    Happened,
    /// Something began that will be told to be over.
    Began,
    /// It is over.
    Ended,
}

impl Phase {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Happened => "happened",
            Phase::Began => "began",
            Phase::Ended => "ended",
        }
    }
}

/// What shows that it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A number; the fact's name says of what.
    Number(u64),
    /// A name, or a text without literals.
    Text(Box<str>),
}

impl From<u64> for Fact {
    fn from(number: u64) -> Fact {
        Fact::Number(number)
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Fact {
        Fact::Text(plain(text))
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fact::Number(number) => write!(to, "{number}"),
            Fact::Text(text) => to.write_str(text),
        }
    }
}

/// Something that operators should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it is about.
    pub kind: Kind,
    /// Where in its course it stands.
    pub phase: Phase,
    /// Of whom: what it is and its name, as `pattern 5d0c1c7f2f0e9a44`. An end has the subject of its beginning.
    pub subject: Box<str>,
    /// What shows it, in the order in which they are told.
    pub facts: Vec<(&'static str, Fact)>,
}

impl Event {
    /// Bytes of a subject or a text; what is longer is cut.
    pub const TEXT_MAX: usize = 1024;
    /// Facts; further ones are left out.
    pub const FACTS_MAX: usize = 16;

    /// One without facts.
    pub fn new(at_ms: u64, kind: Kind, phase: Phase, subject: &str) -> Event {
        Event {
            at_ms,
            kind,
            phase,
            subject: plain(subject),
            facts: Vec::new(),
        }
    }

    /// The same with one fact more.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Event {
        if self.facts.len() < Self::FACTS_MAX {
            self.facts.push((name, fact.into()));
        }
        self
    }

    /// Its facts as `name=value`, for people.
    pub fn facts_in_words(&self) -> String {
        let mut words = String::new();
        for (name, fact) in &self.facts {
            let space = if words.is_empty() { "" } else { " " };
            words.push_str(&format!("{space}{name}={fact}"));
        }
        words
    }
}

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Which proxy's: when it began, in milliseconds since 1970.
    pub(crate) origin_ms: u64,
    /// Its number among that one's events, from 1 on.
    pub number: u64,
    /// The event.
    pub event: Event,
}

impl Posted {
    /// What tells it from every other event, so that who gets it twice notices.
    pub fn id(&self) -> String {
        format!("{:x}-{}", self.origin_ms, self.number)
    }

    /// The event as a JSON object in one line.
    pub fn json(&self) -> String {
        let event = &self.event;
        let mut json = format!(
            "{{\"id\":\"{}\",\"time\":\"{}\",\"kind\":\"{}\",\"phase\":\"{}\",\"subject\":",
            self.id(),
            stamp(event.at_ms),
            event.kind.word(),
            event.phase.word(),
        );
        put(&event.subject, &mut json);
        json.push_str(",\"facts\":{");
        for (number, (name, fact)) in event.facts.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let _ = write!(json, "{comma}\"{name}\":");
            match fact {
                Fact::Number(number) => json.push_str(&number.to_string()),
                Fact::Text(text) => put(text, &mut json),
            }
        }
        json.push_str("}}");
        json
    }
}

/// Appends a JSON string (RFC 8259 section 7). Control characters are none of an event's texts.
fn put(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            json.push('\\');
        }
        json.push(character);
    }
    json.push('"');
}

/// The beginning of a text, without what would move a terminal or begin a line of its own.
fn plain(text: &str) -> Box<str> {
    let ends = (0..=Event::TEXT_MAX.min(text.len())).rev();
    let end = ends.into_iter().find(|at| text.is_char_boundary(*at));
    let text = &text[..end.unwrap_or(0)];
    text.replace(char::is_control, "?").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_everything_in_order() {
        let event = Event::new(1500, Kind::Slower, Phase::Began, "pattern \"x\\y\"\n")
            .with("calls", 7)
            .with("query", "select ?");
        assert_eq!(event.facts_in_words(), "calls=7 query=select ?");
        let posted = Posted {
            origin_ms: 255,
            number: 3,
            event,
        };
        assert_eq!(
            posted.json(),
            r#"{"id":"ff-3","time":"1970-01-01T00:00:01.500Z","kind":"slower","phase":"began","subject":"pattern \"x\\y\"?","facts":{"calls":7,"query":"select ?"}}"#
        );
    }

    #[test]
    fn whatever_is_put_in_it_stays_small() {
        let long = "é".repeat(Event::TEXT_MAX);
        let mut event = Event::new(0, Kind::NewPattern, Phase::Happened, &long);
        for _ in 0..2 * Event::FACTS_MAX {
            event = event.with("query", &*long);
        }
        assert_eq!(event.subject.len(), Event::TEXT_MAX);
        assert_eq!(event.facts.len(), Event::FACTS_MAX);
        let is_cut = |fact: &Fact| matches!(fact, Fact::Text(it) if it.len() == Event::TEXT_MAX);
        assert!(event.facts.iter().all(|it| is_cut(&it.1)));
    }
}
