//! Owns how cancel requests travel between instances that stand behind one address: which instance
//! issued a key, and how a request says that it was passed on already. Pure bytes; who is asked, and
//! over what, is the caller's.
//!
//! A client that shares server connections has a process id that is none: it holds the number of the
//! instance that made it up, never the key, all of which stays secret. The process id of a server
//! tells no instance, so all are asked. A request that is passed on carries one byte behind its key.
//! Keys issued here have 4 or 32 bytes, so 5 and 33 are such requests, and no other length can be
//! meant for another instance.

use wire::CancelKey;
use wire::startup::CancelRequest;

/// Bytes of the keys issued in protocol 3.0 and 3.2.
pub const KEY_BYTES: [usize; 2] = [4, 32];

/// The largest number of an instance.
pub const INSTANCE_MAX: u16 = 0x3fff;

/// Set in process ids that hold an instance's number. Servers' process ids are smaller (Linux:
/// PID_MAX_LIMIT is 2^22).
const MADE_UP: u32 = 1 << 30;

/// Bits below the instance's number.
const CHANCE_BITS: u32 = 16;

/// The byte behind the key of a request that was passed on.
const MARK: u8 = b'>';

/// A process id for a client that has no server of its own: by `chance`, and, if there are other
/// instances, by the number of this one. Never negative where it is read as a signed number.
pub fn made_up_pid(instance: Option<u16>, chance: u32) -> u32 {
    match instance {
        Some(number) => {
            let number = u32::from(number & INSTANCE_MAX);
            MADE_UP | number << CHANCE_BITS | chance & ((1 << CHANCE_BITS) - 1)
        }
        None => chance & 0x7fff_ffff,
    }
}

/// Who issued a key with this process id, where there are several instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// This one, and nobody else.
    Instance(u16),
    /// Any of them: it is a server's.
    Any,
}

/// Who may have issued a key with this process id.
pub fn issuer(pid: u32) -> Issuer {
    match pid & MADE_UP {
        0 => Issuer::Any,
        _ => Issuer::Instance((pid >> CHANCE_BITS) as u16 & INSTANCE_MAX),
    }
}

/// The request as it is passed on; `None` if no instance can have issued its key, or if it was passed
/// on already.
pub fn passed_on(request: &CancelRequest) -> Option<CancelRequest> {
    let key = request.key.expose();
    if !KEY_BYTES.contains(&key.len()) {
        return None;
    }
    let mut marked = [MARK; KEY_BYTES[1] + 1];
    marked[..key.len()].copy_from_slice(key);
    let key = CancelKey::new(&marked[..=key.len()]);
    buf::wipe(&mut marked);
    key.map(|key| CancelRequest {
        pid: request.pid,
        key,
    })
}

/// The request that another instance passed on; `None` if this one comes from a client.
pub fn received(request: &CancelRequest) -> Option<CancelRequest> {
    let key = request.key.expose();
    let (&mark, key) = key.split_last()?;
    if mark != MARK || !KEY_BYTES.contains(&key.len()) {
        return None;
    }
    CancelKey::new(key).map(|key| CancelRequest {
        pid: request.pid,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pid: u32, key: &[u8]) -> CancelRequest {
        CancelRequest {
            pid,
            key: CancelKey::new(key).unwrap(),
        }
    }

    #[test]
    fn a_made_up_pid_tells_its_instance_and_a_servers_tells_none() {
        for number in [1, 2, 77, INSTANCE_MAX] {
            for chance in [0, 1, 0xffff, u32::MAX] {
                let pid = made_up_pid(Some(number), chance);
                assert!(i32::try_from(pid).is_ok());
                assert_eq!(issuer(pid), Issuer::Instance(number), "{number} {chance}");
            }
        }
        for pid in [1, 4711, (1 << 22) - 1] {
            assert_eq!(issuer(pid), Issuer::Any);
        }
        assert_eq!(made_up_pid(None, u32::MAX), i32::MAX.cast_unsigned());
    }

    #[test]
    fn a_request_is_passed_on_once() {
        for len in 4..=256 {
            let first = request(7, &vec![b'>'; len]);
            let hop = passed_on(&first);
            assert_eq!(hop.is_some(), KEY_BYTES.contains(&len), "{len}");
            let Some(hop) = hop else { continue };
            assert_eq!(hop.key.expose().len(), len + 1);
            assert_eq!(passed_on(&hop), None);
            assert_eq!(received(&hop), Some(first.clone()));
            assert_eq!(received(&first), None);
        }
        // Five bytes with another end are nobody's key.
        let odd = request(7, b"aaaab");
        assert_eq!((received(&odd), passed_on(&odd)), (None, None));
    }
}
