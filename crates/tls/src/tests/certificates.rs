//! Several certificates of one listener, and session tickets.

use super::*;
use crate::binding;
use crate::context::{ContextFault, NamedIdentity, Tickets, UnknownNames, Warning};
use crate::ffi;
use openssl::ssl::{SslSession, SslVersion};
use openssl::x509::X509;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

fn leaf(authority: &Authority, name: &str, key: KeyKind) -> Minted {
    let leaf = Leaf {
        common_name: name,
        dns: &[name],
        ip: &[],
        usage: Usage::Server,
        validity: days(-1, 60),
        key,
    };
    authority.issue(&leaf).unwrap()
}

fn named(names: &[&str], minted: &Minted) -> NamedIdentity {
    NamedIdentity {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        identity: identity(minted),
    }
}

fn end_point(minted: &Minted) -> Option<Vec<u8>> {
    binding::end_point(&X509::from_pem(&minted.certificate).unwrap())
}

/// The common name that a client is shown, or what it fails with; channel binding is compared.
#[track_caller]
fn shown(
    listener: &ListenerContext,
    client: &ServerContext,
    host: &str,
) -> Result<String, TlsFault> {
    let mut pair = Pair::new(listener, client, host);
    let outcome = pair.handshake(usize::MAX);
    outcome.client?;
    assert_eq!(outcome.server, Ok(()));
    let (ours, theirs) = (
        pair.server.engine.facts().unwrap(),
        pair.client.engine.facts().unwrap(),
    );
    assert_eq!(ours.end_point, theirs.end_point);
    Ok(theirs.peer.unwrap().common_name.unwrap())
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let authority = authority(KeyKind::EcdsaP256);
    let of = |name| leaf(&authority, name, KeyKind::EcdsaP256);
    let (default, a, wild) = (of("default.example"), of("a.example"), of("*.wild.example"));
    let mut settings = ListenerSettings {
        more: vec![
            named(&["a.example", "A2.example"], &a),
            named(&["*.wild.example"], &wild),
        ],
        ..ListenerSettings::new(identity(&default), clock())
    };
    for refuse in [false, true] {
        if refuse {
            settings.unknown_names = UnknownNames::Refuse;
        }
        let listener = ListenerContext::build(&settings, now_unix_s()).unwrap();
        let not_made_out: Vec<_> = listener
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(not_made_out.len(), 1, "{not_made_out:?}");
        assert!(not_made_out[0].contains("A2.example"), "{not_made_out:?}");
        for tls12 in [false, true] {
            let client = server(ServerMode::Require, None, tls12);
            for (host, name) in [
                ("a.example", "a.example"),
                ("a2.example", "a.example"),
                ("x.wild.example", "*.wild.example"),
                ("default.example", "default.example"),
                ("127.0.0.1", "default.example"),
            ] {
                assert_eq!(
                    shown(&listener, &client, host).as_deref(),
                    Ok(name),
                    "{host}"
                );
            }
            for host in ["unknown.example", "x.y.wild.example"] {
                match shown(&listener, &client, host) {
                    Ok(name) => assert!(!refuse && name == "default.example", "{host} {name}"),
                    Err(TlsFault::PeerAlert { code: 112, .. }) => assert!(refuse, "{host}"),
                    Err(other) => panic!("{host}: {other}"),
                }
            }
        }
    }
}

