//! Owns sealed lines: several records in one line of JSON, readable only for the recipients.
//!
//! `{"sealed":"BASE64","records":N}`, where the base64 is a whole file of `age`. One line holds about
//! [`TOGETHER`] bytes of records at most, unless one record alone is longer: whoever opens a log needs no more at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seal::{Chance, Identity, OpenFault, Recipient, open, seal};
use std::io;
use zeroize::Zeroizing;

/// Bytes of records that are sealed together, as far as they come together.
pub(crate) const TOGETHER: usize = 64 * 1024;

const BEGIN: &[u8] = b"{\"sealed\":\"";
const RECORDS: &[u8] = b"\",\"records\":";

/// A line of so many records, without its line end.
pub(crate) fn line(recipients: &[Recipient], plain: &[u8], records: u64) -> io::Result<Vec<u8>> {
    let mut random = Zeroizing::new(vec![0; Chance::len(recipients.len())]);
    openssl::rand::rand_bytes(&mut random).map_err(io::Error::other)?;
    let chance = Chance::of(&random, recipients.len());
    let chance = chance.ok_or_else(|| io::Error::other("too little chance"))?;
    let sealed = seal(recipients, plain, &chance).map_err(io::Error::other)?;
    let mut line = BEGIN.to_vec();
    line.extend_from_slice(STANDARD.encode(sealed).as_bytes());
    line.extend_from_slice(RECORDS);
    line.extend_from_slice(format!("{records}}}").as_bytes());
    Ok(line)
}

/// The base64 and the number of records of a sealed line, with or without its last brace.
pub(crate) fn read(line: &[u8]) -> Option<(&[u8], u64)> {
    let rest = line.strip_prefix(BEGIN)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let (text, rest) = rest.split_at(end);
    let records = rest.strip_prefix(RECORDS)?;
    let records = records.strip_suffix(b"}").unwrap_or(records);
    Some((text, std::str::from_utf8(records).ok()?.parse().ok()?))
}

/// Opens what `read` found: lines with line ends.
pub(crate) fn opened(text: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, OpenFault> {
    let sealed = STANDARD.decode(text).map_err(|_| OpenFault::Format)?;
    open(&sealed, identity)
}
