//! Owns the buffers of one worker thread: ports borrow them while bytes are in them and hand them
//! back empty, so an idle session holds none.
//!
//! Scratch memory of a thread, nothing else: no session's state lives here, and what comes back is
//! empty (and wiped, where it was `Plain`).

use buf::{Cipher, Plain};
use std::cell::RefCell;

/// Ciphertext taken from a socket with one read.
pub const READ_BYTES: usize = 64 * 1024;

/// Plaintext that one turn moves in one direction: what one read brings, and room for one record
/// more, without which the engine would stop before the last.
pub const PLAIN_BYTES: usize = READ_BYTES + 16 * 1024;

/// Ciphertext of one turn: the plaintext's records with their overhead, and a reserve for what TLS
/// itself has to say (a KeyUpdate answer, an alert).
pub const CIPHER_BYTES: usize = PLAIN_BYTES + 8 * 1024;

/// Buffers of each kind that a worker keeps for itself.
const KEPT_MIN: usize = 16;

/// Buffers of each kind that a worker keeps at most. A client that waits for a server connection holds the buffer that
/// its request lies in, so as many buffers come back and are borrowed again as there are clients that wait at a time.
/// Mapping one anew, and unmapping it, costs the system as much as a message on its way through.
const KEPT_MAX: usize = 1024;

/// Buffers of each kind that one port may have borrowed at a time.
const PER_PORT: usize = 2;

/// What a worker keeps of both kinds for itself, in bytes.
pub const KEPT_BYTES: usize = KEPT_MIN * (PLAIN_BYTES + CIPHER_BYTES);

/// Buffers at hand. They change places with the empty ones of those who borrow, which costs less than
/// moving them in and out.
struct Kept<T> {
    places: Vec<T>,
    /// So many of the first places have a buffer.
    count: usize,
}

thread_local! {
    static PLAIN: RefCell<Kept<Plain>> = const { RefCell::new(Kept { places: Vec::new(), count: 0 }) };
    static CIPHER: RefCell<Kept<Cipher>> = const { RefCell::new(Kept { places: Vec::new(), count: 0 }) };
}

macro_rules! lend {
    ($borrow:ident, $give_back:ident, $kind:ident, $pool:ident, $bytes:ident) => {
        /// Gives `slot` a buffer if it has none.
        #[inline]
        pub fn $borrow(slot: &mut $kind) {
            #[inline(never)]
            fn borrow(slot: &mut $kind) {
                $pool.with_borrow_mut(|kept| match kept.count.checked_sub(1) {
                    Some(last) => {
                        kept.count = last;
                        std::mem::swap(slot, &mut kept.places[last]);
                    }
                    None => *slot = $kind::with_capacity($bytes),
                });
            }
            if slot.capacity() == 0 {
                borrow(slot);
            }
        }

        /// Takes the buffer of `slot` back if it is empty; one of another size is dropped.
        #[inline]
        pub fn $give_back(slot: &mut $kind) {
            #[inline(never)]
            fn give_back(slot: &mut $kind) {
                $pool.with_borrow_mut(|kept| {
                    if slot.capacity() != $bytes || kept.count == KEPT_MAX {
                        *slot = $kind::none();
                        return;
                    }
                    if kept.count == kept.places.len() {
                        kept.places.push($kind::none());
                    }
                    std::mem::swap(slot, &mut kept.places[kept.count]);
                    kept.count += 1;
                });
            }
            if slot.capacity() > 0 && slot.is_empty() {
                give_back(slot);
            }
        }
    };
}

lend!(borrow_plain, give_back_plain, Plain, PLAIN, PLAIN_BYTES);
lend!(
    borrow_cipher,
    give_back_cipher,
    Cipher,
    CIPHER,
    CIPHER_BYTES
);

