//! Whole exchanges in memory: `Gate` and `Answer` against each other, and each against peers that
//! lie. Uses nothing but the crate's public types.

// clippy.toml allows these in tests, but sees only functions marked #[test], not what they share.
#![allow(clippy::unwrap_used)]

mod fuzz;
mod hostile_client;
mod hostile_server;
mod pair;
mod secrets;
mod settings;
mod tampering;
mod unknown_users;
