//! What end-to-end tests stand on: throw-away PostgreSQL clusters, certificates,
//! the running proxy, peers that speak raw bytes, and a relay that misbehaves.
//!
//! Everything here has its own ports and directories, so tests run in parallel,
//! and nothing outlives the test process, not even after SIGKILL (see [`guard`]).
//! A failure of the kit is a failure of the test that uses it: the kit panics
//! with a sentence that says what it waited for, at the caller's line.
//!
//! Only tests depend on this crate; the proxy and its demo never do.

pub mod account;
pub mod certificates;
pub mod cluster;
pub mod dns;
mod family;
pub mod fault;
pub mod guard;
#[cfg(target_arch = "x86_64")]
pub mod inject;
pub mod peer;
pub mod ports;
pub mod program;
pub mod proxy;
pub mod tools;
pub mod wait;

pub use certificates::{Authority, Certificate, Identity, KeyKind, Lifetime};
pub use cluster::flock::{Flock, FlockPlan, Member};
pub use cluster::{Binaries, Cluster, ClusterPlan};
pub use fault::{Fault, FaultPipe};
pub use nix::sys::signal::Signal;
pub use peer::{ClientTls, End, Frame, Peer, ScriptedServer, ServerTls};
pub use proxy::Portcullis;
