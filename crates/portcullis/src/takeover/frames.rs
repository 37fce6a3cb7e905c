//! Owns what two processes say to each other when one takes over from the other: whole frames from bytes
//! and back. Pure; the descriptors that go with [`Frame::Sockets`] are another's business.
//!
//! A frame is its length (two bytes, big-endian, without themselves), a letter, and a body. Later versions
//! may say more, but begin with the same [`Frame::Hello`].

use shell::inherit::Maker;
use wire::CancelKey;
use wire::startup::CancelRequest;

/// The version of what is said here.
pub(crate) const VERSION: u8 = 1;
/// Descriptors that go with one frame; the kernel takes 253 (SCM_MAX_FD).
pub(crate) const SOCKETS_MAX: usize = 64;
/// The longest frame, without its length: a cancel request has 264 bytes at most.
const FRAME_MAX: usize = 512;
const LENGTH: usize = 2;
/// So that whoever comes by mistake is told from who means it.
const HELLO: &[u8] = b"portcullis takeover";

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// By the new process: give me your sockets. With the version that it speaks.
    Hello(u8),
    /// By the old one: here they are, one of each maker, as descriptors beside this.
    Sockets {
        /// Who made which.
        makers: Vec<Maker>,
        /// No more follow.
        last: bool,
    },
    /// By the old one: it doesn't speak this version, but that one.
    OtherVersion(u8),
    /// By the new one: I accept clients.
    Ready,
    /// By the old one: then I do so no more.
    Done,
    /// By the old one: I have waited long enough, and go on.
    TooLate,
    /// By the new one: this may be for a session of yours.
    Cancel {
        /// Of this request, for the answer.
        number: u32,
        /// As the client made it.
        request: CancelRequest,
    },
    /// By the old one: that request is done.
    Cancelled(u32),
}

/// Bytes that are nothing of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbage;

impl Frame {
    /// The bytes of it. They hold a secret if it is a cancel request.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH];
        match self {
            Frame::Hello(version) => {
                bytes.push(b'H');
                bytes.extend_from_slice(HELLO);
                bytes.push(*version);
            }
            Frame::Sockets { makers, last } => {
                bytes.extend([b'S', u8::from(*last)]);
                bytes.extend(makers.iter().map(|maker| match maker {
                    Maker::Manager => b'm',
                    Maker::Proxy => b'p',
                }));
            }
            Frame::OtherVersion(version) => bytes.extend([b'V', *version]),
            Frame::Ready => bytes.push(b'R'),
            Frame::Done => bytes.push(b'D'),
            Frame::TooLate => bytes.push(b'L'),
            Frame::Cancel { number, request } => {
                bytes.push(b'C');
                bytes.extend(number.to_be_bytes());
                bytes.extend(request.pid.to_be_bytes());
                bytes.extend_from_slice(request.key.expose());
            }
            Frame::Cancelled(number) => {
                bytes.push(b'c');
                bytes.extend(number.to_be_bytes());
            }
        }
        let length = (bytes.len() - LENGTH) as u16;
        bytes[..LENGTH].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// The frame at the front, and its bytes; `None` while not all of it is here.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Garbage> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > FRAME_MAX {
            return Err(Garbage);
        }
        // What begins wrong is not waited for.
        if rest
            .first()
            .is_some_and(|letter| !b"HSVRDLCc".contains(letter))
        {
            return Err(Garbage);
        }
        let Some((letter, body)) = rest.get(..length).and_then(|it| it.split_first()) else {
            return Ok(None);
        };
        let frame = Frame::of(*letter, body).ok_or(Garbage)?;
        Ok(Some((frame, LENGTH + length)))
    }

    fn of(letter: u8, body: &[u8]) -> Option<Frame> {
        Some(match (letter, body) {
            (b'H', body) => match body.strip_prefix(HELLO)? {
                // A later version may have more to say.
                [version, ..] => Frame::Hello(*version),
                [] => return None,
            },
            (b'S', [last @ (0 | 1), makers @ ..]) if makers.len() <= SOCKETS_MAX => {
                let maker = |letter: &u8| match letter {
                    b'm' => Some(Maker::Manager),
                    b'p' => Some(Maker::Proxy),
                    _ => None,
                };
                let makers = makers.iter().map(maker).collect::<Option<_>>()?;
                let last = *last == 1;
                Frame::Sockets { makers, last }
            }
            (b'V', [version]) => Frame::OtherVersion(*version),
            (b'R', []) => Frame::Ready,
            (b'D', []) => Frame::Done,
            (b'L', []) => Frame::TooLate,
            (b'C', body) => {
                let (number, body) = body.split_first_chunk()?;
                let (pid, key) = body.split_first_chunk()?;
                Frame::Cancel {
                    number: u32::from_be_bytes(*number),
                    request: CancelRequest {
                        pid: u32::from_be_bytes(*pid),
                        key: CancelKey::new(key)?,
                    },
                }
            }
            (b'c', body) => Frame::Cancelled(u32::from_be_bytes(body.try_into().ok()?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Frame> {
        let cancel = |key: &[u8]| Frame::Cancel {
            number: 0x0102_0304,
            request: CancelRequest {
                pid: 77,
                key: CancelKey::new(key).unwrap(),
            },
        };
        let sockets = |makers: &[Maker], last| Frame::Sockets {
            makers: makers.to_vec(),
            last,
        };
        vec![
            Frame::Hello(VERSION),
            Frame::Hello(200),
            sockets(&[], true),
            sockets(&[Maker::Proxy, Maker::Manager], false),
            sockets(&[Maker::Manager; SOCKETS_MAX], true),
            Frame::OtherVersion(3),
            Frame::Ready,
            Frame::Done,
            Frame::TooLate,
            cancel(b"aaaa"),
            cancel(&[7; 256]),
            Frame::Cancelled(9),
        ]
    }

    #[test]
    fn what_was_said_is_heard_however_it_is_chopped() {
        for frame in all() {
            let mut bytes = frame.encode();
            let whole = bytes.len();
            for len in 0..whole {
                assert_eq!(Frame::decode(&bytes[..len]), Ok(None), "{frame:?} {len}");
            }
            bytes.extend_from_slice(b"more");
            assert_eq!(Frame::decode(&bytes), Ok(Some((frame, whole))));
        }
    }

    #[test]
    fn garbage_is_told_as_soon_as_it_is_seen() {
        let mut too_many = Frame::Sockets {
            makers: vec![Maker::Proxy; SOCKETS_MAX + 1],
            last: true,
        }
        .encode();
        too_many[3] = 1;
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\0\0",
            b"\0\x08\x04\xd2\x16\x2f",
            b"\x02\x01R",
            b"\xff\xffR",
            b"\0\x01?",
            b"\0\x01H",
            b"\0\x05Hport",
            b"\0\x02RR",
            b"\0\x02S\x02",
            b"\0\x03S\x01x",
            b"\0\x05C1234",
            b"\0\x04c123",
            &too_many,
        ] {
            let heard = Frame::decode(bytes);
            assert_eq!(heard, Err(Garbage), "{}", bytes.escape_ascii());
        }
    }

    /// Later versions may add to the first frame, not change its beginning.
    #[test]
    fn a_later_hello_is_understood() {
        let mut later = Frame::Hello(9).encode();
        later.extend_from_slice(b"and more");
        later[1] += 8;
        let len = later.len();
        assert_eq!(Frame::decode(&later), Ok(Some((Frame::Hello(9), len))));
    }
}
