//! Owns BackendKeyData.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{CancelKey, Message, MessageFault, ProtocolVersion, Sink};
use buf::Full;

/// What cancels this session (manual, "BackendKeyData").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendKeyData {
    /// Process id of the server, or anything that stands for it.
    pub pid: u32,
    /// The secret.
    pub key: CancelKey,
}

impl BackendKeyData {
    /// True if the key's length is one that `version` allows: exactly 4 bytes before 3.2.
    pub fn fits(&self, version: ProtocolVersion) -> bool {
        version >= ProtocolVersion::V3_2 || self.key.expose().len() == 4
    }
}

impl Message<'_> for BackendKeyData {
    const TAG: u8 = tag::BACKEND_KEY_DATA;
    const NAME: &'static str = "BackendKeyData";

    fn decode(body: &[u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let pid = reader.u32("process id")?;
        let bytes = reader.rest();
        let key = CancelKey::new(bytes).ok_or(reader.bad("key length", bytes.len() as i64))?;
        Ok(Self { pid, key })
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u32(self.pid)?;
        out.put(self.key.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_lengths_depend_on_the_version() {
        for (len, before, since) in [
            (3, None, None),
            (4, Some(true), Some(true)),
            (5, Some(false), Some(true)),
            (32, Some(false), Some(true)),
            (256, Some(false), Some(true)),
            (257, None, None),
        ] {
            let body = [&[0, 0, 0, 9][..], &vec![1; len]].concat();
            let message = BackendKeyData::decode(&body).ok();
            let fits = |version| message.as_ref().map(|data| data.fits(version));
            assert_eq!(fits(ProtocolVersion::V3_0), before, "{len}");
            assert_eq!(fits(ProtocolVersion::V3_2), since, "{len}");
        }
    }
}
