//! Owns the passage of frames between a client and the server leased to it.
//!
//! Takes plaintext of one side and gives it to the other as it came, after each frame's header was
//! judged against the protocol and the ledger. A body that needs no judging passes in pieces,
//! so a 1 GiB row or Bind needs one buffer. Each direction moves at most what one read produced:
//! it runs only when the other side's output is empty, which bounds memory and lets the two
//! buffers change places instead of being copied.

mod belt;
mod cut;
mod opening;
mod plain;
mod pooled;
pub(crate) mod tags;
mod to_client;
mod to_server;

pub use opening::{Opening, opening, refuse};
pub use to_client::to_client;
pub use to_server::to_server;

/// What became of one direction's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// Whole and partial frames passed; the session goes on.
    Open,
    /// The client's Terminate is the next frame.
    Terminated,
    /// The server's FATAL ErrorResponse passed: the server closes next.
    ServerEnding,
}
