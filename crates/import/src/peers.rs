//! Owns `[peers]`: other instances behind the same address.

use crate::Translation;
use crate::databases::is_host;
use crate::document::{Block, Value, setting};
use crate::fault::Problem;
use crate::ini::Entry;
use crate::note::Kind;
use crate::pairs::{pairs, printable};
use crate::value::number;

impl Translation<'_> {
    /// All peers, if this instance has a number among them.
    pub(crate) fn peers(&mut self) -> Vec<Block> {
        let Some(first) = self.ini.peers.first() else {
            return Vec::new();
        };
        if setting("peer", "id").is_none() {
            let text = "there are no peers here; a cancel request reaches the instance that it \
                        arrives at alone";
            self.note(Kind::Differs, ("peers", Some(&first.at)), text);
            return Vec::new();
        }
        let own = self.general("peer_id").and_then(|(_, value)| number(value));
        if own.is_none_or(|own| own <= 0) {
            let text = "without peer_id there are no peers; they are left out";
            self.note(Kind::Differs, ("peers", Some(&first.at)), text);
            return Vec::new();
        }
        let text = "peers have to be Portcullis, too: they talk over TLS, and PgBouncer's don't";
        self.note(Kind::Differs, ("peers", Some(&first.at)), text);
        let peers = &self.ini.peers;
        peers.iter().flat_map(|entry| self.peer(entry)).collect()
    }

    fn peer(&mut self, entry: &Entry) -> Vec<Block> {
        let at = Some(&entry.at);
        let mut peer = Block::many("peer");
        match number(&entry.key) {
            Some(id @ 1..=16383) => peer.set("id", Value::Number(id.unsigned_abs()), at),
            _ => self.bad((&entry.key, &entry.at), Problem::PeerId),
        }
        let pairs = match pairs(entry) {
            Ok(pairs) => pairs,
            Err(fault) => {
                self.faults.push(fault);
                return Vec::new();
            }
        };
        let mut local = false;
        for pair in &pairs {
            match (pair.key, pair.value()) {
                ("host", host) if is_host(host) => {
                    local = host.starts_with('/');
                    peer.set("host", Value::Text(host.to_owned()), at);
                }
                ("host", _) => self.faults.push(pair.fault(Problem::Host)),
                ("port", port) => match port.parse::<u16>() {
                    Ok(port @ 1..) => peer.set("port", Value::Number(port.into()), at),
                    _ => self.faults.push(pair.fault(Problem::Port)),
                },
                ("pool_size", _) => {
                    let key = format!("{}: pool_size", printable(&entry.key));
                    let text = "cancel_concurrency in [limits] bounds cancel requests of all kinds";
                    self.note(Kind::NotNeeded, (&key, at), text);
                }
                _ => self.faults.push(pair.fault(Problem::Parameter)),
            }
        }
        if !pairs.iter().any(|pair| pair.key == "host") {
            self.bad((&entry.key, &entry.at), Problem::PeerHost);
        }
        let mut blocks = vec![peer];
        if local {
            let mut tls = Block::once("peer.tls");
            tls.set("mode", Value::Text("disable".to_owned()), None);
            blocks.push(tls);
        }
        blocks
    }
}
