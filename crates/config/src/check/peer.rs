//! Owns the judgement of `[[peer]]` and `[peer.tls]`.

use super::Judge;
use crate::checked::{Host, Peer};
use crate::conflict::Conflict;
use crate::sections::{self, PeerTls, Sections};
use std::collections::HashMap;

impl Judge<'_, '_> {
    /// The other instances; one with this instance's own number is this one, and left out.
    pub(super) fn peers(&self, sections: &Sections) -> Vec<Peer> {
        let own = sections.listen.as_ref().map(|listen| &listen.peer_id);
        if let (Some(0), Some((first, _))) = (own.map(|id| id.value), sections.peers.first()) {
            self.conflict(&first.id, Conflict::PeerIdNeeded);
        }
        let mut numbers = HashMap::new();
        for (peer, _) in &sections.peers {
            match numbers.get(&peer.id.value) {
                Some(&first) => self.duplicate(&peer.id, first),
                None => drop(numbers.insert(peer.id.value, peer.id.span)),
            }
        }
        let judged = sections.peers.iter().filter_map(|it| self.peer(it));
        let others = judged.filter(|peer| own.is_none_or(|own| own.value != peer.id));
        others.collect()
    }

    fn peer(&self, (peer, PeerTls(tls)): &(sections::Peer, PeerTls)) -> Option<Peer> {
        let address = &peer.host.value;
        let tls = self.server_tls((&peer.host, &[address]), tls);
        Some(Peer {
            id: peer.id.value,
            host: Host {
                address: address.clone(),
                port: u16::try_from(peer.port.value).ok()?,
                tls: None,
            },
            tls: tls?,
            place: self.report.place(peer.id.span, "peer"),
        })
    }
}
