//! Memory for what must not be found later: decrypted payload and secrets.
//!
//! Owns mappings of their own, beside the heap: the kernel leaves them out of core dumps, gives a
//! child zeros in their place, and keeps them out of swap once [`lock`] was called. [`Block`] is one
//! mapping, for buffers; [`Slot`] is a small piece of a shared one, for secrets;
//! [`Range`] is for an allocator of blocks that others fill. Like an allocator it
//! keeps its books for the whole process; it never looks at what is stored.

mod books;
mod mapping;
mod range;
mod registers;
mod slot;

pub use books::{Held, NotLockable, held, lock};
pub use mapping::Block;
pub use range::Range;
pub use registers::clear_registers;
pub use slot::Slot;
