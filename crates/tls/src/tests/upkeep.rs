//! Connections that are kept up while data flows both ways: no byte lost, doubled or reordered,
//! whoever changes keys, renegotiates or cuts the stream wherever.

use super::*;
use crate::ffi;
use crate::flood::FloodKind;
use crate::rekey::KeyLimits;
use crate::upkeep::{Renegotiation, Tally, Upkeep};

/// How much of everything: small in `make test`, big in `make soak`.
fn big(small: u32, soak: u32) -> u32 {
    match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => soak,
        None => small,
    }
}

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }
}

fn limits(records: u64) -> KeyLimits {
    KeyLimits {
        records,
        bytes: u64::MAX,
        age_s: None,
    }
}

fn upkeep(limits: KeyLimits, renegotiation: Renegotiation) -> Upkeep {
    Upkeep {
        limits,
        renegotiation,
    }
}

const NEVER: KeyLimits = KeyLimits {
    records: u64::MAX,
    bytes: u64::MAX,
    age_s: None,
};

/// A pair that has shaken hands, client's and server's upkeep given.
fn kept(tls12: bool, client: Upkeep, server_side: Upkeep) -> Pair {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let listener = listener(&minted, ClientCertificates::Off);
    let context = server(ServerMode::VerifyFull(roots(&authority)), None, tls12);
    let mut pair = Pair::new(&listener, &context, "db.example");
    pair.client.engine.uphold(&client, 0);
    pair.server.engine.uphold(&server_side, 0);
    let outcome = pair.handshake(usize::MAX);
    assert!(outcome.client.is_ok() && outcome.server.is_ok());
    pair
}

/// One direction of a full-duplex conversation.
#[derive(Default)]
struct Way {
    sent: u8,
    came: u8,
    under_way: usize,
}

fn next(byte: &mut u8) -> u8 {
    *byte = byte.wrapping_mul(5).wrapping_add(3);
    *byte
}

impl Way {
    fn put(&mut self, end: &mut End, count: usize) {
        let count = count.min(end.plain_out.room());
        let bytes: Vec<u8> = (0..count).map(|_| next(&mut self.sent)).collect();
        end.plain_out.push(&bytes).unwrap();
        self.under_way += count;
    }

    fn check(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert_eq!(*byte, next(&mut self.came), "lost, doubled or out of order");
        }
        let left = self.under_way.checked_sub(bytes.len());
        self.under_way = left.expect("bytes that nobody sent");
    }
}

/// Two ends that talk both ways at once.
struct Talk {
    pair: Pair,
    dice: Dice,
    up: Way,
    down: Way,
    now_s: u32,
}

impl Talk {
    fn new(pair: Pair) -> Talk {
        Talk {
            pair,
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            up: Way::default(),
            down: Way::default(),
            now_s: 0,
        }
    }

    /// From a byte to more than a record.
    fn size(&mut self) -> usize {
        let most = [1, 40, 700, 20_000][self.dice.below(4)];
        1 + self.dice.below(most)
    }

    /// Encrypts what waits, carries up to `chop` bytes each way, decrypts; gives what was carried.
    fn exchange(&mut self, chop: usize) -> usize {
        let Pair { client, server } = &mut self.pair;
        for end in [client, server] {
            // Whoever began a renegotiation himself keeps still until it is over.
            if end.engine.ssl().is_init_finished() {
                let sent = end.engine.send(&mut end.plain_out, &mut end.output);
                sent.unwrap();
            }
        }
        let carried = self.pair.carry(chop);
        self.down.check(&self.pair.client.take());
        self.up.check(&self.pair.server.take());
        carried
    }

    /// One round of random traffic, cut at random.
    fn round(&mut self) {
        let (to_server, to_client, chop) = (self.size(), self.size(), self.size());
        self.up.put(&mut self.pair.client, to_server);
        self.down.put(&mut self.pair.server, to_client);
        self.exchange(chop);
    }

    /// A second passes on both ends.
    fn tick(&mut self) {
        self.now_s += 1;
        let now_s = self.now_s;
        for end in [&mut self.pair.client, &mut self.pair.server] {
            end.engine.tick(now_s, &mut end.output).unwrap();
        }
    }

    /// Everything on its way comes, and nothing is left.
    fn finish(&mut self) {
        let mut still = 0;
        while still < 3 {
            still = match self.exchange(usize::MAX) {
                0 => still + 1,
                _ => 0,
            };
        }
        assert_eq!((self.up.under_way, self.down.under_way), (0, 0));
    }
}