/// Drops so many buffers of each kind, down to `least`.
fn shed(count: usize, least: usize) {
    macro_rules! shed {
        ($kind:ident, $pool:ident) => {
            $pool.with_borrow_mut(|kept| {
                let before = kept.count;
                let left = before.saturating_sub(count).max(least).min(before);
                kept.count = left;
                // The places of many would be worth as much as some sessions.
                if left < kept.places.capacity() / 4 {
                    kept.places.truncate(left);
                    kept.places.shrink_to(2 * left);
                } else {
                    kept.places[left..before].fill_with($kind::none);
                }
            });
        };
    }
    shed!(Plain, PLAIN);
    shed!(Cipher, CIPHER);
}

/// A session with so many ports goes to rest, and what these may have borrowed goes back to the system: so when all
/// have gone to rest, nothing is kept of what a burst needed, while those who move bytes go on with what is left.
/// Nobody rests more often than once a second.
pub fn rest(ports: usize) {
    shed(ports * PER_PORT, 0);
}

/// A client is gone: without clients, no more is kept than what a worker keeps for itself.
pub fn leave() {
    shed(PER_PORT, KEPT_MIN);
}

/// Gives what lies in a buffer of another size one of the worker's.
#[cold]
pub fn enlarge_cipher(slot: &mut Cipher) {
    if slot.capacity() < CIPHER_BYTES {
        let mut lent = Cipher::none();
        borrow_cipher(&mut lent);
        if lent.push(slot.bytes()).is_ok() {
            *slot = lent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_another_size_is_never_lent_out() {
        give_back_cipher(&mut Cipher::with_capacity(16));
        let mut slot = Cipher::none();
        borrow_cipher(&mut slot);
        assert_eq!(slot.capacity(), CIPHER_BYTES);
    }

    /// Buffers at hand, of which each is one of the worker's.
    fn kept() -> usize {
        PLAIN.with_borrow(|kept| {
            let bytes = kept.places.iter().map(Plain::capacity).sum::<usize>();
            assert_eq!(bytes, kept.count * PLAIN_BYTES);
            kept.count
        })
    }

    /// As many clients borrow a buffer and give it back, as waiting clients do whom a server connection is lent.
    fn burst(clients: usize) {
        let mut slots: Vec<Plain> = (0..clients).map(|_| Plain::none()).collect();
        slots.iter_mut().for_each(borrow_plain);
        slots.iter_mut().for_each(give_back_plain);
    }

    #[test]
    fn as_many_as_wait_at_a_time_find_their_buffers_again() {
        burst(100);
        assert_eq!(kept(), 100);
        burst(100);
        assert_eq!(kept(), 100);
        burst(KEPT_MAX + 1);
        assert_eq!(kept(), KEPT_MAX);
    }

    #[test]
    fn when_all_rest_nothing_is_kept() {
        burst(7);
        rest(1);
        assert_eq!(kept(), 5);
        rest(2);
        assert_eq!(kept(), 1);
        rest(2);
        assert_eq!(kept(), 0);
        burst(1);
        assert_eq!(kept(), 1);
    }

    #[test]
    fn when_all_have_left_a_worker_keeps_what_is_its_own() {
        burst(100);
        for _ in 0..100 {
            leave();
        }
        assert_eq!(kept(), KEPT_MIN);
        rest(1);
        leave();
        assert_eq!(kept(), KEPT_MIN - PER_PORT);
    }

    #[test]
    fn what_lies_in_a_small_buffer_gets_a_large_one() {
        let mut slot = Cipher::with_capacity(16);
        slot.push(b"said").unwrap();
        enlarge_cipher(&mut slot);
        assert_eq!(
            (slot.bytes(), slot.capacity()),
            (&b"said"[..], CIPHER_BYTES)
        );
    }

    #[test]
    fn only_empty_buffers_go_back() {
        let mut slot = Plain::none();
        borrow_plain(&mut slot);
        assert_eq!(slot.capacity(), PLAIN_BYTES);
        slot.push(b"x").unwrap();
        give_back_plain(&mut slot);
        assert_eq!(slot.bytes(), b"x");
        slot.clear();
        give_back_plain(&mut slot);
        assert_eq!(slot.capacity(), 0);
    }
}
