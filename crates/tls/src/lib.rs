//! The TLS of Portcullis: OpenSSL as a machine between four buffers.
//!
//! Owns contexts (what an operator configured), engines (one TLS connection each), the facts of a
//! finished handshake, and faults. Takes ciphertext and gives plaintext, or the other way round,
//! always in the caller's buffers. Never touches a socket, never waits, and, beside the
//! certificate files that a context is built from, never reads a file. The clock is an argument,
//! except in one place that OpenSSL keeps to itself: whether a peer's certificate has expired.
//!
//! `unsafe` exists in `ffi`, the file below it, and `heap` alone.

mod binding;
mod bio;
mod connection;
pub mod context;
mod engine;
mod facts;
mod fault;
mod ffi;
mod flood;
mod heap;
#[cfg(feature = "keylog")]
mod keylog;
pub mod mint;
mod name;
mod profile;
mod rehearsal;
mod rekey;
#[cfg(test)]
mod tests;
mod upkeep;
mod verify;

pub use context::{
    Chance, ClientCertificates, Clock, ContextFault, Dated, Expires, Expiry, Identity, KeySource,
    ListenerContext, ListenerSettings, NamedIdentity, Roots, ServerContext, ServerMode,
    ServerSettings, Source, Tickets, UnknownNames, Warning, io_reason, key_file_is_private,
};
pub use engine::{EndOfInput, Engine, Handshake, Received};
pub use facts::{Agreed, LegFacts, PeerCertificate};
pub use fault::{TlsFault, VerifyFault};
pub use flood::FloodKind;
pub use heap::{KeyHeap, KeyHeapFault, guard_keys, key_bytes, spare_wiping};
#[cfg(feature = "keylog")]
pub use keylog::file as key_log;
pub use name::{BadServerName, ServerName};
pub use profile::{Effective, MaximumVersion, MinimumVersion, Profile};
pub use rehearsal::{RehearsalFault, rehearse};
pub use rekey::KeyLimits;
pub use upkeep::{Renegotiation, Tally, Upkeep};

/// OpenSSL's version when this program was compiled and when it runs. They differ after the
/// distribution has updated libssl; the second one is what counts for security reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The headers' version.
    pub compiled: String,
    /// The loaded library's version, with its date.
    pub running: String,
}

/// Gives the memory that [`Engine::rest`] and closed connections have freed back to the system. The
/// C library would keep it: it lies in holes between what other connections still use. Takes a
/// millisecond or so; for a thread with nothing urgent to do, once in a while.
pub fn give_memory_back() {
    heap::records::give_back();
    #[cfg(target_env = "gnu")]
    ffi::trim_heap();
}

/// Both versions, for start-up lines and reports.
pub fn versions() -> Versions {
    let number = openssl_sys_version();
    Versions {
        compiled: format!(
            "OpenSSL {}.{}.{}",
            number >> 28,
            (number >> 20) & 0xff,
            (number >> 4) & 0xffff
        ),
        running: openssl::version::version().to_owned(),
    }
}

/// The running library's version: major, minor, patch.
pub fn library_version() -> (u32, u32, u32) {
    let number = openssl::version::number();
    let part = |shift: u32, bits: i64| u32::try_from((number >> shift) & bits).unwrap_or(0);
    (part(28, 0xf), part(20, 0xff), part(4, 0xffff))
}

/// OPENSSL_VERSION_NUMBER of the headers: 0xMNN00PP0 (openssl/opensslv.h).
fn openssl_sys_version() -> u64 {
    u64::from_str_radix(env!("PORTCULLIS_OPENSSL_HEADERS"), 16).unwrap_or(0)
}
