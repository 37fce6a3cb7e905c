//! Peers that break rules: garbage, floods, renegotiation, blocked readers.

use super::*;
use crate::ffi::{self, KeyUpdate};

/// Makes `end` put a KeyUpdate into its output.
fn update(end: &mut End, kind: KeyUpdate) {
    assert!(ffi::key_update(end.engine.ssl(), kind));
    end.engine.push_update(&mut end.output);
}

#[test]
fn key_update_storms_do_no_harm_while_our_writes_are_blocked() {
    for kind in [KeyUpdate::NotRequested, KeyUpdate::Requested] {
        let mut pair = Pair::ready(false);
        // Nobody carries what the server sends: its output is full.
        pair.server.output = Cipher::with_capacity(20_000);
        pair.server.send(&[1; 60_000]).unwrap();
        for round in 0..40 {
            for _ in 0..1 + round % 8 {
                update(&mut pair.client, kind);
            }
            pair.client.send(b"data").unwrap();
            pair.client.output.pour(usize::MAX, &mut pair.server.input);
            assert_eq!(pair.server.take(), b"data");
            assert_eq!(
                pair.server
                    .engine
                    .send(&mut pair.server.plain_out, &mut pair.server.output),
                Ok(())
            );
            if round % 3 == 2 {
                // The client reads for a moment, and has something to say.
                pair.server.output.pour(usize::MAX, &mut pair.client.input);
                pair.client.take();
            }
        }
        // Then it is unblocked, and everything arrives.
        let mut rest = Vec::new();
        loop {
            let sent = pair
                .server
                .engine
                .send(&mut pair.server.plain_out, &mut pair.server.output);
            assert_eq!(sent, Ok(()));
            if pair.server.output.pour(usize::MAX, &mut pair.client.input) == 0 {
                break;
            }
            rest.extend(pair.client.take());
        }
        assert!(pair.server.plain_out.is_empty());
        pair.server.send(b"end").unwrap();
        pair.carry(usize::MAX);
        assert_eq!(pair.client.take(), b"end");
    }
}

#[test]
fn a_key_update_is_answered_without_data_to_send() {
    let mut pair = Pair::ready(false);
    update(&mut pair.client, KeyUpdate::Requested);
    pair.carry(usize::MAX);
    assert_eq!(pair.server.receive(), Ok(Received::Open));
    assert_eq!(pair.server.output.len(), 27);
    pair.carry(usize::MAX);
    assert_eq!(pair.client.receive(), Ok(Received::Open));
    assert!(pair.client.output.is_empty(), "an answer is not answered");
    pair.server.send(b"after").unwrap();
    pair.client.send(b"after").unwrap();
    pair.carry(usize::MAX);
    assert_eq!(pair.client.take(), b"after");
    assert_eq!(pair.server.take(), b"after");
}

