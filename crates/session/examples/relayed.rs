//! Relays so many transactions of a prepared driver (Bind, Execute, Sync), to be counted:
//! `valgrind --tool=callgrind target/release/examples/relayed session 100000`, and `transaction` or
//! `simple` in the place of `session`; with a third argument, statements are looked at. The difference of two counts is what a transaction costs.

use buf::Plain;
use patterns::Recogniser;
use session::inspect::Inspection;
use session::relay::{to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode, Pooled, StatementLimits};
use session::{ClientStream, Reported, Server};
use wire::ProtocolVersion;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let count: usize = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(1);
    let interner = Interner::new([0; 32], CacheLimits::default());
    let limits = StatementLimits::default();
    let mut stream = match mode.as_str() {
        "session" => ClientStream::new(0),
        _ => ClientStream::pooled(0, Pooled::new(interner, limits, Mode::Transaction)),
    };
    if arguments.next().is_some() {
        stream.inspect(Inspection {
            recogniser: Recogniser::new([0; 32]),
            keep_text: 0,
            keep_values: 0,
            traces: false,
        });
    }
    let mut link = Server::new(ProtocolVersion::V3_0, None, Reported::default());
    let mut plain: [Plain; 4] = std::array::from_fn(|_| Plain::with_capacity(80 * 1024));
    let [from_client, at_server, from_server, at_client] = &mut plain;
    let mut exchange = |requests: &[u8], answers: &[u8]| {
        stream.link(&mut link);
        from_client.push(requests).expect("room");
        to_server(&mut stream, &mut link, from_client, at_server).expect("no fault");
        at_server.clear();
        from_server.push(answers).expect("room");
        to_client(&mut stream, &mut link, from_server, at_client).expect("no fault");
        at_client.clear();
        if let Some(inspector) = &mut link.inspector {
            while inspector.next_event().is_some() {}
        }
        assert!(link.is_idle());
    };
    let text = b"s1\0SELECT abalance FROM pgbench_accounts WHERE aid = $1\0\0\0";
    let sync = frame(b'S', b"");
    let ready = frame(b'Z', b"I");
    let parse = [frame(b'P', text), sync.clone()].concat();
    exchange(&parse, &[frame(b'1', b""), ready.clone()].concat());
    let bind = frame(b'B', b"\0s1\0\0\0\0\x01\0\0\0\x0512345\0\0");
    let used = [bind, frame(b'E', b"\0\0\0\0\0"), sync].concat();
    let query = b"SELECT abalance FROM pgbench_accounts WHERE aid = 12345\0";
    let rows = [
        frame(b'D', b"\0\x01\0\0\0\x01\x30"),
        frame(b'C', b"SELECT 1\0"),
        ready,
    ]
    .concat();
    let (requests, answers) = match mode.as_str() {
        "simple" => (frame(b'Q', query), [frame(b'T', b"\0\0"), rows].concat()),
        _ => (used, [frame(b'2', b""), rows].concat()),
    };
    for _ in 0..count {
        exchange(&requests, &answers);
    }
}
