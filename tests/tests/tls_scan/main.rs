//! What public TLS scanners look for, asked of a listener with its default settings: old versions,
//! weak suites, compression, renegotiation, tickets, downgrades, and attacks that have names.
//!
//! The clients here are made by hand, of a library set to offer what nobody should, and of bare
//! bytes. `make test` asks for everything once; `make check-tls` also in every other combination.

mod hello;
mod offers;
mod protocol;
mod raw;

use std::net::SocketAddr;
use std::sync::OnceLock;

use e2e::{Stage, StagePlan};
use testkit::Peer;
use testkit::peer::message::SSL_REQUEST;

/// The listener that is scanned. No client logs in, so it needs no server.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| StagePlan::new("localhost", 1, "ca.crt".as_ref()).start())
}

fn address() -> SocketAddr {
    stage().proxy.address()
}

/// True for `make check-tls`.
fn thorough() -> bool {
    std::env::var_os("PORTCULLIS_CHECK_TLS").is_some()
}

/// How TLS begins (manual, "SSL Session Encryption").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Asked,
    Direct,
}

/// Both ways, or one where the time of `make test` is short.
fn beginnings() -> &'static [Begin] {
    match thorough() {
        true => &[Begin::Asked, Begin::Direct],
        false => &[Begin::Asked],
    }
}

/// A connection on which the ClientHello is due.
fn connected(begin: Begin) -> Peer {
    let mut peer = Peer::tcp(address());
    if begin == Begin::Asked {
        peer.send(&SSL_REQUEST);
        peer.expect(b"S");
    }
    peer
}

/// The listener still serves an honest client, and nothing in it has panicked.
#[track_caller]
fn is_well() {
    Peer::tls(address(), &stage().client_tls()).close();
    let log = stage().proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}
