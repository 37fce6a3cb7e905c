//! Owns telling the untagged packets apart, within PostgreSQL's bounds (`ProcessStartupPacket`,
//! `ProcessCancelRequestPacket` in backend_startup.c).

use super::{ProtocolVersion, StartupMessage};
use crate::sink::SinkExt;
use crate::{CancelKey, Sink, StartupFault};
use buf::Full;

/// Code of CancelRequest: 1234.5678.
pub const CANCEL_REQUEST: u32 = 80_877_102;
/// Code of SSLRequest: 1234.5679.
pub const SSL_REQUEST: u32 = 80_877_103;
/// Code of GSSENCRequest: 1234.5680.
pub const GSSENC_REQUEST: u32 = 80_877_104;

/// All of an SSLRequest.
pub const SSL_REQUEST_BYTES: [u8; 8] = *b"\0\0\0\x08\x04\xd2\x16\x2f";

/// MAX_STARTUP_PACKET_LENGTH: the most that may follow the length word.
pub const PACKET_MAX: u32 = 10_000;

/// One untagged packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Asks for TLS; answered with one byte.
    Ssl,
    /// Asks for GSSAPI encryption; answered with one byte.
    Gss,
    /// Asks to cancel somebody's query; never answered.
    Cancel(CancelRequest),
    /// Opens a session.
    Startup(StartupMessage),
}

/// Asks to cancel what a session is doing (manual, "CancelRequest").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// From BackendKeyData.
    pub pid: u32,
    /// From BackendKeyData.
    pub key: CancelKey,
}

impl CancelRequest {
    /// Appends the packet, or nothing.
    pub fn encode<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        let key = self.key.expose();
        let total = 12 + key.len();
        if out.room() < total {
            return Err(Full {
                offered: total,
                room: out.room(),
            });
        }
        out.u32(total as u32)?;
        out.u32(CANCEL_REQUEST)?;
        out.u32(self.pid)?;
        out.put(key)
    }
}

/// True if a connection that starts so speaks TLS at once: 0x16 is a TLS handshake record, and as
/// a length word it would mean more than 369 MB.
#[inline]
pub fn is_tls(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x16)
}

/// The untagged packet at the front of `bytes` and its length, or nothing if more bytes are needed.
///
/// The length word is judged as soon as it is here. A version other than 3 is reported before the
/// parameters are looked at, as the server does.
pub fn first(bytes: &[u8]) -> Result<Option<(Packet, usize)>, StartupFault> {
    let Some((word, _)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*word);
    if !(4..=PACKET_MAX).contains(&len.wrapping_sub(4)) {
        return Err(StartupFault::Length { len });
    }
    let Some(packet) = bytes.get(4..len as usize) else {
        return Ok(None);
    };
    let (code, body) = packet.split_at(4);
    let code = u32::from_be_bytes([code[0], code[1], code[2], code[3]]);
    let packet = match code {
        SSL_REQUEST if body.is_empty() => Packet::Ssl,
        GSSENC_REQUEST if body.is_empty() => Packet::Gss,
        SSL_REQUEST | GSSENC_REQUEST => return Err(StartupFault::Request { code, len }),
        CANCEL_REQUEST => Packet::Cancel(cancel(body).ok_or(StartupFault::Request { code, len })?),
        version => {
            let version = ProtocolVersion::from_code(version);
            if version.major != 3 {
                return Err(StartupFault::Version(version));
            }
            Packet::Startup(StartupMessage::decode(version, body)?)
        }
    };
    Ok(Some((packet, len as usize)))
}

fn cancel(body: &[u8]) -> Option<CancelRequest> {
    let (pid, key) = body.split_first_chunk::<4>()?;
    Some(CancelRequest {
        pid: u32::from_be_bytes(*pid),
        key: CancelKey::new(key)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut out = (8 + body.len() as u32).to_be_bytes().to_vec();
        out.extend(code.to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn startup_of(total: usize) -> Vec<u8> {
        let fixed = b"user\0u\0a\0\0\0".len() + 8;
        let value = vec![b'x'; total - fixed];
        packet(0x30000, &[b"user\0u\0a\0", &value[..], b"\0\0"].concat())
    }

    #[test]
    fn lengths_are_judged_before_the_rest_comes() {
        // (length word, judged fine so far)
        for (len, fine) in [
            (0u32, false),
            (3, false),
            (4, false),
            (7, false),
            (8, true),
            (10_004, true),
            (10_005, false),
            (0x1603_0100, false),
            (0x7fff_ffff, false),
            (u32::MAX, false),
        ] {
            let expected = if fine {
                Ok(None)
            } else {
                Err(StartupFault::Length { len })
            };
            assert_eq!(first(&len.to_be_bytes()), expected, "{len}");
        }
        assert_eq!(StartupFault::Length { len: 0 }.sqlstate(), None);
    }

    #[test]
    fn the_largest_startup_packet_passes() {
        let bytes = startup_of(10_004);
        let (packet, total) = first(&bytes).unwrap().unwrap();
        assert_eq!(total, 10_004);
        assert!(matches!(packet, Packet::Startup(_)));
        assert_eq!(
            first(&startup_of(10_005)),
            Err(StartupFault::Length { len: 10_005 })
        );
    }

    #[test]
    fn requests_are_told_apart_by_their_codes() {
        assert_eq!(first(&SSL_REQUEST_BYTES), Ok(Some((Packet::Ssl, 8))));
        assert_eq!(
            first(&packet(GSSENC_REQUEST, b"")),
            Ok(Some((Packet::Gss, 8)))
        );
        let followed = [&SSL_REQUEST_BYTES[..], b"Q"].concat();
        assert_eq!(first(&followed), Ok(Some((Packet::Ssl, 8))));
        assert_eq!(
            first(&packet(SSL_REQUEST, b"x")),
            Err(StartupFault::Request {
                code: SSL_REQUEST,
                len: 9
            })
        );
        // (code, what the fault says)
        for (code, major, minor) in [(0x20000, 2, 0), (0x40000, 4, 0), (0x04d2_1631, 1234, 5681)] {
            let version = ProtocolVersion::new(major, minor);
            let fault = first(&packet(code, b"junk")).unwrap_err();
            assert_eq!(fault, StartupFault::Version(version));
            assert_eq!(fault.sqlstate().unwrap().as_str(), "0A000");
        }
    }

    #[test]
    fn cancel_keys_have_4_to_256_bytes() {
        for (len, fine) in [
            (0, false),
            (3, false),
            (4, true),
            (32, true),
            (256, true),
            (257, false),
        ] {
            let key = vec![0xa5; len];
            let bytes = packet(CANCEL_REQUEST, &[&[0, 0, 1, 2][..], &key].concat());
            match first(&bytes) {
                Ok(Some((Packet::Cancel(request), total))) => {
                    assert!(fine, "{len}");
                    assert_eq!((request.pid, request.key.expose()), (0x102, &key[..]));
                    assert_eq!(total, bytes.len());
                    let mut out = Vec::new();
                    request.encode(&mut out).unwrap();
                    assert_eq!(out, bytes);
                }
                other => {
                    assert!(!fine, "{len}: {other:?}");
                    assert!(matches!(other, Err(StartupFault::Request { .. })));
                }
            }
        }
        assert!(first(&packet(CANCEL_REQUEST, b"abc")).is_err());
    }

    #[test]
    fn tls_shows_in_the_first_byte() {
        assert!(is_tls(&[0x16, 3, 1]));
        assert!(!is_tls(&SSL_REQUEST_BYTES));
        assert!(!is_tls(&[]));
    }
}
