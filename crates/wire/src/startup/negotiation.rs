//! Owns agreeing on a version: as a server towards a client that asks for too much, and as a
//! client towards a server that answers with less (manual, "Protocol Versions";
//! `SendNegotiateProtocolVersion`, `pqGetNegotiateProtocolVersion3`).

use super::{ProtocolVersion, StartupMessage};
use crate::from_server::NegotiateProtocolVersion;
use crate::{NegotiationFault, StartupFault, Strings, Text};

/// The versions that exist, newest first.
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V3_2, ProtocolVersion::V3_0];

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The version that holds from now on.
    pub version: ProtocolVersion,
    refused: Option<Vec<u8>>,
}

impl Negotiated {
    /// What to tell the client, once and before any authentication message; nothing if it got what
    /// it asked for.
    pub fn answer(&self) -> Option<NegotiateProtocolVersion<'_>> {
        self.refused
            .as_ref()
            .map(|options| NegotiateProtocolVersion {
                version: self.version,
                options: Strings::over(options),
            })
    }
}

/// Chooses the version for a client, where `newest` is the newest that may be spoken and `known`
/// the protocol options that are understood.
///
/// A client that asks for 3.1, which does not exist, gets 3.0.
pub fn negotiate(
    message: &StartupMessage,
    known: &[&str],
    newest: ProtocolVersion,
) -> Result<Negotiated, StartupFault> {
    let asked = message.version();
    if asked.major != 3 {
        return Err(StartupFault::Version(asked));
    }
    let most = asked.min(newest);
    let version = VERSIONS
        .into_iter()
        .find(|version| *version <= most)
        .unwrap_or(ProtocolVersion::V3_0);
    let unknown = message
        .protocol_options()
        .map(|(name, _)| name)
        .filter(|name| !known.iter().any(|known| name == known));
    let mut refused = Vec::new();
    let options = Strings::pack(unknown, &mut refused);
    let satisfied = version == asked && options.is_empty();
    Ok(Negotiated {
        version,
        refused: (!satisfied).then_some(refused),
    })
}

