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

/// Buffers of each kind kept per thread; more than these, used in a burst, are given back.
const KEPT_MAX: usize = 16;

/// What a worker keeps of both kinds after a burst, in bytes.
pub const KEPT_BYTES: usize = KEPT_MAX * (PLAIN_BYTES + CIPHER_BYTES);

/// Buffers at hand. They change places with the empty ones of those who borrow, which costs less than
/// moving them in and out.
struct Kept<T> {
    places: [T; KEPT_MAX],
    /// So many of the first places have a buffer.
    count: usize,
}

thread_local! {
    static PLAIN: RefCell<Kept<Plain>> = RefCell::new(Kept {
        places: std::array::from_fn(|_| Plain::none()),
        count: 0,
    });
    static CIPHER: RefCell<Kept<Cipher>> = RefCell::new(Kept {
        places: std::array::from_fn(|_| Cipher::none()),
        count: 0,
    });
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
                $pool.with_borrow_mut(|kept| match kept.places.get_mut(kept.count) {
                    Some(place) if slot.capacity() == $bytes => {
                        std::mem::swap(slot, place);
                        kept.count += 1;
                    }
                    _ => *slot = $kind::none(),
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

/// Gives back all buffers at hand: called as a session goes to rest. What a burst needed is not worth keeping behind it,
/// and who moves bytes on the same worker takes new ones once a second at most.
pub fn clear() {
    macro_rules! clear {
        ($kind:ident, $pool:ident) => {
            $pool.with_borrow_mut(|kept| {
                let count = std::mem::take(&mut kept.count);
                kept.places[..count].fill_with($kind::none);
            });
        };
    }
    clear!(Plain, PLAIN);
    clear!(Cipher, CIPHER);
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

    #[test]
    fn behind_a_burst_nothing_is_kept() {
        let mut slots: [Plain; 3] = std::array::from_fn(|_| Plain::none());
        slots.iter_mut().for_each(borrow_plain);
        slots.iter_mut().for_each(give_back_plain);
        let kept = || {
            PLAIN.with_borrow(|kept| {
                let bytes = kept.places.iter().map(Plain::capacity).sum::<usize>();
                (kept.count, bytes)
            })
        };
        assert_eq!(kept(), (3, 3 * PLAIN_BYTES));
        clear();
        assert_eq!(kept(), (0, 0));
        borrow_plain(&mut slots[0]);
        assert_eq!(slots[0].capacity(), PLAIN_BYTES);
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
