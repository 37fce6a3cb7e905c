//! The heart: what a client and a server may say to each other, as a pure function of bytes.
//!
//! Owns the greeting before TLS, the start of a client, the login to a server, the ledger of owed
//! replies, the relay between the two, and every fault with what the client reads of it. Takes and
//! gives plaintext buffers. Never touches a socket, a clock, a random generator or TLS.

pub mod arrival;
pub mod cancel;
mod client;
pub mod farewell;
pub mod fault;
#[cfg(test)]
mod framed;
#[doc(hidden)]
pub mod fuzzing;
pub mod govern;
pub mod greeting;
pub mod hop;
pub mod inspect;
pub mod ledger;
pub mod lending;
pub mod listing;
pub mod login;
pub mod lookup;
pub mod mirror;
pub mod relay;
pub mod reset;
pub mod routes;
pub mod routing;
mod server;
pub mod statements;
mod traffic;
pub mod welcome;
pub mod wishes;

pub use client::ClientStream;
pub use server::{Reported, Server};
pub use traffic::{Passed, Traffic};
