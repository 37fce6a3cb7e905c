//! Owns the settings of peers: other instances that share an address with this one, to which a cancel
//! request may belong that arrives here.

use super::DatabaseTls;
use crate::checked::HostAddress;
use crate::setting::Fallback::Value;
use crate::setting::{Bounds, same_section, section};

/// PgBouncer's numbers of peers.
pub(super) const PEER_ID: u64 = 16383;

section! {
    /// Another instance behind the same address, as behind a load balancer: cancel requests for its
    /// clients that arrive here go there. The list may hold this instance itself, so that all can
    /// have the same one.
    Peer = "peer", AnyTimes {
        /// Its listen.peer_id.
        id: u32 { bounds: Bounds::new(1, PEER_ID), sample: "2" }
        /// Where it listens: a name, an IP address, or the directory of its Unix socket.
        host: HostAddress { sample: "\"proxy2.example.com\"" }
        /// Its port.
        port: u32 { fallback: Value("6432"), bounds: Bounds::new(1, 65535) }
    }
}

same_section! {
    /// Encryption towards the peer above it. The settings are those of [database.tls], with the same
    /// defaults.
    PeerTls = "peer.tls", Once, as DatabaseTls
}
