//! Plaintext in, the same plaintext out: whatever the chopping, the room and the version.

use super::*;
use crate::engine::EndOfInput;
use crate::ffi::{self, KeyUpdate};
use proptest::prelude::*;

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(31) as u8) ^ (at >> 8) as u8 ^ seed;
    (0..length).map(byte).collect()
}

#[test]
fn every_split_point_gives_the_same_plaintext() {
    for tls12 in [false, true] {
        for chop in 1..=64 {
            let mut pair = Pair::ready(tls12);
            pair.client.send(b"first").unwrap();
            pair.client.send(b"second message").unwrap();
            let mut all = Vec::new();
            while pair.carry(chop) > 0 {
                all.extend(pair.server.take());
                assert!(pair.server.input.is_empty());
            }
            assert_eq!(all, b"firstsecond message", "chop {chop}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_chops_and_writes(
        writes in prop::collection::vec(1usize..40_000, 1..6),
        chops in prop::collection::vec(1usize..20_000, 1..10),
        tls12: bool,
        update: bool,
    ) {
        let mut pair = Pair::ready(tls12);
        let mut chops = chops.iter().cycle();
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for (at, length) in writes.iter().enumerate() {
            let bytes = pattern(*length, at as u8);
            pair.client.send(&bytes).unwrap();
            sent.extend(bytes);
            while !(pair.client.output.is_empty() && pair.client.plain_out.is_empty()) {
                pair.carry(*chops.next().unwrap());
                got.extend(pair.server.take());
                pair.client.send(b"").unwrap();
            }
            if update && !tls12 {
                prop_assert!(ffi::key_update(pair.client.engine.ssl(), KeyUpdate::Requested));
                pair.client.take();
            }
        }
        prop_assert!(got == sent);
    }
}

#[test]
fn a_mebibyte_each_way_through_small_buffers() {
    for tls12 in [false, true] {
        let mut pair = Pair::ready(tls12);
        for end in [&mut pair.client, &mut pair.server] {
            end.output = Cipher::with_capacity(5_000);
            end.input = Cipher::with_capacity(3_000);
            end.plain_in = Plain::with_capacity(1_000);
        }
        let data = [pattern(1 << 20, 1), pattern(1 << 20, 2)];
        let (mut given, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
        while got[0].len() < data[0].len() || got[1].len() < data[1].len() {
            for (at, end) in [&mut pair.client, &mut pair.server].into_iter().enumerate() {
                let rest = &data[at][given[at]..];
                let part = rest.len().min(end.plain_out.room());
                end.send(&rest[..part]).unwrap();
                given[at] += part;
                let other = 1 - at;
                got[other].extend(end.take());
            }
            pair.carry(usize::MAX);
        }
        assert!(got == data);
    }
}

#[test]
fn sent_plaintext_is_consumed_and_output_keeps_a_reserve() {
    let mut pair = Pair::ready(false);
    pair.client.output = Cipher::with_capacity(20_000);
    pair.client.send(&[7; 60_000]).unwrap();
    assert!(pair.client.output.room() >= 2_000);
    assert_eq!(pair.client.plain_out.len(), 60_000 - 16_384);
}

#[test]
fn one_receive_does_bounded_work() {
    let mut pair = Pair::ready(false);
    for _ in 0..100 {
        pair.client.send(b"x").unwrap();
    }
    pair.carry(usize::MAX);
    assert_eq!(pair.server.receive(), Ok(Received::More));
    assert_eq!(pair.server.plain_in.len(), 64);
    assert_eq!(pair.server.receive(), Ok(Received::Open));
    assert_eq!(pair.server.plain_in.len(), 100);
}

#[test]
fn a_full_plaintext_buffer_stops_and_goes_on() {
    let mut pair = Pair::ready(false);
    pair.server.plain_in = Plain::with_capacity(20_000);
    pair.client.send(&[5; 40_000]).unwrap();
    pair.carry(usize::MAX);
    assert_eq!(pair.server.receive(), Ok(Received::More));
    assert_eq!(pair.server.plain_in.len(), 16_384);
    assert_eq!(pair.server.take(), vec![5; 40_000]);
}

#[test]
fn close_notify_is_told_from_truncation() {
    for tls12 in [false, true] {
        let mut pair = Pair::ready(tls12);
        pair.client.send(b"last words").unwrap();
        pair.carry(usize::MAX);
        assert_eq!(pair.server.receive(), Ok(Received::Open));
        assert_eq!(pair.server.engine.end_of_input(), EndOfInput::Truncated);
        pair.client.engine.close(&mut pair.client.output);
        assert_eq!(pair.client.send(b"more"), Err(TlsFault::Dead));
        pair.carry(usize::MAX);
        assert_eq!(pair.server.receive(), Ok(Received::Closed));
        assert_eq!(pair.server.engine.end_of_input(), EndOfInput::Orderly);
        assert_eq!(pair.server.plain_in.bytes(), b"last words");
        // The other direction is still open: an error message can follow.
        pair.server.send(b"error").unwrap();
        pair.server.engine.close(&mut pair.server.output);
        pair.carry(usize::MAX);
        assert_eq!(pair.client.receive(), Ok(Received::Closed));
        assert_eq!(pair.client.plain_in.bytes(), b"error");
    }
}

#[test]
fn resting_changes_nothing_but_memory() {
    for tls12 in [false, true] {
        let mut pair = Pair::ready(tls12);
        for round in 0u8..20 {
            pair.client.engine.rest();
            pair.server.engine.rest();
            pair.client.send(&[round; 300]).unwrap();
            if round % 3 == 0 {
                // In the middle of a record resting does nothing.
                pair.carry(17);
                assert_eq!(pair.server.receive(), Ok(Received::Open));
                pair.server.engine.rest();
            }
            pair.carry(usize::MAX);
            assert_eq!(pair.server.take(), [round; 300]);
            pair.server.send(&[round; 5]).unwrap();
            pair.server.engine.rest();
            pair.carry(usize::MAX);
            assert_eq!(pair.client.take(), [round; 5]);
        }
        assert!(pair.client.output.is_empty() && pair.server.output.is_empty());
    }
}

#[test]
fn clear_engines_pass_bytes() {
    let mut one = End::new(Engine::unencrypted_by_configuration());
    assert_eq!(one.shake(), Ok(Handshake::Done));
    one.output = Cipher::with_capacity(4);
    one.send(b"abcdef").unwrap();
    assert_eq!(one.output.bytes(), b"abcd");
    assert_eq!(one.plain_out.bytes(), b"ef");
    one.input.push(b"xyz").unwrap();
    one.plain_in = Plain::with_capacity(2);
    assert_eq!(one.receive(), Ok(Received::More));
    assert_eq!(one.take(), b"xyz");
    assert!(one.engine.facts().is_none() && one.engine.is_unencrypted());
    assert_eq!(one.engine.end_of_input(), EndOfInput::Orderly);
}

#[test]
fn engines_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Engine>();
    let mut pair = Pair::ready(false);
    pair.client.send(b"over there").unwrap();
    pair.carry(usize::MAX);
    let got = std::thread::spawn(move || pair.server.take()).join();
    assert_eq!(got.unwrap(), b"over there");
}

#[test]
fn our_own_rekeying_disturbs_nothing() {
    for tls12 in [false, true] {
        let mut pair = Pair::ready(tls12);
        let limits = crate::rekey::KeyLimits {
            records: 4,
            bytes: 4_000,
            age_s: None,
        };
        pair.client.engine.limit_keys(limits);
        let (mut sent, mut plain) = (0, 0);
        for round in 0..200u8 {
            let data = pattern(700, round);
            pair.client.send(&data).unwrap();
            sent += pair.client.output.len();
            plain += data.len();
            pair.carry(usize::MAX);
            assert_eq!(pair.server.take(), data);
        }
        let overhead = if tls12 { 29 } else { 22 };
        let updates = (sent - plain - 200 * overhead) / 27;
        assert_eq!(updates, if tls12 { 0 } else { 200 / 3 });
    }
}