fn add(total: &mut Tally, end: &mut End) {
    let tally = end.engine.take_tally();
    total.updates_sent += tally.updates_sent;
    total.updates_requested += tally.updates_requested;
    total.updates_answered += tally.updates_answered;
    total.renegotiations += tally.renegotiations;
    total.worn += tally.worn;
}

/// Both ends rekey every few records, and traffic goes on.
#[test]
fn both_ends_rekey_all_the_time() {
    let own = upkeep(limits(4), Renegotiation::Refused);
    let mut talk = Talk::new(kept(false, own, own));
    let wanted = big(2_000, 1_000_000);
    let mut total = Tally::default();
    while total.updates_sent + total.updates_answered < wanted {
        for _ in 0..64 {
            talk.round();
        }
        talk.tick();
        add(&mut total, &mut talk.pair.client);
        add(&mut total, &mut talk.pair.server);
    }
    talk.finish();
    assert!(total.updates_sent > wanted / 2, "{total:?}");
}

/// The peer never rekeys by itself: it is asked, answers, and is asked again only then.
#[test]
fn a_peer_that_does_not_rekey_is_asked_to() {
    for ours_is_client in [true, false] {
        let (own, peer) = (
            upkeep(limits(8), Renegotiation::Refused),
            upkeep(NEVER, Renegotiation::Refused),
        );
        let mut talk = Talk::new(match ours_is_client {
            true => kept(false, own, peer),
            false => kept(false, peer, own),
        });
        for _ in 0..2_000 {
            talk.round();
        }
        talk.finish();
        let (mut ours, mut theirs) = (Tally::default(), Tally::default());
        let Pair { client, server } = &mut talk.pair;
        let ends = match ours_is_client {
            true => [client, server],
            false => [server, client],
        };
        for (end, tally) in ends.into_iter().zip([&mut ours, &mut theirs]) {
            add(tally, end);
        }
        assert!(ours.updates_requested > 10, "{ours:?}");
        // Each request had its answer, so none was sent before.
        assert_eq!(ours.updates_requested, theirs.updates_answered);
        assert_eq!(theirs.updates_sent, 0);
    }
}

#[test]
fn a_request_waits_for_its_answer_before_the_next() {
    let own = upkeep(limits(8), Renegotiation::Refused);
    let mut pair = kept(false, own, upkeep(NEVER, Renegotiation::Refused));
    // The server talks and never reads: the request reaches it, but no answer comes.
    for _ in 0..100 {
        pair.server.send(b"data").unwrap();
        pair.server.output.pour(usize::MAX, &mut pair.client.input);
        assert_eq!(pair.client.take(), b"data");
    }
    assert_eq!(pair.client.engine.take_tally().updates_requested, 1);
    // It reads at last, and answers once.
    pair.carry(usize::MAX);
    assert_eq!(pair.server.take(), b"");
    assert_eq!(pair.server.engine.take_tally().updates_answered, 1);
    pair.carry(usize::MAX);
    assert_eq!(pair.client.take(), b"");
}

/// Who only reads lends no output. What TLS has to say of its own finds a place all the same.
#[test]
fn an_answer_needs_no_output_lent() {
    let asking = upkeep(limits(4), Renegotiation::Refused);
    let mut pair = kept(false, asking, upkeep(NEVER, Renegotiation::Refused));
    for _ in 0..5 {
        pair.server.send(b"data").unwrap();
    }
    pair.carry(usize::MAX);
    pair.client.output = Cipher::none();
    assert_eq!(pair.client.take(), b"datadatadatadatadata");
    assert_eq!(pair.client.engine.take_tally().updates_requested, 1);
    assert_eq!(pair.client.output.capacity(), Engine::OUTPUT_MIN);
    pair.carry(usize::MAX);
    pair.server.output = Cipher::none();
    assert_eq!(pair.server.take(), b"");
    assert_eq!(pair.server.engine.take_tally().updates_answered, 1);
    pair.carry(usize::MAX);
    assert_eq!(pair.client.take(), b"");
    // Who has nothing to say takes no memory.
    pair.server.send(b"more").unwrap();
    pair.carry(usize::MAX);
    pair.client.output = Cipher::none();
    assert_eq!(pair.client.take(), b"more");
    assert_eq!(pair.client.output.capacity(), 0);
}