/// Checks a server's answer to our own startup message and gives the version that holds. It may
/// come once; a second one is a protocol violation that the caller sees.
pub fn accept_answer(
    answer: &NegotiateProtocolVersion<'_>,
    sent: &StartupMessage,
    least: ProtocolVersion,
) -> Result<ProtocolVersion, NegotiationFault> {
    let asked = sent.version();
    let answered = answer.version;
    if answered > asked {
        return Err(NegotiationFault::Higher { asked, answered });
    }
    if answered < ProtocolVersion::V3_0 || answered == ProtocolVersion::V3_1 {
        return Err(NegotiationFault::Unknown(answered));
    }
    if answered < least {
        return Err(NegotiationFault::Lower { least, answered });
    }
    if answered == asked && answer.options.is_empty() {
        return Err(NegotiationFault::Nothing);
    }
    let requested = |option: Text<'_>| sent.protocol_options().any(|(name, _)| name == option);
    match answer.options.iter().all(requested) {
        true => Ok(answered),
        false => Err(NegotiationFault::Option),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    const V3_0: ProtocolVersion = ProtocolVersion::V3_0;
    const V3_1: ProtocolVersion = ProtocolVersion::V3_1;
    const V3_2: ProtocolVersion = ProtocolVersion::V3_2;
    const GREASE: ProtocolVersion = ProtocolVersion::new(3, 9999);

    fn message(version: ProtocolVersion, options: &[&str]) -> StartupMessage {
        let pairs = options.iter().map(|name| (name.as_bytes(), &b""[..]));
        StartupMessage::new(version, pairs).unwrap()
    }

    #[test]
    fn a_client_gets_the_newest_version_that_exists() {
        let unknown = "_pq_.test_protocol_negotiation";
        // (asked, options, newest, version, answer: options refused)
        let table: [(_, &[&str], _, _, Option<&[&str]>); 11] = [
            (V3_0, &[], V3_2, V3_0, None),
            (V3_2, &[], V3_2, V3_2, None),
            (V3_2, &[], V3_0, V3_0, Some(&[])),
            (V3_1, &[], V3_2, V3_0, Some(&[])),
            (V3_1, &[], V3_0, V3_0, Some(&[])),
            (ProtocolVersion::new(3, 3), &[], V3_2, V3_2, Some(&[])),
            (GREASE, &[unknown], V3_2, V3_2, Some(&[unknown])),
            (GREASE, &[unknown], V3_0, V3_0, Some(&[unknown])),
            (V3_0, &[unknown, "_pq_.known"], V3_2, V3_0, Some(&[unknown])),
            (V3_2, &[unknown], V3_2, V3_2, Some(&[unknown])),
            (V3_0, &["_pq_.known"], V3_2, V3_0, None),
        ];
        for (asked, options, newest, version, answer) in table {
            let sent = message(asked, options);
            let got = negotiate(&sent, &["_pq_.known"], newest).unwrap();
            assert_eq!(got.version, version, "{asked}");
            let said: Option<Vec<_>> = got.answer().map(|answer| {
                assert_eq!(answer.version, version);
                answer
                    .options
                    .iter()
                    .map(|text| text.utf8().unwrap())
                    .collect()
            });
            assert_eq!(said.as_deref(), answer, "{asked}");
            if let Some(answer) = got.answer() {
                assert_eq!(accept_answer(&answer, &sent, V3_0), Ok(version));
            }
        }
        let fault = negotiate(&message(ProtocolVersion::new(2, 0), &[]), &[], V3_2);
        assert_eq!(
            fault,
            Err(StartupFault::Version(ProtocolVersion::new(2, 0)))
        );
    }

    #[test]
    fn the_answer_to_grease_is_that_of_postgresql_18() {
        let sent = message(GREASE, &["_pq_.test_protocol_negotiation"]);
        let got = negotiate(&sent, &[], V3_2).unwrap();
        let mut out = Vec::new();
        got.answer().unwrap().encode(&mut out).unwrap();
        let mut expected = b"v\0\0\0\x2b\0\x03\0\x02\0\0\0\x01".to_vec();
        expected.extend(b"_pq_.test_protocol_negotiation\0");
        assert_eq!(out, expected);
    }

    #[test]
    fn hostile_answers_are_refused() {
        // (asked, option sent, answered, options in the answer, least, fault)
        let table: [(_, &str, _, &[&str], _, NegotiationFault); 9] = [
            (
                V3_0,
                "_pq_.a",
                V3_2,
                &[],
                V3_0,
                NegotiationFault::Higher {
                    asked: V3_0,
                    answered: V3_2,
                },
            ),
            (
                V3_2,
                "_pq_.a",
                V3_1,
                &[],
                V3_0,
                NegotiationFault::Unknown(V3_1),
            ),
            (
                V3_2,
                "_pq_.a",
                ProtocolVersion::new(2, 0),
                &[],
                V3_0,
                NegotiationFault::Unknown(ProtocolVersion::new(2, 0)),
            ),
            (
                V3_2,
                "_pq_.a",
                ProtocolVersion::new(0, 2),
                &[],
                V3_0,
                NegotiationFault::Unknown(ProtocolVersion::new(0, 2)),
            ),
            (
                V3_2,
                "_pq_.a",
                V3_0,
                &[],
                V3_2,
                NegotiationFault::Lower {
                    least: V3_2,
                    answered: V3_0,
                },
            ),
            (V3_2, "_pq_.a", V3_2, &[], V3_0, NegotiationFault::Nothing),
            (
                V3_2,
                "_pq_.a",
                V3_0,
                &["_pq_.b"],
                V3_0,
                NegotiationFault::Option,
            ),
            (
                V3_2,
                "_pq_.a",
                V3_0,
                &["_pq_.a", ""],
                V3_0,
                NegotiationFault::Option,
            ),
            (
                V3_2,
                "user",
                V3_0,
                &["user"],
                V3_0,
                NegotiationFault::Option,
            ),
        ];
        for (asked, option, version, options, least, fault) in table {
            let mut scratch = Vec::new();
            let options = Strings::pack(options.iter().map(|name| Text::from(*name)), &mut scratch);
            let answer = NegotiateProtocolVersion { version, options };
            let sent = message(asked, &[option]);
            assert_eq!(accept_answer(&answer, &sent, least), Err(fault));
        }
    }
}
