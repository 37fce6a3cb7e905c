//! Owns what makes records provable: each line ends with its writer, its number and a hash over itself and the hash of
//! the line before.
//!
//! The hash is SHA-256 over the 32 bytes of the hash before (zeros in front of a writer's first line) and the line's own
//! bytes up to its hash. Pure.

use openssl::sha::Sha256;
use std::fmt;
use std::str::FromStr;

/// Who writes: a name drawn by chance when its chain begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer(pub [u8; 4]);

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A place in a writer's chain: its last record, and the hash there. As text `WRITER:NUMBER:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whose it is.
    pub writer: Writer,
    /// The number of its last record; 0 before the first.
    pub seq: u64,
    /// The hash of its last line.
    pub hash: [u8; 32],
}

/// A text that is no place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write WRITER:NUMBER:HASH, as `portcullis audit verify` prints it")]
pub struct BadLink;

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.writer, self.seq)?;
        self.hash.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl FromStr for Link {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Link, BadLink> {
        let mut parts = text.trim().splitn(3, ':');
        let mut next = || parts.next().ok_or(BadLink);
        Ok(Link {
            writer: Writer(hex(next()?.as_bytes()).ok_or(BadLink)?),
            seq: next()?.parse().map_err(|_| BadLink)?,
            hash: hex(next()?.as_bytes()).ok_or(BadLink)?,
        })
    }
}

/// `N` bytes from as many pairs of lower-case digits.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl Link {
    /// In front of a writer's first record.
    pub(crate) fn start(writer: Writer) -> Link {
        Link {
            writer,
            seq: 0,
            hash: [0; 32],
        }
    }

    /// Appends `line`, which has no line end, with a stamp that says that it is so many records; goes on behind it.
    pub(crate) fn stamp(&mut self, line: &[u8], records: u64, to: &mut Vec<u8>) {
        let begin = to.len();
        let first = self.seq + 1;
        let writer = self.writer;
        let json = line.strip_suffix(b"}").filter(|_| is_json(line));
        to.extend_from_slice(json.unwrap_or(line));
        let (number, hash, end) = match json {
            Some(_) => (
                format!(",\"writer\":\"{writer}\",\"seq\":{first}"),
                JSON_HASH,
                "\"}",
            ),
            None => (format!(" writer={writer} seq={first}"), HUMAN_HASH, ""),
        };
        to.extend_from_slice(number.as_bytes());
        self.hash = self.over(&to[begin..]);
        self.seq += records;
        to.extend_from_slice(hash);
        for byte in self.hash {
            to.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        to.extend_from_slice(end.as_bytes());
        to.push(b'\n');
    }

    /// The hash of a line that follows.
    pub(crate) fn over(&self, hashed: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.hash);
        hash.update(hashed);
        hash.finish()
    }
}

const JSON_HASH: &[u8] = b",\"chain\":\"";
const HUMAN_HASH: &[u8] = b" chain=";

fn is_json(line: &[u8]) -> bool {
    line.first() == Some(&b'{')
}

/// A line with its stamp taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamped<'a> {
    /// What its hash is over.
    pub(crate) hashed: &'a [u8],
    /// The line without any of the stamp; of JSON without the last brace.
    pub(crate) body: &'a [u8],
    pub(crate) writer: Writer,
    /// The number of its first record.
    pub(crate) first: u64,
    /// How many records it is.
    pub(crate) records: u64,
    pub(crate) hash: [u8; 32],
}

impl Stamped<'_> {
    /// Reads a line without its line end; `None` if it has no stamp.
    pub(crate) fn read(line: &[u8]) -> Option<Stamped<'_>> {
        let (line, hash_mark, writer_mark, seq_mark): (_, _, &[u8], &[u8]) = match is_json(line) {
            true => (
                line.strip_suffix(b"\"}")?,
                JSON_HASH,
                b",\"writer\":\"",
                b"\",\"seq\":",
            ),
            false => (line, HUMAN_HASH, b" writer=", b" seq="),
        };
        let (rest, hash) = line.split_at_checked(line.len().checked_sub(64)?)?;
        let hashed = rest.strip_suffix(hash_mark)?;
        let digits = hashed.iter().rev().take_while(|it| it.is_ascii_digit());
        let (rest, seq) = hashed.split_at(hashed.len() - digits.count());
        let rest = rest.strip_suffix(seq_mark)?;
        let (rest, writer) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
        let body = rest.strip_suffix(writer_mark)?;
        let (_, records) = crate::sealed::read(body).unwrap_or((b"", 1));
        let first: u64 = std::str::from_utf8(seq).ok()?.parse().ok()?;
        // Numbers that can't go on are no numbers of ours.
        first.checked_add(records)?;
        Some(Stamped {
            hashed,
            body,
            writer: Writer(hex(writer)?),
            first: Some(first).filter(|it| *it > 0)?,
            records: Some(records).filter(|it| *it > 0)?,
            hash: hex(hash)?,
        })
    }

    /// Where the chain stands behind it.
    pub(crate) fn link(&self) -> Link {
        Link {
            writer: self.writer,
            seq: self.first + self.records - 1,
            hash: self.hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes are those of `(printf '\0…\0'; printf LINE) | sha256sum`.
    #[test]
    fn stamps_are_read_as_they_were_written() {
        let writer = Writer([0xa1, 0xb2, 0xc3, 0x04]);
        for (line, wanted) in [
            (
                &b"{\"a\":1}"[..],
                "{\"a\":1,\"writer\":\"a1b2c304\",\"seq\":1,\"chain\":\"",
            ),
            (b"2026 a=1", "2026 a=1 writer=a1b2c304 seq=1 chain="),
        ] {
            let mut link = Link::start(writer);
            let mut out = Vec::new();
            link.stamp(line, 1, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with(wanted), "{text}");
            let read = Stamped::read(text.trim_end().as_bytes()).unwrap();
            assert_eq!(read.link(), link);
            assert_eq!(read.hash, Link::start(writer).over(read.hashed));
            assert_eq!(read.body, line.strip_suffix(b"}").unwrap_or(line));
            assert_eq!(link.to_string().parse(), Ok(link));
        }
        for no_line in ["", "{}", "x", "{\"a\":1,\"chain\":\"00\"}", " chain="] {
            assert_eq!(Stamped::read(no_line.as_bytes()), None, "{no_line}");
        }
        for no_link in ["", "a1b2c304", "a1b2c304:1:00", "a1b2c30:1:"] {
            assert_eq!(no_link.parse::<Link>(), Err(BadLink));
        }
    }

    #[test]
    fn a_line_hangs_on_all_before() {
        let mut one = Link::start(Writer([1; 4]));
        let mut other = one;
        one.stamp(b"{\"a\":1}", 1, &mut Vec::new());
        other.stamp(b"{\"a\":2}", 1, &mut Vec::new());
        assert_ne!(one.over(b"next"), other.over(b"next"));
    }
}
