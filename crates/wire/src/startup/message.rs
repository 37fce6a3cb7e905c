//! Owns StartupMessage: a version and pairs of names and values, the same bytes read and built.

use super::{PACKET_MAX, ProtocolVersion};
use crate::sink::{Sink, SinkExt};
use crate::{StartupFault, Text};
use buf::Full;
use std::fmt;

/// NAMEDATALEN - 1: where the server cuts user and database names, whatever their encoding.
pub const NAME_MAX: usize = 63;

const PROTOCOL_OPTION: &[u8] = b"_pq_.";

/// Opens a session (manual, "StartupMessage"). Owns its bytes: it outlives the buffer it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct StartupMessage {
    version: ProtocolVersion,
    /// `(name NUL value NUL)*`, without the terminator.
    pairs: Vec<u8>,
}

/// What the parameter `replication` makes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replication {
    /// A session of SQL.
    No,
    /// Physical replication: belongs to no database.
    Physical,
    /// Logical replication, connected to a database.
    Logical,
}

impl StartupMessage {
    /// A message to be sent to a server.
    pub fn new<'p>(
        version: ProtocolVersion,
        parameters: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
    ) -> Result<Self, StartupFault> {
        let mut pairs = Vec::new();
        for (name, value) in parameters {
            if name.is_empty() || name.contains(&0) || value.contains(&0) {
                return Err(StartupFault::Unsendable);
            }
            for part in [name, value] {
                pairs.extend_from_slice(part);
                pairs.push(0);
            }
        }
        // The code and the terminator count as well.
        if pairs.len() + 5 > PACKET_MAX as usize {
            return Err(StartupFault::Unsendable);
        }
        Ok(Self { version, pairs })
    }

    pub(super) fn decode(version: ProtocolVersion, body: &[u8]) -> Result<Self, StartupFault> {
        let mut rest = body;
        loop {
            let (name, after) = split(rest).ok_or(StartupFault::Layout)?;
            if name.is_empty() {
                return match after.len() {
                    0 => Ok(Self {
                        version,
                        pairs: body[..body.len() - 1].to_vec(),
                    }),
                    _ => Err(StartupFault::Layout),
                };
            }
            rest = split(after).ok_or(StartupFault::Layout)?.1;
        }
    }

    /// Appends the packet, or nothing.
    pub fn encode<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        let total = 8 + self.pairs.len() + 1;
        if out.room() < total {
            return Err(Full {
                offered: total,
                room: out.room(),
            });
        }
        out.u32(total as u32)?;
        out.u32(self.version.code())?;
        out.put(&self.pairs)?;
        out.byte(0)
    }

    /// The version that the client asks for.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// All names and values as sent, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        let mut rest = &self.pairs[..];
        std::iter::from_fn(move || {
            let (name, after) = split(rest)?;
            let (value, after) = split(after)?;
            rest = after;
            Some((name, value))
        })
    }

    /// The last value under exactly this name.
    pub fn parameter(&self, name: &str) -> Option<Text<'_>> {
        self.parameters()
            .filter(|(found, _)| *found == name)
            .last()
            .map(|(_, value)| value)
    }

    /// Who connects, cut as the server cuts it.
    pub fn user(&self) -> Result<Text<'_>, StartupFault> {
        self.parameter("user")
            .filter(|user| !user.is_empty())
            .map(|user| user.truncated(NAME_MAX))
            .ok_or(StartupFault::NoUser)
    }

    /// To which database, cut as the server cuts it; the user's name if none is given.
    pub fn database(&self) -> Result<Text<'_>, StartupFault> {
        match self.parameter("database") {
            Some(name) if !name.is_empty() => Ok(name.truncated(NAME_MAX)),
            _ => self.user(),
        }
    }

    /// The value of `options`, to be read by [`super::options()`].
    pub fn options(&self) -> Option<Text<'_>> {
        self.parameter("options")
    }

    /// Whether this is a replication connection. Mentioning `database` once is remembered even if
    /// another value follows, as in the server.
    pub fn replication(&self) -> Result<Replication, StartupFault> {
        let mut walsender = false;
        let mut logical = false;
        for (_, value) in self.parameters().filter(|(name, _)| *name == "replication") {
            if value == "database" {
                walsender = true;
                logical = true;
            } else {
                walsender = boolean(value.bytes()).ok_or(StartupFault::Replication)?;
            }
        }
        Ok(match (walsender, logical) {
            (false, _) => Replication::No,
            (true, false) => Replication::Physical,
            (true, true) => Replication::Logical,
        })
    }

    /// The protocol options: names that start with `_pq_.`.
    pub fn protocol_options(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        self.parameters()
            .filter(|(name, _)| name.starts_with(PROTOCOL_OPTION))
    }

    /// The settings of the session: every name that the protocol itself does not know.
    pub fn settings(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        self.parameters().filter(|(name, _)| {
            !name.starts_with(PROTOCOL_OPTION)
                && !["user", "database", "options", "replication"]
                    .iter()
                    .any(|known| name == known)
        })
    }
}

fn split(bytes: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let text = Text::cut(bytes);
    Some((text, bytes.get(text.len() + 1..)?))
}

