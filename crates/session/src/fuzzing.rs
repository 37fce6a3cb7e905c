//! Owns the entry point of fuzzing: a plain function over arbitrary bytes that must never panic.

use crate::client::ClientStream;
use crate::inspect::Inspection;
use crate::relay::{Relayed, to_client, to_server};
use crate::server::{Reported, Server};
use crate::statements::{CacheLimits, Interner, Mode, Pooled, StatementLimits};
use buf::Plain;
use patterns::Recogniser;
use wire::ProtocolVersion;

/// Two hostile clients that share two hostile servers.
///
/// The input is a byte that chooses limits, then pieces: a byte that says whose it is, two bytes of
/// length, big end first, and so many bytes, or as many as there are.
///
/// # Panics
/// If a promise, or the record of a statement, is left when nothing is owed, or a frame under way when nothing passes.
pub fn relay(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let limits = StatementLimits {
        server_max: usize::from(choice & 3),
        client_max: 1 + usize::from(choice >> 2 & 3),
        client_bytes_max: 4096,
        statement_bytes_max: 1024,
    };
    let mode = match choice & 0x80 {
        0 => Mode::Transaction,
        _ => Mode::Statement,
    };
    let interner = Interner::new([choice; 32], CacheLimits::default());
    let client = || {
        let mut client = ClientStream::pooled(0, Pooled::new(interner.clone(), limits, mode));
        if choice & 0x40 != 0 {
            client.inspect(Inspection {
                recogniser: Recogniser::new([choice; 32]),
                keep_text: usize::from(choice & 1),
                keep_values: 64 * usize::from(choice & 1),
                traces: choice & 2 != 0,
            });
        }
        client
    };
    let server = || Server::new(ProtocolVersion::V3_0, None, Reported::default());
    let mut rig = Rig {
        clients: [client(), client()],
        servers: [server(), server()],
        lent: [None; 2],
        buffers: std::array::from_fn(|_| std::array::from_fn(|_| Plain::with_capacity(1024))),
        output: Plain::with_capacity(1024),
    };
    while let Some((&[whose, high, low], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (piece, after) = after.split_at(len);
        rest = after;
        if rig.piece(whose, piece).is_none() {
            return;
        }
    }
}

struct Rig {
    clients: [ClientStream; 2],
    servers: [Server; 2],
    /// The server of each client.
    lent: [Option<usize>; 2],
    /// From each client, from each server.
    buffers: [[Plain; 2]; 2],
    output: Plain,
}

impl Rig {
    /// Bytes from one side; `None` at a fault.
    fn piece(&mut self, whose: u8, mut piece: &[u8]) -> Option<()> {
        let (client, at, from_server) = (
            usize::from(whose & 1),
            usize::from(whose >> 1 & 1),
            whose & 4 != 0,
        );
        let server = self.lend(client, at)?;
        loop {
            let input = &mut self.buffers[usize::from(from_server)]
                [if from_server { server } else { client }];
            let count = piece.len().min(input.room());
            input.push(&piece[..count]).ok()?;
            piece = &piece[count..];
            let before = input.len();
            let (stream, link) = (&mut self.clients[client], &mut self.servers[server]);
            let relayed = match from_server {
                false => to_server(stream, link, input, &mut self.output),
                true => to_client(stream, link, input, &mut self.output),
            };
            let moved = count > 0 || input.len() != before || !self.output.is_empty();
            self.output.clear();
            assert!(!link.ledger.is_settled() || link.statements.is_settled());
            if let Some(inspector) = &mut link.inspector {
                while inspector.next_event().is_some() {}
                assert!(!link.ledger.is_settled() || inspector.progress().is_none());
            }
            if relayed != Ok(Relayed::Open) {
                return None;
            }
            if !moved || (count == 0 && !link.ledger.has_said()) {
                return Some(());
            }
        }
    }

    /// The server of a client, which keeps the one it has while something is under way.
    fn lend(&mut self, client: usize, at: usize) -> Option<usize> {
        if let Some(server) = self.lent[client] {
            let link = &self.servers[server];
            let may = link.is_idle() && link.ledger.is_closed();
            if !may || !self.clients[client].between_frames() {
                return Some(server);
            }
            if !self.buffers[1][server].is_empty() {
                return Some(server);
            }
            self.lent[client] = None;
        }
        let server = match self.lent[1 - client] == Some(at) {
            true => 1 - at,
            false => at,
        };
        self.lent[client] = Some(server);
        self.clients[client].link(&mut self.servers[server]);
        Some(server)
    }
}
