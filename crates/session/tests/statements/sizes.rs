//! Long statements and long values through small buffers, and what may not be kept.

use crate::model::{Model, frame, frames};
use crate::shared::pooled;
use buf::Plain;
use session::relay::{Relayed, to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode, StatementLimits};
use session::{ClientStream, Reported, Server};
use wire::ProtocolVersion;

const CAPACITY: usize = 4096;

/// A client and servers with small buffers between them.
struct Pair {
    stream: ClientStream,
    links: Vec<(Server, Model)>,
    input: Plain,
    output: Plain,
    from_server: Plain,
    read: Vec<u8>,
}

impl Pair {
    fn new(limits: StatementLimits) -> Pair {
        let interner = Interner::new([3; 32], CacheLimits::default());
        let server = || Server::new(ProtocolVersion::V3_0, None, Reported::default());
        let mut pair = Pair {
            stream: pooled(&interner, limits, Mode::Transaction),
            links: (0..2).map(|_| (server(), Model::default())).collect(),
            input: Plain::with_capacity(CAPACITY),
            output: Plain::with_capacity(CAPACITY),
            from_server: Plain::with_capacity(CAPACITY),
            read: vec![],
        };
        pair.link(0);
        pair
    }

    fn link(&mut self, at: usize) {
        self.stream.link(&mut self.links[at].0);
    }

    /// Sends to a server in pieces, and reads the answers.
    fn send(&mut self, at: usize, mut bytes: &[u8]) {
        let (link, model) = &mut self.links[at];
        loop {
            let count = bytes.len().min(self.input.room());
            self.input.push(&bytes[..count]).expect("room");
            bytes = &bytes[count..];
            let relayed = to_server(&mut self.stream, link, &mut self.input, &mut self.output);
            assert_eq!(relayed, Ok(Relayed::Open));
            let sent = self.output.len();
            model.take(self.output.bytes());
            self.output.clear();
            while !model.output.is_empty() || link.ledger.has_said() {
                let count = model.output.len().min(self.from_server.room());
                self.from_server.push(&model.output[..count]).expect("room");
                model.output.drain(..count);
                let before = self.from_server.len();
                let relayed = to_client(
                    &mut self.stream,
                    link,
                    &mut self.from_server,
                    &mut self.output,
                );
                assert_eq!(relayed, Ok(Relayed::Open));
                let stuck = self.output.is_empty() && self.from_server.len() == before;
                assert!(!stuck || count > 0, "nothing moves");
                self.read.extend_from_slice(self.output.bytes());
                self.output.clear();
            }
            if sent == 0 && count == 0 {
                break;
            }
        }
        assert!(self.input.is_empty() && self.stream.between_frames());
    }

    /// Tags of what the client has read since the last call, with the SQLSTATEs of errors.
    fn tags(&mut self) -> String {
        let tags = frames(&mut self.read)
            .into_iter()
            .map(|(tag, body)| match tag {
                b'E' => String::from_utf8_lossy(&body[14..20]).into_owned(),
                tag => (tag as char).to_string(),
            });
        tags.collect::<Vec<_>>().join(" ")
    }
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    frame(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn execute(name: &str) -> Vec<u8> {
    let bind = frame(b'B', format!("\0{name}\0\0\0\0\0\0\0").as_bytes());
    [bind, frame(b'E', b"\0\0\0\0\0"), frame(b'S', b"")].concat()
}

fn long(bytes: usize) -> String {
    format!("SELECT {}", "1".repeat(bytes))
}

#[test]
fn long_statements_pass_and_are_prepared_elsewhere_through_small_buffers() {
    for name in ["a", ""] {
        for bytes in [100, 2000, 2040, 2050, 4090, 10_000, 300_000] {
            let mut pair = Pair::new(StatementLimits::default());
            let text = long(bytes);
            pair.send(0, &[parse(name, &text), execute(name)].concat());
            assert_eq!(pair.tags(), "1 2 D C Z", "{name} {bytes}");
            for at in [1, 0, 1] {
                pair.link(at);
                pair.send(at, &execute(name));
                let row = frames(&mut pair.read);
                assert_eq!(row.len(), 4, "{name} {bytes}");
                assert!(row[1].1.starts_with(text.as_bytes()));
            }
            // Known already, or said to be there.
            pair.send(1, &[parse("b", &text), frame(b'S', b"")].concat());
            assert_eq!(pair.tags(), "1 Z");
            pair.send(1, &[parse("b", &text), frame(b'S', b"")].concat());
            assert_eq!(pair.tags(), "C42P05 Z");
        }
    }
}

#[test]
fn what_is_longer_than_may_be_kept() {
    let limits = StatementLimits {
        statement_bytes_max: 5000,
        ..StatementLimits::default()
    };
    let mut pair = Pair::new(limits);
    pair.send(0, &[parse("a", &long(6000)), execute("a")].concat());
    assert_eq!(pair.tags(), "C54000 Z");
    // The unnamed one passes. It is where it was parsed, and nowhere else.
    pair.send(0, &[parse("", &long(6000)), execute("")].concat());
    assert_eq!(pair.tags(), "1 2 D C Z");
    pair.send(0, &execute(""));
    assert_eq!(pair.tags(), "2 D C Z");
    pair.link(1);
    pair.send(1, &execute(""));
    assert_eq!(pair.tags(), "C26000 Z");
    assert!(!pair.links[1].0.lease.unknown);
}

#[test]
fn bytes_of_all_names_are_bounded() {
    let limits = StatementLimits {
        client_bytes_max: 10_000,
        ..StatementLimits::default()
    };
    let mut pair = Pair::new(limits);
    for name in ["a", "b", "c"] {
        pair.send(0, &[parse(name, &long(3000)), frame(b'S', b"")].concat());
        assert_eq!(pair.tags(), "1 Z");
    }
    pair.send(0, &[parse("d", &long(3000)), frame(b'S', b"")].concat());
    assert_eq!(pair.tags(), "C53400 Z");
    pair.send(0, &[frame(b'C', b"Sa\0"), frame(b'S', b"")].concat());
    pair.send(0, &[parse("d", &long(3000)), frame(b'S', b"")].concat());
    assert_eq!(pair.tags(), "3 Z 1 Z");
}

#[test]
fn a_long_bind_is_renamed_and_passes_in_pieces() {
    let mut pair = Pair::new(StatementLimits::default());
    pair.send(0, &[parse("a", "SELECT $1"), frame(b'S', b"")].concat());
    let value = vec![b'v'; 1 << 20];
    let len = (value.len() as u32).to_be_bytes();
    let body = [b"\0a\0\0\0\0\x01", &len[..], &value, b"\0\0"].concat();
    pair.send(0, &[frame(b'B', &body), frame(b'S', b"")].concat());
    assert_eq!(pair.tags(), "1 Z 2 Z");
    let (tag, got) = &pair.links[0].1.taken[2];
    assert_eq!((*tag, got.len()), (b'B', body.len() - 1 + 35));
    assert!(got.ends_with(&body[3..]));
}

#[test]
fn names_that_never_end_are_refused() {
    let mut pair = Pair::new(StatementLimits::default());
    let endless = vec![b'x'; 100_000];
    for tag in *b"BP" {
        pair.send(0, &[frame(tag, &endless), frame(b'S', b"")].concat());
        assert_eq!(pair.tags(), "C08P01 Z", "{}", tag as char);
    }
}
