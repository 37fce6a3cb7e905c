//! SCRAM-SHA-256 (RFC 5802, RFC 7677): keys, verifiers, message texts and both sides' arithmetic.
//!
//! The exchanges themselves are states of [`Gate`](crate::Gate) and [`Answer`](crate::Answer).

mod client_text;
mod kept;
mod keys;
mod server_text;
pub(crate) mod text;
mod verifier;

pub(crate) use client_text::{BindingFlag, ClientFinal, ClientFirst, FirstFault};
pub use kept::Kept;
pub(crate) use keys::{AuthMessage, recover_client_key};
pub use keys::{Derivation, ScramKeys, derive};
pub(crate) use server_text::{ServerFirst, parse_server_final};
pub(crate) use verifier::{PREFIX, parse_iterations};
pub use verifier::{ScramFault, ScramVerifier};

/// What PostgreSQL accepts as one SCRAM message (`PG_MAX_SASL_MESSAGE_LENGTH`).
pub(crate) const MESSAGE_LEN_MAX: usize = 1024;
/// The most iterations that anybody may make Portcullis compute or store.
pub(crate) const ITERATIONS_MAX: u32 = 1_000_000;
/// The longest salt accepted; PostgreSQL's have 16 bytes.
pub(crate) const SALT_LEN_MAX: usize = 256;
/// PostgreSQL's default of `scram_iterations`.
pub const ITERATIONS_DEFAULT: u32 = 4096;
/// PostgreSQL's length of a salt.
pub(crate) const SALT_LEN: usize = 16;
