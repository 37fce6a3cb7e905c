//! The shell: everything that touches the world, and as little else as possible.
//!
//! Owns sockets, timers, threads, randomness and the order of a session's steps (`life`); the
//! steps themselves are pure machines of the other crates. Takes a [`setup::Setup`], gives a
//! running [`Proxy`].
//!
//! Reading order: `life` (one client from accept to close), `pump` (the loop that moves bytes),
//! `port` (socket, TLS engine, buffers), then what they use.

mod acceptor;
mod alone;
mod aside;
mod balancer;
mod bell;
mod brevity;
mod cancel;
mod chance;
mod client;
mod clusters;
pub mod console;
mod context;
mod control;
mod credentials;
mod crowd;
mod derive;
pub mod dial;
mod door;
mod elder;
mod entry;
mod exchange;
mod flow;
mod greet;
mod happenings;
mod hold;
pub mod inherit;
pub mod inquiry;
mod inspection;
mod keeper;
pub mod leg;
mod lend;
mod life;
mod live;
mod log;
mod mirror;
mod observed;
mod peers;
pub mod port;
pub mod probe;
mod proxy;
mod pulse;
mod pump;
mod ready;
mod rest;
pub mod setup;
mod socket;
mod standstill;
mod stopwatch;
mod strangers;
mod tcp;
mod trouble;
mod turn;
mod views;
mod watch;
mod welcomes;
mod worker;

pub use acceptor::listen_unix;
pub use derive::Deriver;
pub use elder::{PassedBack, PassedBackTo};
pub use lend::KEPT_BYTES;
pub use observed::Observed;
pub use proxy::{Proxy, StartFault};
pub use pulse::{BEAT_MAX, Beat};
