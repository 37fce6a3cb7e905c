//! Properties of the relay: what passes is what came, whatever the chopping, and nothing passes
//! that nobody asked for. Exchanges are scripts of frames; `>Q` is a Query from the client, `<Z` a
//! ReadyForQuery from the server, and every body is filled with bytes that tell whose it is.

use buf::Plain;
use proptest::prelude::*;
use session::fault::{Fault, FaultKind, Side};
use session::relay::{Relayed, to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode, Pooled, StatementLimits};
use session::{ClientStream, Reported, Server};
use wire::ProtocolVersion;

type Verdict = Result<Relayed, FaultKind>;

/// Exchanges that a correct server and client have, with extended and simple protocol, pipelines,
/// errors, copies of all kinds, and asynchronous messages in between.
const EXCHANGES: &[&str] = &[
    ">Q <T <D <D <D <C <Z",
    ">Q <I <Z >Q <E <Z",
    ">Q <N <T <S <D <A <C <T <C <Z",
    ">P >B >Dp >E >S <1 <2 <T <D <D <s <Z",
    ">P >Ds >S <1 <t <n <Z >B >E >C >S <2 <C <3 <Z",
    ">P >B >E >S >P >B >E >S <1 <2 <D <C <Z <E <Z",
    ">P >B >E >H <1 <2 <D <C >S <Z",
    ">P >B >E >B >E >H <E >B >E >Q >S <Z",
    ">F <V <Z >F <E <Z",
    ">Q <G >d >d >d >c <C <Z",
    ">Q <G >d >f <E <Z >Q <C <Z",
    ">Q <G >d <E <Z >d >c >Q <I <Z",
    ">Q <H <d <d <c <C <Z",
    ">P >B >E >S <1 <2 <G >d >c >S <C <Z",
    ">P >B >E >S >d >c >S <1 <2 <E <Z <Z",
    ">Q <W <d >d <d >d <c >c <C <Z",
    "<N <S <A >Q <C <Z <N",
];

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

