//! Whole exchanges in memory: `Gate` and `Answer` against each other, and each against peers that
//! lie. Uses nothing but the crate's public types.

mod fuzz;
mod hostile_client;
mod hostile_server;
mod pair;
mod secrets;
mod settings;
mod tampering;
mod unknown_users;
