//! Owns what replies tell of prepared statements: command tags, and errors that speak of a statement
//! which is no longer what it was.

use crate::statements::{ServerName, Stale};
use wire::Text;
use wire::frame::{HEADER, Header};

/// The tag of PREPARE, with its NUL.
pub(super) const PREPARED: &[u8] = b"PREPARE\0";

/// Bytes of a command tag with its NUL (`COMPLETION_TAG_BUFSIZE`).
pub(super) const TAG_BYTES_MAX: usize = 64;

/// Tags behind which no statement is left.
const ALL_GONE: [&[u8]; 2] = [b"DEALLOCATE ALL\0", b"DISCARD ALL\0"];

/// True if a CommandComplete has the length of a tag that counts.
#[inline]
pub(super) fn may_tell(header: Header) -> bool {
    matches!(header.body(), 8 | 12 | 15)
}

/// True if the tag says that no statement is left.
pub(crate) fn is_all_gone(body: &[u8]) -> bool {
    ALL_GONE.contains(&body)
}

/// True if a ParameterStatus speaks of a setting that decides what the server makes of a text.
pub(super) fn changes_reading(body: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [
        b"client_encoding",
        b"DateStyle",
        b"IntervalStyle",
        b"TimeZone",
        b"standard_conforming_strings",
        b"server_encoding",
    ];
    NAMES.contains(&Text::cut(body).bytes())
}

/// True if an ErrorResponse, as far as it is here, says that a statement on the server is not what
/// it is taken for: it is gone (26000, of a name of ours), or gives other columns than when it was
/// prepared (0A000 from `RevalidateCachedQuery` in plancache.c).
pub(super) fn tells_of_stale(header: Header, bytes: &[u8]) -> Option<Stale> {
    let body = &bytes[HEADER..bytes.len().min(header.total())];
    let field = |wanted: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&wanted))?;
        Some(&found[1..])
    };
    match field(b'C') {
        Some(b"0A000") => {
            let is_it = |routine| routine == b"RevalidateCachedQuery";
            field(b'R').is_none_or(is_it).then_some(Stale::Changed)
        }
        Some(b"26000") => {
            let prefix = ServerName::PREFIX;
            let is_ours = |text: &[u8]| text.windows(prefix.len()).any(|part| part == prefix);
            field(b'M').is_none_or(is_ours).then_some(Stale::Lost)
        }
        _ => None,
    }
}

/// True if an ErrorResponse says that the transaction has failed before (25P02).
pub(super) fn tells_of_failed_transaction(header: Header, bytes: &[u8]) -> bool {
    let body = &bytes[HEADER..bytes.len().min(header.total())];
    let mut fields = body.split(|byte| *byte == 0);
    fields.any(|field| field == b"C25P02")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_speak_of_stale_statements() {
        let table: &[(&[u8], Option<Stale>)] = &[
            (
                b"SERROR\0VERROR\0C0A000\0Mcached plan\0RRevalidateCachedQuery\0\0",
                Some(Stale::Changed),
            ),
            (b"SFEHLER\0VERROR\0C0A000\0Mx\0\0", Some(Stale::Changed)),
            (b"SERROR\0VERROR\0C0A000\0Mcan't\0RExecSomething\0\0", None),
            (
                b"SERROR\0VERROR\0C26000\0Mstatement \"pc_00\" does not exist\0\0",
                Some(Stale::Lost),
            ),
            (
                b"SERROR\0VERROR\0C26000\0Mstatement \"a\" does not exist\0\0",
                None,
            ),
            (b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0", None),
            (b"", None),
        ];
        for (body, stale) in table {
            let header = Header {
                tag: b'E',
                len: body.len() as u32 + 4,
            };
            let bytes = [&header.bytes()[..], body].concat();
            assert_eq!(
                tells_of_stale(header, &bytes),
                *stale,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn tags_that_count() {
        for (tag, tells, gone) in [
            (&b"DEALLOCATE ALL\0"[..], true, true),
            (b"DISCARD ALL\0", true, true),
            (b"PREPARE\0", true, false),
            (b"DISCARD TEMP\0", false, false),
            (b"SELECT 1\0", false, false),
        ] {
            let len = tag.len() as u32 + 4;
            assert_eq!(may_tell(Header { tag: b'C', len }), tells);
            assert_eq!(is_all_gone(tag), gone);
        }
    }
}