/// Whatever a certificate's context does not hand on with SSL_set_SSL_CTX must be the same anyway.
#[test]
fn a_chosen_certificate_keeps_the_listeners_rules() {
    let authority = authority(KeyKind::EcdsaP256);
    let (default, a) = (
        leaf(&authority, "default.example", KeyKind::EcdsaP256),
        leaf(&authority, "a.example", KeyKind::EcdsaP256),
    );
    let settings = ListenerSettings {
        more: vec![named(&["a.example"], &a)],
        clients: ClientCertificates::Required(root(&authority)),
        ..ListenerSettings::new(identity(&default), clock())
    };
    let listener = ListenerContext::build(&settings, now_unix_s()).unwrap();
    let known = issue(&authority, KeyKind::EcdsaP256, Usage::Client);
    let stranger = issue(
        &super::authority(KeyKind::EcdsaP256),
        KeyKind::EcdsaP256,
        Usage::Client,
    );
    for host in ["default.example", "a.example"] {
        for (client, admitted) in [
            (None, false),
            (Some(&known), true),
            (Some(&stranger), false),
        ] {
            let client = server(ServerMode::Require, client, false);
            let mut pair = Pair::new(&listener, &client, host);
            let outcome = pair.handshake(usize::MAX);
            assert_eq!(outcome.server.is_ok(), admitted, "{host} {outcome:?}");
            if admitted {
                let facts = pair.server.engine.facts().unwrap();
                assert_eq!(facts.alpn.as_deref(), Some("postgresql"));
                assert!(facts.peer.is_some());
            }
        }
    }
}

#[test]
fn the_clients_algorithms_choose_between_keys_for_one_name() {
    let authority = authority(KeyKind::EcdsaP384);
    let ec = leaf(&authority, "ec.example", KeyKind::EcdsaP256);
    let rsa = leaf(&authority, "rsa.example", KeyKind::Rsa2048);
    let ed = leaf(&authority, "ed.example", KeyKind::Ed25519);
    let both = |names: &[&str]| ListenerSettings {
        more: vec![
            named(names, &rsa),
            named(names, &ed),
            named(&["a.example"], &ec),
            named(&["a.example"], &rsa),
        ],
        ..ListenerSettings::new(identity(&ec), clock())
    };
    let listener = ListenerContext::build(&both(&[]), now_unix_s()).unwrap();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (algorithms, name) in [
            ("ecdsa_secp256r1_sha256", "ec.example"),
            ("rsa_pss_rsae_sha256:rsa_pkcs1_sha256", "rsa.example"),
            ("ed25519", "ed.example"),
        ] {
            let client = foreign(|builder| {
                builder.set_min_proto_version(Some(version)).unwrap();
                builder.set_max_proto_version(Some(version)).unwrap();
                builder.set_sigalgs_list(algorithms).unwrap();
            });
            for host in ["127.0.0.1", "a.example"] {
                if (host, name) == ("a.example", "ed.example") {
                    continue;
                }
                let got = shown(&listener, &client, host);
                assert_eq!(got.as_deref(), Ok(name), "{version:?} {host}");
            }
        }
    }
    // Of two with the same type of key, only one could ever be chosen.
    let mut twice = both(&[]);
    twice
        .more
        .push(named(&[], &leaf(&authority, "x.example", KeyKind::Rsa2048)));
    let fault = ListenerContext::build(&twice, now_unix_s()).err();
    assert!(
        matches!(fault, Some(ContextFault::SameKeyType { .. })),
        "{fault:?}"
    );
}

#[test]
fn certificates_that_do_not_belong_into_the_chain_are_named() {
    let (one, two) = (authority(KeyKind::EcdsaP256), authority(KeyKind::EcdsaP256));
    let minted = leaf(&one, "a.example", KeyKind::EcdsaP256);
    let chained = |with: &Authority| {
        let mut identity = identity(&minted);
        let pem = [minted.certificate.as_slice(), &with.minted().certificate].concat();
        identity.certificate = Source::Pem(pem);
        let settings = ListenerSettings::new(identity, clock());
        ListenerContext::build(&settings, now_unix_s()).unwrap()
    };
    assert_eq!(chained(&one).warnings(), []);
    assert_eq!(chained(&one).expiries().len(), 2);
    let strange = chained(&two);
    let strange = strange.warnings();
    assert!(
        matches!(strange, [Warning::NotTheIssuer { .. }]),
        "{strange:?}"
    );
}

/// A client that keeps sessions: resumes one if it has it, and gives the next.
fn visit(
    listener: &ListenerContext,
    client: &ServerContext,
    session: Option<&SslSession>,
) -> (SslSession, Pair) {
    let mut pair = Pair::new(listener, client, "db.example");
    if let Some(session) = session {
        assert!(ffi::contexts::offer(pair.client.engine.ssl(), session));
    }
    let outcome = pair.handshake(usize::MAX);
    assert!(
        outcome.client.is_ok() && outcome.server.is_ok(),
        "{outcome:?}"
    );
    pair.carry(usize::MAX);
    assert_eq!(pair.client.receive(), Ok(Received::Open));
    pair.server.send(b"to the client").unwrap();
    pair.carry(usize::MAX);
    assert_eq!(pair.client.take(), b"to the client");
    let session = pair.client.engine.ssl().session().unwrap().to_owned();
    (session, pair)
}

