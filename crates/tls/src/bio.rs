//! Owns the place where libssl meets the caller's buffers: while a call lasts, they are lent to it.
//!
//! Takes nothing but the two queues, which change places in and out without being copied. What is
//! lent and what is at home is decided by `lend` alone: outside of a call both queues here are
//! empty ones without memory.
//!
//! Reading gives libssl never more than the rest of one record. So it holds no record in advance,
//! and the engine knows after each call, without asking, whether there is anything left to decrypt.

use crate::engine::Engine;
use crate::heap::records::{self, Whole};
use buf::Cipher;
use std::io::{self, ErrorKind, Read, Write};

/// Bytes of a record's header: type, version, length (RFC 8446 section 5.1).
const HEADER: usize = 5;

/// The two ends of a record stream.
pub(crate) struct Lent {
    pub(crate) input: Cipher,
    pub(crate) output: Cipher,
    /// A call lasts.
    is_lent: bool,
    record: Record,
    /// Records that libssl has in whole since the buffers were lent.
    pub(crate) whole: u32,
    /// libssl asked for more than there was since the buffers were lent.
    pub(crate) starved: bool,
    /// Something did not fit into `output`; the connection is lost.
    pub(crate) overflowed: bool,
    /// libssl has read into a buffer that nobody but itself overwrites when it is freed.
    pub(crate) is_elsewhere: bool,
    /// The record that libssl got last, if it has all of it.
    pub(crate) last: Whole,
}

/// How much of the current record libssl has.
enum Record {
    /// Some bytes of the header, not all.
    Header { seen: [u8; HEADER], count: usize },
    /// The header, and all of the body but `missing` bytes.
    Body { missing: usize, whole: usize },
}

const START: Record = Record::Header {
    seen: [0; HEADER],
    count: 0,
};

fn body_length(header: &[u8]) -> usize {
    usize::from(header[3]) << 8 | usize::from(header[4])
}

impl Lent {
    pub(crate) fn new() -> Lent {
        Lent {
            input: Cipher::none(),
            output: Cipher::none(),
            is_lent: false,
            record: START,
            whole: 0,
            starved: false,
            overflowed: false,
            is_elsewhere: false,
            last: Whole::NONE,
        }
    }

    /// Exchanges both queues with the caller's: once before libssl is called, once after.
    #[inline]
    pub(crate) fn lend(&mut self, input: &mut Cipher, output: &mut Cipher) {
        self.is_lent = !self.is_lent;
        self.starved = false;
        self.whole = 0;
        std::mem::swap(&mut self.input, input);
        std::mem::swap(&mut self.output, output);
    }

    /// True if libssl has only whole records.
    #[inline]
    pub(crate) fn is_between_records(&self) -> bool {
        matches!(self.record, Record::Header { count: 0, .. })
    }

    /// Decides how many of the oldest bytes libssl gets, up to `room`; gives also the length of the record that
    /// ends with them, or 0.
    #[inline]
    fn next(&mut self, room: usize) -> (usize, usize) {
        let bytes = self.input.bytes();
        match &mut self.record {
            Record::Header { count: 0, .. } if bytes.len() >= HEADER && room >= HEADER => {
                let whole = HEADER + body_length(bytes);
                let given = whole.min(bytes.len()).min(room);
                match whole - given {
                    0 => (given, whole),
                    missing => {
                        self.record = Record::Body { missing, whole };
                        (given, 0)
                    }
                }
            }
            Record::Header { seen, count } => {
                let given = (HEADER - *count).min(bytes.len()).min(room);
                seen[*count..*count + given].copy_from_slice(&bytes[..given]);
                *count += given;
                if *count < HEADER {
                    return (given, 0);
                }
                let missing = body_length(seen);
                let whole = HEADER + missing;
                if missing == 0 {
                    self.record = START;
                    return (given, whole);
                }
                self.record = Record::Body { missing, whole };
                (given, 0)
            }
            Record::Body { missing, whole } => {
                let given = (*missing).min(bytes.len()).min(room);
                *missing -= given;
                if *missing > 0 {
                    return (given, 0);
                }
                let whole = *whole;
                self.record = START;
                (given, whole)
            }
        }
    }
}

impl Read for Lent {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (given, whole) = self.next(into.len());
        if given == 0 {
            self.starved = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let into = &mut into[..given];
        into.copy_from_slice(&self.input.bytes()[..given]);
        self.is_elsewhere |= !records::reached(into);
        self.last = Whole::ending_with(into, whole);
        self.whole += u32::from(whole > 0);
        self.input.consume(given);
        Ok(given)
    }
}

impl Write for Lent {
    /// Takes all or fails for good: a write that would have to be repeated can break the
    /// connection inside libssl, once the peer sends KeyUpdates. Who reads lends no output, as libssl
    /// rarely has something to say then.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.output.capacity() == 0 && self.is_lent {
            self.output = Cipher::with_capacity(Engine::OUTPUT_MIN);
        }
        match self.output.push(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => {
                self.overflowed = true;
                Err(ErrorKind::StorageFull.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(lengths: &[usize]) -> Vec<u8> {
        let record = |length: &usize| {
            let mut bytes = vec![23, 3, 3, (*length >> 8) as u8, *length as u8];
            bytes.resize(HEADER + length, 7);
            bytes
        };
        lengths.iter().flat_map(record).collect()
    }

    proptest! {
        /// However the input is chopped and however much libssl asks for, no read crosses the
        /// border of a record, and no byte is lost or repeated.
        #[test]
        fn no_read_crosses_a_record(
            lengths in prop::collection::vec(0usize..700, 1..6),
            chops in prop::collection::vec(1usize..900, 1..8),
            room in 1usize..1000,
        ) {
            let stream = records(&lengths);
            let mut borders = vec![0];
            for length in &lengths {
                borders.push(borders[borders.len() - 1] + HEADER + length);
            }
            let mut lent = Lent::new();
            let mut home = Cipher::with_capacity(stream.len());
            lent.lend(&mut home, &mut Cipher::none());
            let (mut given, mut taken, mut into) = (0, Vec::new(), vec![0; room]);
            for chop in chops.iter().cycle() {
                let end = stream.len().min(given + chop);
                lent.input.push(&stream[given..end]).unwrap();
                given = end;
                while let Ok(count) = lent.read(&mut into) {
                    let before = taken.len();
                    taken.extend_from_slice(&into[..count]);
                    prop_assert!(!borders.iter().any(|b| before < *b && *b < taken.len()));
                    prop_assert_eq!(lent.is_between_records(), borders.contains(&taken.len()));
                }
                if given == stream.len() {
                    break;
                }
            }
            prop_assert_eq!(taken, stream);
            // What it was read into lies in no place of the record buffers.
            prop_assert_eq!(lent.is_elsewhere, true);
        }
    }

    /// Nobody would send it.
    #[test]
    fn what_is_written_while_nothing_is_lent_is_refused() {
        let (mut lent, mut output) = (Lent::new(), Cipher::none());
        assert!(lent.write(b"lost").is_err() && lent.overflowed);
        lent.lend(&mut Cipher::none(), &mut output);
        assert_eq!(lent.write(b"said").unwrap(), 4);
        lent.lend(&mut Cipher::none(), &mut output);
        assert_eq!(output.bytes(), b"said");
        assert!(lent.write(b"lost").is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut lent = Lent::new();
        lent.lend(&mut Cipher::none(), &mut Cipher::with_capacity(4));
        assert_eq!(lent.write(b"abc").unwrap(), 3);
        assert!(lent.write(b"de").is_err());
        assert!(lent.overflowed);
        assert_eq!(lent.output.bytes(), b"abc");
    }
}
