//! The three kinds of bytes that Portcullis holds, as types.
//!
//! Owns: [`Plain`] (decrypted payload), [`Cipher`] (bytes as they are on a socket) and [`Secret`]
//! (passwords and keys). Takes and gives slices. Never does I/O, never grows, never prints content.
//!
//! The rule of the whole program is in these types: a socket write takes only `Cipher`, and only
//! the TLS engine turns `Plain` into `Cipher`. `Plain` and `Secret` are wiped when consumed and
//! when dropped.

mod fifo;
mod secret;
mod wipe;

pub use fifo::{Cipher, Full, Plain};
pub use secret::Secret;
pub use wipe::wipe;