/// The bytes of one word of a script; `size` varies the bodies that have no format to keep.
fn bytes(word: &str, size: usize) -> Vec<u8> {
    let stamp = |owner: u8| vec![owner; size];
    match word {
        ">Ds" => frame(b'D', b"Sname\0"),
        ">Dp" => frame(b'D', b"P\0"),
        ">S" | ">H" | ">c" | "<1" | "<2" | "<3" | "<n" | "<s" | "<I" | "<c" => {
            frame(word.as_bytes()[1], b"")
        }
        "<Z" => frame(b'Z', b"I"),
        "<S" => frame(b'S', b"application_name\0x\0"),
        "<E" => frame(b'E', b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0"),
        word if word.starts_with('>') => frame(word.as_bytes()[1], &stamp(b'c')),
        word => frame(word.as_bytes()[1], &stamp(b's')),
    }
}

fn server() -> Server {
    Server::new(ProtocolVersion::V3_0, None, Reported::default())
}

/// Two sides between which bytes are relayed as a worker does it.
struct Pair {
    stream: ClientStream,
    link: Server,
    from_client: Plain,
    at_server: Plain,
    from_server: Plain,
    at_client: Plain,
}

impl Pair {
    fn new() -> Pair {
        let plain = || Plain::with_capacity(4096);
        Pair {
            stream: ClientStream::new(10_000),
            link: server(),
            from_client: plain(),
            at_server: plain(),
            from_server: plain(),
            at_client: plain(),
        }
    }

    fn client_sends(&mut self, bytes: &[u8], got: &mut Vec<u8>) -> Result<Relayed, Fault> {
        self.from_client.push(bytes).expect("room for a piece");
        let relayed = to_server(
            &mut self.stream,
            &mut self.link,
            &mut self.from_client,
            &mut self.at_server,
        );
        got.extend_from_slice(self.at_server.bytes());
        self.at_server.clear();
        relayed
    }

    fn server_sends(&mut self, bytes: &[u8], got: &mut Vec<u8>) -> Result<Relayed, Fault> {
        self.from_server.push(bytes).expect("room for a piece");
        let relayed = to_client(
            &mut self.stream,
            &mut self.link,
            &mut self.from_server,
            &mut self.at_client,
        );
        got.extend_from_slice(self.at_client.bytes());
        self.at_client.clear();
        relayed
    }
}

/// Plays a script in pieces of the given sizes, over and over; gives what each side got.
fn play(script: &str, size: usize, pieces: &[usize]) -> (Pair, [Vec<u8>; 2], [Vec<u8>; 2]) {
    let mut pair = Pair::new();
    let (mut sent, mut got) = ([vec![], vec![]], [vec![], vec![]]);
    let mut pieces = pieces.iter().cycle();
    for word in script.split_whitespace() {
        let whole = bytes(word, size);
        let side = usize::from(word.starts_with('<'));
        sent[side].extend_from_slice(&whole);
        let mut rest = &whole[..];
        while !rest.is_empty() {
            let count = (*pieces.next().expect("an endless cycle")).clamp(1, rest.len());
            let (piece, after) = rest.split_at(count);
            let relayed = match side {
                0 => pair.client_sends(piece, &mut got[0]),
                _ => pair.server_sends(piece, &mut got[1]),
            };
            assert_eq!(relayed, Ok(Relayed::Open), "{script} at {word}");
            rest = after;
        }
    }
    (pair, sent, got)
}

proptest! {
    #[test]
    fn any_chopping_gives_the_same_bytes(
        script in prop::sample::select(EXCHANGES),
        size in 0usize..300,
        pieces in prop::collection::vec(1usize..400, 1..20),
    ) {
        let (pair, sent, got) = play(script, size, &pieces);
        prop_assert_eq!(&sent, &got);
        prop_assert!(pair.link.is_idle());
        prop_assert!(pair.stream.between_frames());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_change(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..40),
    ) {
        let mut pair = Pair::new();
        let (mut sent, mut got) = ([vec![], vec![]], [vec![], vec![]]);
        for (from_server, piece) in pieces {
            let side = usize::from(from_server);
            sent[side].extend_from_slice(&piece);
            let relayed = match from_server {
                false => pair.client_sends(&piece, &mut got[0]),
                true => pair.server_sends(&piece, &mut got[1]),
            };
            if !matches!(relayed, Ok(Relayed::Open)) {
                break;
            }
        }
        for side in 0..2 {
            prop_assert!(sent[side].starts_with(&got[side]));
        }
    }
}

/// What the relay says to frames of one side alone.
fn verdict(words: &[&[u8]]) -> Verdict {
    let mut pair = Pair::new();
    let mut got = vec![];
    let mut last = Ok(Relayed::Open);
    for (index, bytes) in words.iter().enumerate() {
        last = match index % 2 {
            0 => pair.client_sends(bytes, &mut got),
            _ => pair.server_sends(bytes, &mut got),
        };
        if last.is_err() {
            break;
        }
    }
    last.map_err(|fault| fault.kind)
}

#[test]
fn frames_that_may_not_pass() {
    let query = frame(b'Q', b"x\0");
    let bad_length = |tag, len: u32| [&[tag][..], &len.to_be_bytes()].concat();
    let table: &[(&[&[u8]], Verdict)] = &[
        (
            &[b"p\0\0\0\x04"],
            Err(FaultKind::UnknownMessage { tag: b'p' }),
        ),
        (
            &[b"\0\0\0\0\x04"],
            Err(FaultKind::UnknownMessage { tag: 0 }),
        ),
        (
            &[&bad_length(b'Q', 0)],
            Err(FaultKind::BadLength { tag: b'Q', len: 0 }),
        ),
        (
            &[&bad_length(b'Q', 3)],
            Err(FaultKind::BadLength { tag: b'Q', len: 3 }),
        ),
        (
            &[&bad_length(b'Q', u32::MAX)],
            Err(FaultKind::BadLength {
                tag: b'Q',
                len: u32::MAX,
            }),
        ),
        (
            &[&bad_length(b'E', 10_001)],
            Err(FaultKind::BadLength {
                tag: b'E',
                len: 10_001,
            }),
        ),
        (
            &[&bad_length(b'd', 3)],
            Err(FaultKind::BadLength { tag: b'd', len: 3 }),
        ),
        (&[b"X\0\0\0\x04"], Ok(Relayed::Terminated)),
        (
            &[b"", &frame(b'R', &[0; 4])],
            Err(FaultKind::LoginMessageLater { tag: b'R' }),
        ),
        (
            &[b"", &frame(b'K', &[0; 8])],
            Err(FaultKind::LoginMessageLater { tag: b'K' }),
        ),
        (
            &[b"", b"?\0\0\0\x04"],
            Err(FaultKind::UnknownMessage { tag: b'?' }),
        ),
        (
            &[b"", &bad_length(b'C', 30_001)],
            Err(FaultKind::BadLength {
                tag: b'C',
                len: 30_001,
            }),
        ),
        (
            &[b"", &bad_length(b'D', u32::MAX)],
            Err(FaultKind::BadLength {
                tag: b'D',
                len: u32::MAX,
            }),
        ),
        (
            &[b"", &frame(b'E', b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0")],
            Ok(Relayed::ServerEnding),
        ),
        (
            &[b"", &frame(b'E', b"S\xC3\x89\0VPANIC\0\0")],
            Ok(Relayed::ServerEnding),
        ),
        (&[&query, &frame(b'E', b"")], Ok(Relayed::Open)),
        (&[&query, &frame(b'E', b"Cxxxxx\0\0")], Ok(Relayed::Open)),
        (
            &[b"", &frame(b'S', b"\0x\0")],
            Err(FaultKind::Malformed {
                tag: b'S',
                what: "length of the name",
            }),
        ),
        (
            &[b"", &frame(b'S', b"a\0x")],
            Err(FaultKind::Malformed {
                tag: b'S',
                what: "two strings",
            }),
        ),
        (
            &[&query, &frame(b'Z', b"X")],
            Err(FaultKind::Malformed {
                tag: b'Z',
                what: "transaction status",
            }),
        ),
    ];
    for (words, expected) in table {
        assert_eq!(verdict(words), *expected, "{words:?}");
    }
    for unasked in [
        &b"D\0\0\0\x06\0\0"[..],
        b"Z\0\0\0\x05I",
        b"C\0\0\0\x05\0",
        b"d\0\0\0\x04",
    ] {
        let verdict = verdict(&[b"", unasked]);
        assert!(
            matches!(verdict, Err(FaultKind::OutOfTurn(_))),
            "{unasked:?}: {verdict:?}"
        );
    }
}

/// However many batches of a prepared statement come at once, and however they are cut.
#[test]
fn who_takes_turns_has_one_batch_under_way() {
    let interner = Interner::new([7; 32], CacheLimits::default());
    let named = |body: &[u8]| [b"\0s\0", body].concat();
    let batch = [
        frame(b'B', &named(b"\0\0\0\0\0\0")),
        frame(b'E', b"\0\0\0\0\0"),
        frame(b'S', b""),
    ]
    .concat();
    let answer = [
        frame(b'2', b""),
        frame(b'C', b"SELECT 0\0"),
        frame(b'Z', b"I"),
    ]
    .concat();
    for size in [1, 7, usize::MAX] {
        let limits = StatementLimits::default();
        let mut pooled = Pooled::new(interner.clone(), limits, Mode::Transaction);
        pooled.take_turns();
        let mut pair = Pair::new();
        pair.stream = ClientStream::pooled(10_000, pooled);
        pair.stream.link(&mut pair.link);
        let mut got = vec![];
        let parse = [frame(b'P', b"s\0SELECT 1\0\0\0"), frame(b'S', b"")].concat();
        pair.client_sends(&parse, &mut got).unwrap();
        let prepared = [frame(b'1', b""), frame(b'Z', b"I")].concat();
        pair.server_sends(&prepared, &mut got).unwrap();
        let mut sent = vec![];
        for piece in batch.repeat(3).chunks(size.min(3 * batch.len())) {
            pair.client_sends(piece, &mut sent).unwrap();
        }
        let syncs = |bytes: &[u8]| bytes.windows(5).filter(|it| *it == b"S\0\0\0\x04").count();
        for round in 1..=3 {
            assert_eq!(syncs(&sent), round, "in pieces of {size}");
            pair.server_sends(&answer, &mut got).unwrap();
            pair.client_sends(b"", &mut sent).unwrap();
        }
    }
}

#[test]
fn nothing_passes_behind_a_fatal_error() {
    let columns = frame(b'T', b"\0\0");
    let fatal = frame(b'E', b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0");
    let rows = [frame(b'D', b"\0\0"), frame(b'C', b"SELECT 1\0")].concat();
    for cut in 0..rows.len() {
        let mut pair = Pair::new();
        let (mut to_server, mut to_client) = (vec![], vec![]);
        let query = frame(b'Q', b"x\0");
        pair.client_sends(&query, &mut to_server).unwrap();
        let said = [&columns[..], &fatal, &rows[..cut]].concat();
        let relayed = pair.server_sends(&said, &mut to_client).unwrap();
        assert_eq!(relayed, Relayed::ServerEnding);
        assert_eq!(to_client, [&columns[..], &fatal].concat(), "{cut}");
    }
}

#[test]
fn a_big_body_passes_in_pieces_through_a_small_buffer() {
    const BODY: usize = 10 << 20;
    let mut pair = Pair::new();
    let (mut to_server, mut to_client) = (vec![], vec![]);
    pair.client_sends(&frame(b'Q', b"x\0"), &mut to_server)
        .unwrap();
    pair.server_sends(&frame(b'T', b"\0\0"), &mut to_client)
        .unwrap();
    let row = [&[b'D'][..], &(BODY as u32 + 4).to_be_bytes()].concat();
    pair.server_sends(&row, &mut to_client).unwrap();
    let mut passed = 0;
    while passed < BODY {
        to_client.clear();
        pair.server_sends(&[7; 4096][..4096.min(BODY - passed)], &mut to_client)
            .unwrap();
        passed += to_client.len();
        assert_eq!(pair.link.between_frames(), passed == BODY);
    }
    assert_eq!(passed, BODY);
}

#[test]
fn a_client_that_never_reads_its_answers_is_not_read_any_more() {
    let mut pair = Pair::new();
    let mut got = vec![];
    let bind = frame(b'B', b"");
    for _ in 0..20_000 {
        if pair.from_client.room() < bind.len() {
            break;
        }
        pair.client_sends(&bind, &mut got).unwrap();
    }
    assert_eq!(pair.link.ledger.len(), 10_000);
    assert!(!pair.from_client.is_empty());
    let fault = Fault::new(Side::Client, FaultKind::NoUser);
    assert!(fault.to_string().starts_with("client: "));
}