#[test]
fn a_flood_of_key_updates_is_cut() {
    let mut pair = Pair::ready(false);
    for _ in 0..33 {
        update(&mut pair.client, KeyUpdate::NotRequested);
    }
    pair.carry(usize::MAX);
    let mut calls = 0;
    let fault = loop {
        calls += 1;
        match pair.server.receive() {
            Ok(Received::More) => {}
            Ok(other) => panic!("{other:?}"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(
        fault,
        TlsFault::Flood {
            kind: crate::flood::FloodKind::KeyUpdates,
            records: 33
        }
    );
    assert_eq!(calls, 9, "one call does a bounded amount of work");
    assert_eq!(pair.server.receive(), Err(TlsFault::Dead));
    assert_eq!(pair.server.send(b"x"), Err(TlsFault::Dead));
}

#[test]
fn answers_that_nobody_reads_end_the_connection() {
    let mut pair = Pair::ready(false);
    pair.server.output = Cipher::with_capacity(4_000);
    pair.server.send(&[1; 60_000]).unwrap();
    let fault = loop {
        update(&mut pair.client, KeyUpdate::Requested);
        pair.client.send(b"x").unwrap();
        pair.client.output.pour(usize::MAX, &mut pair.server.input);
        if let Err(fault) = pair.server.receive() {
            break fault;
        }
        pair.server.plain_in.clear();
    };
    assert_eq!(fault, TlsFault::OutputOverflow { capacity: 4_000 });
}

#[test]
fn renegotiation_is_refused_on_both_sides() {
    let pair = Pair::ready(true);
    let asks = |end: &End| ffi::renegotiate(end.engine.ssl());
    assert!(!asks(&pair.client) && !asks(&pair.server), "ours never ask");
    // A foreign client does: it gets a warning, and gives up by itself.
    let mut builder =
        openssl::ssl::SslContextBuilder::new(openssl::ssl::SslMethod::tls_client()).unwrap();
    builder
        .set_max_proto_version(Some(openssl::ssl::SslVersion::TLS1_2))
        .unwrap();
    let mut context = server(ServerMode::Require, None, true);
    context.context = builder.build();
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let listener = listener(&minted, ClientCertificates::Off);
    let mut pair = Pair::new(&listener, &context, "db.example");
    assert!(pair.handshake(usize::MAX).client.is_ok());
    assert!(ffi::renegotiate(pair.client.engine.ssl()));
    pair.client.engine.push_update(&mut pair.client.output);
    assert!(!pair.client.output.is_empty(), "a ClientHello");
    pair.carry(usize::MAX);
    assert_eq!(pair.server.receive(), Ok(Received::Open));
    pair.carry(usize::MAX);
    assert!(pair.client.receive().is_err());
}

#[test]
fn what_is_not_tls_is_called_so() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let listener = listener(&minted, ClientCertificates::Off);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"\x16\x03\x01\xff\xffgarbage",
    ] {
        let mut end = End::new(Engine::accept(&listener).unwrap());
        end.input.push(bytes).unwrap();
        let fault = end.shake().unwrap_err();
        assert!(
            matches!(fault, TlsFault::NotTls { .. } | TlsFault::Protocol { .. }),
            "{fault:?}"
        );
        assert_eq!(end.shake(), Err(TlsFault::Dead));
    }
}

#[test]
fn a_changed_byte_is_a_fault_with_an_alert() {
    for tls12 in [false, true] {
        let mut pair = Pair::ready(tls12);
        pair.client.send(b"some data").unwrap();
        let mut record = pair.client.output.bytes().to_vec();
        *record.last_mut().unwrap() ^= 1;
        pair.server.input.push(&record).unwrap();
        let fault = pair.server.receive().unwrap_err();
        assert!(matches!(fault, TlsFault::Protocol { .. }), "{fault:?}");
        assert!(pair.server.plain_in.is_empty());
        assert!(!pair.server.output.is_empty(), "the alert");
        pair.client.output.clear();
        pair.carry(usize::MAX);
        let name = "bad_record_mac";
        assert_eq!(
            pair.client.receive(),
            Err(TlsFault::PeerAlert { code: 20, name })
        );
    }
}

#[test]
fn errors_of_one_connection_do_not_reach_another() {
    let mut pair = Pair::ready(false);
    // Leaves an entry in the thread's error queue.
    leave_an_error_behind();
    pair.client.send(b"a").unwrap();
    pair.carry(20);
    assert_eq!(pair.server.receive(), Ok(Received::Open));
    leave_an_error_behind();
    pair.carry(usize::MAX);
    assert_eq!(pair.server.take(), b"a");
}

fn leave_an_error_behind() {
    let failed = openssl::x509::X509::from_pem(b"nothing");
    failed.unwrap_err().put();
}

#[test]
fn a_handshake_flight_that_does_not_fit_is_an_overflow() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let listener = listener(&minted, ClientCertificates::Off);
    let context = server(ServerMode::Require, None, false);
    let mut pair = Pair::new(&listener, &context, "db.example");
    pair.server.output = Cipher::with_capacity(100);
    let outcome = pair.handshake(usize::MAX);
    assert_eq!(
        outcome.server,
        Err(TlsFault::OutputOverflow { capacity: 100 })
    );
}

#[test]
fn what_another_connection_left_in_the_error_queue_is_no_failure_of_this_one() {
    let stale = || {
        let errors = openssl::x509::X509::from_pem(b"not a certificate").unwrap_err();
        errors.put();
        assert_ne!(openssl::error::ErrorStack::get().errors().len(), 0);
        errors.put();
    };
    for tls12 in [true, false] {
        let mut pair = Pair::ready(tls12);
        pair.client.send(b"data").unwrap();
        // A part of a record, then the rest of it.
        for count in [7, usize::MAX] {
            pair.client.output.pour(count, &mut pair.server.input);
            stale();
            assert_eq!(pair.server.receive(), Ok(Received::Open));
        }
        assert_eq!(pair.server.take(), b"data");
        // A record without data.
        if !tls12 {
            update(&mut pair.client, KeyUpdate::NotRequested);
            pair.carry(usize::MAX);
            stale();
            assert_eq!(pair.server.receive(), Ok(Received::Open));
        }
        stale();
        pair.server.send(b"answer").unwrap();
        pair.carry(usize::MAX);
        assert_eq!(pair.client.take(), b"answer");
    }
    openssl::error::ErrorStack::get();
}