#[test]
fn age_is_a_limit_and_an_idle_connection_is_rekeyed_once() {
    let hour = KeyLimits {
        age_s: Some(3600),
        ..NEVER
    };
    let own = upkeep(hour, Renegotiation::Refused);
    let mut pair = kept(false, own, upkeep(NEVER, Renegotiation::Refused));
    let tick = |pair: &mut Pair, now_s| {
        let End { engine, output, .. } = &mut pair.client;
        engine.tick(now_s, output).unwrap()
    };
    assert_eq!(tick(&mut pair, 10), None, "nothing was encrypted yet");
    pair.client.send(b"data").unwrap();
    let due = tick(&mut pair, 11).expect("a time");
    assert!((10 + 2700..=10 + 3600).contains(&due), "{due}");
    tick(&mut pair, due - 1);
    assert_eq!(pair.client.engine.take_tally().updates_sent, 0);
    assert_eq!(tick(&mut pair, due), None);
    assert_eq!(pair.client.engine.take_tally().updates_sent, 1);
    tick(&mut pair, due + 100_000);
    assert_eq!(pair.client.engine.take_tally(), Tally::default());
    pair.carry(usize::MAX);
    assert_eq!(pair.server.take(), b"data");
}

/// TLS 1.2 has no KeyUpdate: it is said once that the keys are worn.
#[test]
fn worn_keys_of_tls_1_2_are_told_once() {
    let own = upkeep(limits(8), Renegotiation::Refused);
    let mut talk = Talk::new(kept(true, own, upkeep(NEVER, Renegotiation::Refused)));
    for _ in 0..100 {
        talk.round();
    }
    talk.tick();
    talk.finish();
    let tally = talk.pair.client.engine.take_tally();
    assert_eq!((tally.worn, tally.updates_sent), (1, 0));
    assert!(talk.pair.client.engine.is_worn() && !talk.pair.server.engine.is_worn());
}

/// A KeyUpdate at every place of a stream, the stream cut at every byte around it.
#[test]
fn a_key_update_at_any_byte() {
    for requested in [false, true] {
        let kind = match requested {
            true => ffi::KeyUpdate::Requested,
            false => ffi::KeyUpdate::NotRequested,
        };
        let never = upkeep(NEVER, Renegotiation::Refused);
        // Data, KeyUpdate, data: a bit more than a hundred bytes.
        for cut in 1..120 {
            let mut pair = kept(false, never, never);
            pair.client.send(b"before").unwrap();
            assert!(ffi::key_update(pair.client.engine.ssl(), kind));
            pair.client.send(b"behind").unwrap();
            pair.carry(cut);
            let mut got = pair.server.take();
            // What it writes now is written in the middle of whatever came.
            pair.server.send(b"answer").unwrap();
            while pair.carry(1) > 0 {
                got.extend(pair.server.take());
                assert!(matches!(&*pair.client.take(), b"" | b"answer"));
                let End {
                    engine,
                    plain_out,
                    output,
                    ..
                } = &mut pair.server;
                engine.send(plain_out, output).unwrap();
            }
            assert_eq!(got, b"beforebehind", "{requested} {cut}");
            assert_eq!(pair.server.plain_out.len(), 0);
            let answered = pair.server.engine.take_tally().updates_answered;
            assert_eq!(answered, u32::from(requested));
        }
    }
}

/// The peer renegotiates, from either role, in the middle of traffic both ways.
#[test]
fn permitted_renegotiation_loses_nothing() {
    let allowed = upkeep(NEVER, Renegotiation::Allowed);
    for client_begins in [true, false] {
        let mut talk = Talk::new(kept(true, allowed, allowed));
        let wanted = big(60, 10_000);
        let mut begun = 0;
        let mut total = Tally::default();
        while total.renegotiations < 2 * wanted {
            // With half a record in hand libssl would begin with the next write, which fails.
            let idle =
                |end: &End| end.engine.ssl().is_init_finished() && end.engine.is_between_records();
            if idle(&talk.pair.client) && idle(&talk.pair.server) && begun < wanted {
                let end = match client_begins {
                    true => &mut talk.pair.client,
                    false => &mut talk.pair.server,
                };
                assert!(ffi::renegotiate(end.engine.ssl()));
                end.engine.push_update(&mut end.output);
                begun += 1;
            }
            for _ in 0..8 {
                talk.round();
            }
            // Time enough for the next.
            talk.now_s += 20;
            talk.tick();
            add(&mut total, &mut talk.pair.client);
            add(&mut total, &mut talk.pair.server);
            if begun == wanted {
                talk.finish();
                add(&mut total, &mut talk.pair.client);
                add(&mut total, &mut talk.pair.server);
                break;
            }
        }
        talk.finish();
        // The side that began counts it, too, where it saw the middle of it.
        assert!(total.renegotiations >= begun, "{total:?} {begun}");
    }
}

