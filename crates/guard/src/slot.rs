//! Owns the pieces that guarded mappings are cut into for secrets: a mapping for each would take a
//! page, and there may be a million of them.
//!
//! A slot has one of a few sizes. Slots that were given back are lent again, and their mappings are
//! kept: what secrets once needed is what they hold. What is too big for a slot gets a block.
#![allow(unsafe_code)]

use crate::mapping::Block;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sizes of slots in bytes: passwords, keys and verifiers; messages that carry them; small files.
const SIZES: [usize; 7] = [32, 64, 128, 256, 512, 1024, 4096];

/// One mapping that slots are cut from.
const SLAB: usize = 64 * 1024;

/// Bytes for one secret, zeroed before anybody gets them and wiped when they are given back.
pub struct Slot(Kind);

enum Kind {
    Small(Piece),
    Big(Block),
}

/// The first `len` bytes of a slot of size `SIZES[class]`.
struct Piece {
    start: NonNull<u8>,
    len: usize,
    class: usize,
}

// SAFETY: a piece is owned by one slot at a time; the shop hands each address out once.
unsafe impl Send for Piece {}
// SAFETY: a shared piece only gives out shared slices.
unsafe impl Sync for Piece {}

/// What is not lent out.
struct Shop {
    /// Addresses of slots, one list for each size.
    free: [Vec<Address>; SIZES.len()],
    /// Never dropped, so that a slot's address stays good.
    slabs: Vec<Block>,
}

/// The start of a slot that nobody has.
struct Address(NonNull<u8>);

// SAFETY: an address in the shop is nobody's; it points into a slab that is never unmapped.
unsafe impl Send for Address {}

static SHOP: Mutex<Shop> = Mutex::new(Shop {
    free: [const { Vec::new() }; SIZES.len()],
    slabs: Vec::new(),
});

fn shop() -> MutexGuard<'static, Shop> {
    // Nothing in the shop is half done when it panics: a list either has the address or not.
    SHOP.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let Some(class) = SIZES.iter().position(|size| len <= *size) else {
            return Self(Kind::Big(Block::new(len)));
        };
        let Address(start) = shop().take(class);
        Self(Kind::Small(Piece { start, len, class }))
    }
}

impl Shop {
    fn take(&mut self, class: usize) -> Address {
        loop {
            if let Some(address) = self.free[class].pop() {
                return address;
            }
            let mut slab = Block::new(SLAB);
            self.free[class].extend(
                slab.chunks_exact_mut(SIZES[class])
                    .map(|slot| Address(NonNull::from(slot).cast())),
            );
            self.slabs.push(slab);
        }
    }
}

impl Deref for Slot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Big(block) => block,
            // SAFETY: the slot has at least `len` initialised bytes in a slab that is never
            // unmapped, and is this piece's alone; the shared borrow excludes writers.
            Kind::Small(piece) => unsafe { slice::from_raw_parts(piece.start.as_ptr(), piece.len) },
        }
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Kind::Big(block) => block,
            // SAFETY: as above; the exclusive borrow is the only way to the bytes.
            Kind::Small(piece) => unsafe {
                slice::from_raw_parts_mut(piece.start.as_ptr(), piece.len)
            },
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The compiler may not drop these writes: the next owner of the bytes reads them.
        self.fill(0);
        std::hint::black_box(&mut **self);
        if let Kind::Small(piece) = &self.0 {
            shop().free[piece.class].push(Address(piece.start));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// The slabs are the process's: who counts them must be the only one who takes some.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn slots_do_not_overlap_and_come_back_wiped() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots: Vec<Slot> = (0..5000).map(|len| Slot::new(len % 5000)).collect();
        for (at, slot) in slots.iter_mut().enumerate() {
            assert_eq!(slot.len(), at);
            assert!(slot.iter().all(|byte| *byte == 0));
            slot.fill(at as u8);
        }
        for (at, slot) in slots.iter().enumerate() {
            assert!(slot.iter().all(|byte| *byte == at as u8));
        }
        drop(slots);
        for len in 0..5000 {
            assert!(Slot::new(len).iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn slots_are_used_again() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<Slot> = (0..10_000).map(|_| Slot::new(30)).collect();
        drop(before);
        let slabs = shop().slabs.len();
        for _ in 0..10 {
            drop((0..10_000).map(|_| Slot::new(32)).collect::<Vec<_>>());
        }
        assert_eq!(shop().slabs.len(), slabs);
    }
}
