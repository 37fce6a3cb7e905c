//! Owns the rows about what surrounds the pools: other instances, names, memory.

use super::define::row;

row! {
    /// Another instance.
    Peer {
        /// Its number.
        peer_id: u32,
        /// Its host.
        host: String,
        /// Its port.
        port: u32,
        /// Connections to it at most.
        pool_size: u32,
    }
}

row! {
    /// Connections to another instance.
    PeerPool {
        /// Its number.
        peer_id: u32,
        /// Cancel requests that are being passed on to it.
        cl_active_cancel_req: u32,
        /// Cancel requests that wait to be passed on to it.
        cl_waiting_cancel_req: u32,
        /// Connections that pass on a cancel request.
        sv_active_cancel: u32,
        /// Connections that are being made.
        sv_login: u32,
    }
}

row! {
    /// A host name that was looked up.
    DnsHost {
        /// The name.
        hostname: String,
        /// Seconds until it is looked up again.
        ttl: u64,
        /// Its addresses, with commas.
        addrs: String,
    }
}

row! {
    /// A zone of host names.
    DnsZone {
        /// The zone.
        zonename: String,
        /// Its serial number.
        serial: u64,
        /// Names of it that were looked up.
        count: u32,
    }
}

row! {
    /// Memory for one kind of thing.
    Memory {
        /// The kind.
        name: String,
        /// Bytes of one.
        size: u64,
        /// How many are in use.
        used: u64,
        /// How many are kept for later.
        free: u64,
        /// Bytes of all.
        memtotal: u64,
    }
}