#[test]
fn renegotiations_without_end_are_a_flood() {
    let allowed = upkeep(NEVER, Renegotiation::Allowed);
    let mut talk = Talk::new(kept(true, allowed, allowed));
    let mut outcome = Ok(Received::Open);
    for _ in 0..12 {
        let client = &mut talk.pair.client;
        assert!(ffi::renegotiate(client.engine.ssl()));
        client.engine.push_update(&mut client.output);
        while talk.pair.carry(usize::MAX) > 0 {
            outcome = talk.pair.server.receive();
            if outcome.is_err() {
                break;
            }
            talk.pair.client.receive().unwrap();
        }
        if outcome.is_err() {
            break;
        }
    }
    let flood = matches!(
        outcome,
        Err(TlsFault::Flood {
            kind: FloodKind::Renegotiations,
            ..
        })
    );
    assert!(flood, "{outcome:?}");
    let tally = talk.pair.server.engine.take_tally();
    assert_eq!(tally.flood, Some(FloodKind::Renegotiations));
    assert_eq!(tally.renegotiations, 8);
}

/// A peer that renegotiates as somebody else is cut off, even with a certificate that would do.
#[test]
fn the_certificate_may_not_change() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let (one, other) = (
        issue(&authority, KeyKind::EcdsaP256, Usage::Client),
        issue(&authority, KeyKind::EcdsaP256, Usage::Client),
    );
    for changes in [false, true] {
        let required = ClientCertificates::Required(root(&authority));
        let listener = listener(&minted, required);
        let context = server(ServerMode::VerifyFull(roots(&authority)), Some(&one), true);
        let mut pair = Pair::new(&listener, &context, "db.example");
        let allowed = upkeep(NEVER, Renegotiation::Allowed);
        pair.client.engine.uphold(&allowed, 0);
        pair.server.engine.uphold(&allowed, 0);
        let outcome = pair.handshake(usize::MAX);
        assert!(outcome.client.is_ok() && outcome.server.is_ok());
        if changes {
            pair.client.engine.become_another(&other);
        }
        assert!(ffi::renegotiate(pair.client.engine.ssl()));
        let client = &mut pair.client;
        client.engine.push_update(&mut client.output);
        let mut outcome = Ok(Received::Open);
        while outcome.is_ok() && pair.carry(usize::MAX) > 0 {
            outcome = pair.server.receive();
            let _ = pair.client.receive();
        }
        match changes {
            true => assert_eq!(outcome, Err(TlsFault::PeerChanged)),
            false => assert!(outcome.is_ok(), "{outcome:?}"),
        }
    }
}

#[test]
fn floods_are_told_apart_and_end_the_connection() {
    let never = upkeep(NEVER, Renegotiation::Refused);
    // KeyUpdates, each behind a byte of data: no run of them, but too many in a second.
    let mut pair = kept(false, never, never);
    let mut outcome = Ok(Received::Open);
    for round in 0..2_000u32 {
        let client = &mut pair.client;
        for _ in 0..16 {
            assert!(ffi::key_update(
                client.engine.ssl(),
                ffi::KeyUpdate::NotRequested
            ));
            client.engine.push_update(&mut client.output);
        }
        client.send(b"x").unwrap();
        pair.carry(usize::MAX);
        outcome = pair.server.receive();
        pair.server.plain_in.clear();
        if outcome.is_err() {
            assert!(round > 10, "{round}");
            break;
        }
    }
    let flood = matches!(
        outcome,
        Err(TlsFault::Flood {
            kind: FloodKind::KeyUpdates,
            ..
        })
    );
    assert!(flood, "{outcome:?}");
    assert_eq!(pair.server.receive(), Err(TlsFault::Dead));
    // A handshake that never comes to its point: a ClientHello of 100 kB in tiny pieces is taken,
    // records without end are not.
    let mut pair = Pair::ready(false);
    pair.server = End::new(
        Engine::accept(&listener(
            &issue(
                &authority(KeyKind::EcdsaP256),
                KeyKind::EcdsaP256,
                Usage::Server,
            ),
            ClientCertificates::Off,
        ))
        .unwrap(),
    );
    let mut outcome = Ok(Handshake::Reading);
    for _ in 0..2_000 {
        // Part of a ClientHello that says it has 120,000 bytes.
        let mut record = vec![22, 3, 1, 0x04, 0];
        record.extend([0; 1024]);
        record[5..9].copy_from_slice(&[1, 1, 0xd4, 0xc0]);
        pair.server.input.push(&record).unwrap();
        outcome = pair.server.shake();
        if outcome.is_err() {
            break;
        }
    }
    assert!(outcome.is_err(), "it goes on for ever");
}
