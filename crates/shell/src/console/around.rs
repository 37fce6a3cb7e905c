//! Owns the tables about what surrounds the pools: other instances, names of hosts, memory.

use super::show::{count, place};
use super::{Client, Desk};
use crate::context::Context;
use crate::rest::ServerSide;
use crate::setup::{Peer, Setup};
use admin::{DnsHost, Memory, PeerPool};
use session::Traffic;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Names of hosts with the addresses of the connections that there are.
pub(super) fn hosts(desk: &Desk) -> Vec<DnsHost> {
    let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for server in desk.living() {
        let is_name =
            server.common.host.parse::<IpAddr>().is_err() && !server.common.host.starts_with('/');
        if is_name {
            let addresses = hosts.entry(server.common.host.clone()).or_default();
            addresses.insert(server.common.address.0.clone());
        }
    }
    let row = |(hostname, addresses): (String, BTreeSet<String>)| DnsHost {
        hostname,
        // The system is asked again for each connection.
        ttl: 0,
        addrs: addresses.into_iter().collect::<Vec<_>>().join(","),
    };
    hosts.into_iter().map(row).collect()
}

/// Memory of what is kept for each client and server connection, without buffers and TLS.
pub(super) fn memory(context: &Context) -> Vec<Memory> {
    let desk = &context.console;
    let row = |name: &str, size: usize, used: usize| {
        let (size, used) = (size as u64, used as u64);
        Memory {
            name: name.to_owned(),
            size,
            used,
            // What is not used goes back to the allocator.
            free: 0,
            memtotal: size.saturating_mul(used),
        }
    };
    vec![
        row(
            "client",
            size_of::<Client>() + size_of::<crate::client::ClientSide>(),
            desk.clients.all().len(),
        ),
        row(
            "server",
            size_of::<ServerSide>() + size_of::<Traffic>(),
            desk.living().len(),
        ),
        row("pool_times", size_of::<super::Times>(), desk.times.len()),
    ]
}

/// Other instances.
pub(super) fn peers(setup: &Setup) -> Vec<admin::Peer> {
    let row = |peer: &Peer| {
        let (host, port) = place(&peer.host.address);
        admin::Peer {
            peer_id: u32::from(peer.number),
            host,
            port,
            pool_size: count(setup.limits.cancels_max),
        }
    };
    setup.peers.others.iter().map(row).collect()
}

/// What is being passed on to them.
pub(super) fn peer_pools(context: &Context, setup: &Setup) -> Vec<PeerPool> {
    let row = |peer: &Peer| {
        let asking = context.cancels.asking(peer.number);
        PeerPool {
            peer_id: u32::from(peer.number),
            cl_active_cancel_req: asking,
            sv_active_cancel: asking,
            ..PeerPool::default()
        }
    };
    setup.peers.others.iter().map(row).collect()
}