fn resumed(pair: &Pair) -> bool {
    let (client, server) = (pair.client.engine.ssl(), pair.server.engine.ssl());
    assert_eq!(client.session_reused(), server.session_reused());
    server.session_reused()
}

#[test]
fn sessions_resume_across_contexts_and_rotations_and_not_after() {
    let authority = authority(KeyKind::EcdsaP256);
    let rsa = leaf(&authority, "db.example", KeyKind::Rsa2048);
    let ec = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let time = Arc::new(AtomicI64::new(now_unix_s()));
        let told = Arc::clone(&time);
        let keys = Clock::new(move || told.load(Ordering::Relaxed));
        let context = || {
            let chance = |bytes: &mut [u8]| openssl::rand::rand_bytes(bytes).is_ok();
            let settings = ListenerSettings {
                more: vec![named(&[], &ec), named(&["elsewhere.example"], &ec)],
                tickets: Some(Tickets::new(
                    Duration::from_secs(3600),
                    keys.clone(),
                    chance,
                )),
                ..ListenerSettings::new(identity(&rsa), clock())
            };
            ListenerContext::build(&settings, now_unix_s()).unwrap()
        };
        let listener = context();
        assert_eq!(
            listener.effective().tickets,
            Some(Duration::from_secs(3600))
        );
        // Takes the certificate that is not the first: a resumed session must remember which.
        for (algorithms, minted) in [
            ("ecdsa_secp256r1_sha256", &ec),
            ("rsa_pss_rsae_sha256:rsa_pkcs1_sha256", &rsa),
        ] {
            let client = foreign(|builder| {
                builder.set_min_proto_version(Some(version)).unwrap();
                builder.set_max_proto_version(Some(version)).unwrap();
                builder.set_sigalgs_list(algorithms).unwrap();
            });
            let (session, pair) = visit(&listener, &client, None);
            assert!(!resumed(&pair));
            let (_, pair) = visit(&listener.clone(), &client, Some(&session));
            assert!(resumed(&pair), "{version:?}");
            let (ours, theirs) = (
                pair.server.engine.facts().unwrap(),
                pair.client.engine.facts().unwrap(),
            );
            assert_eq!(ours.end_point, end_point(minted));
            assert_eq!(theirs.end_point, end_point(minted));

            // Another process, or a reload that forgot: a full handshake, and no error.
            let other = context();
            let (_, pair) = visit(&other, &client, Some(&session));
            assert!(!resumed(&pair));
            other.go_on_from(&listener);
            let (_, pair) = visit(&other, &client, Some(&session));
            assert!(resumed(&pair));

            time.fetch_add(3600, Ordering::Relaxed);
            let (renewed, pair) = visit(&listener, &client, Some(&session));
            assert!(resumed(&pair));
            time.fetch_add(3600, Ordering::Relaxed);
            let (_, pair) = visit(&listener, &client, Some(&session));
            assert!(!resumed(&pair));
            let (_, pair) = visit(&listener, &client, Some(&renewed));
            assert!(resumed(&pair), "{version:?}");
            assert_eq!(
                pair.server.engine.facts().unwrap().end_point,
                end_point(minted)
            );
        }
    }
}

#[test]
fn tickets_and_client_certificates_exclude_each_other() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let settings = ListenerSettings {
        clients: ClientCertificates::Optional(root(&authority)),
        tickets: Some(Tickets::new(Duration::from_secs(60), clock(), |_| false)),
        ..ListenerSettings::new(identity(&minted), clock())
    };
    let fault = ListenerContext::build(&settings, now_unix_s()).err();
    assert_eq!(fault, Some(ContextFault::TicketsWithClientCertificates));
}