/// `parse_bool` of the server: any unambiguous prefix, whatever its case.
fn boolean(value: &[u8]) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    if value.is_empty() {
        return None;
    }
    let words: [(&[u8], usize, bool); 8] = [
        (b"true", 1, true),
        (b"false", 1, false),
        (b"yes", 1, true),
        (b"no", 1, false),
        (b"on", 2, true),
        (b"off", 2, false),
        (b"1", 1, true),
        (b"0", 1, false),
    ];
    words
        .iter()
        .find(|(word, least, _)| value.len() >= *least && word.starts_with(&value))
        .map(|(_, _, meaning)| *meaning)
}

/// Values can hold anything, even a password in `options`.
impl Drop for StartupMessage {
    fn drop(&mut self) {
        buf::wipe(&mut self.pairs);
    }
}

/// For the same reason.
impl fmt::Debug for StartupMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StartupMessage({}, {} parameters)",
            self.version,
            self.parameters().count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &[u8]) -> Result<StartupMessage, StartupFault> {
        StartupMessage::decode(ProtocolVersion::V3_0, body)
    }

    #[test]
    fn the_terminator_is_the_last_byte_and_no_other() {
        for (body, fine) in [
            (&b"user\0u\0\0"[..], true),
            (b"\0", true),
            (b"user\0\0\0", true),
            (b"", false),
            (b"user\0u\0", false),
            (b"user\0u", false),
            (b"user\0\0", false),
            (b"user\0", false),
            (b"user\0u\0\0\0", false),
            (b"\0user\0u\0\0", false),
            (b"user\0u\0\0x", false),
        ] {
            assert_eq!(
                decode(body).err(),
                (!fine).then_some(StartupFault::Layout),
                "{body:?}"
            );
        }
    }

    #[test]
    fn names_default_truncate_and_repeat_as_in_the_server() {
        let long = "n".repeat(70);
        // (body, user, database)
        let table: [(String, Option<&str>, Option<&str>); 7] = [
            ("user\0u\0\0".into(), Some("u"), Some("u")),
            ("user\0u\0database\0d\0\0".into(), Some("u"), Some("d")),
            ("user\0u\0database\0\0\0".into(), Some("u"), Some("u")),
            ("user\0a\0user\0b\0\0".into(), Some("b"), Some("b")),
            ("User\0u\0database\0d\0\0".into(), None, Some("d")),
            ("user\0\0\0".into(), None, None),
            (
                format!("user\0{long}\0database\0{long}\0\0"),
                Some(&long[..63]),
                Some(&long[..63]),
            ),
        ];
        for (body, user, database) in &table {
            let message = decode(body.as_bytes()).unwrap();
            assert_eq!(message.user().ok().and_then(Text::utf8), *user, "{body:?}");
            assert_eq!(
                message.database().ok().and_then(Text::utf8),
                *database,
                "{body:?}"
            );
        }
    }

    #[test]
    fn replication_is_a_boolean_or_database() {
        for (values, meaning) in [
            (&[][..], Ok(Replication::No)),
            (&["true"], Ok(Replication::Physical)),
            (&["ON"], Ok(Replication::Physical)),
            (&["1"], Ok(Replication::Physical)),
            (&["of"], Ok(Replication::No)),
            (&["f"], Ok(Replication::No)),
            (&["database"], Ok(Replication::Logical)),
            (&["database", "true"], Ok(Replication::Logical)),
            (&["database", "0"], Ok(Replication::No)),
            (&["o"], Err(StartupFault::Replication)),
            (&["Database"], Err(StartupFault::Replication)),
            (&[""], Err(StartupFault::Replication)),
            (&["truely"], Err(StartupFault::Replication)),
        ] {
            let pairs = values
                .iter()
                .map(|value| (&b"replication"[..], value.as_bytes()));
            let message = StartupMessage::new(ProtocolVersion::V3_0, pairs).unwrap();
            assert_eq!(message.replication(), meaning, "{values:?}");
        }
    }

    #[test]
    fn what_can_not_be_sent_is_refused() {
        let long = vec![b'x'; 9_990];
        for (name, value, fine) in [
            (&b"user"[..], &b"u"[..], true),
            (b"", b"u", false),
            (b"us\0er", b"u", false),
            (b"user", b"u\0", false),
            (b"abc", &long[..9_990], true),
            (b"abcd", &long[..9_990], false),
        ] {
            let message = StartupMessage::new(ProtocolVersion::V3_2, [(name, value)]);
            assert_eq!(message.is_ok(), fine, "{name:?}");
            if let Ok(message) = message {
                let mut out = Vec::new();
                message.encode(&mut out).unwrap();
                let (packet, total) = super::super::first(&out).unwrap().unwrap();
                assert_eq!(packet, super::super::Packet::Startup(message));
                assert_eq!(total, out.len());
            }
        }
    }

    #[test]
    fn parameters_fall_into_kinds() {
        let body = b"user\0u\0_pq_.x\0yes\0application_name\0psql\0options\0-c a=b\0_pq_\0y\0\0";
        let message = decode(body).unwrap();
        let names = |pairs: Vec<(Text<'_>, Text<'_>)>| -> Vec<Vec<u8>> {
            pairs.iter().map(|(name, _)| name.to_vec()).collect()
        };
        assert_eq!(
            names(message.settings().collect()),
            [&b"application_name"[..], b"_pq_"]
        );
        assert_eq!(names(message.protocol_options().collect()), [b"_pq_.x"]);
        assert_eq!(message.options().unwrap(), "-c a=b");
        assert_eq!(format!("{message:?}"), "StartupMessage(3.0, 5 parameters)");
    }
}
