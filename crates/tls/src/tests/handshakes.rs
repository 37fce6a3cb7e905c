//! Handshakes: versions, kinds of certificates, chopping, SNI, ALPN, channel binding.

use super::*;
use crate::context::Roots;
use crate::profile::MinimumVersion;
use openssl::hash::{MessageDigest, hash};
use openssl::ssl::SslVersion;
use openssl::x509::X509;

const KINDS: [KeyKind; 6] = [
    KeyKind::EcdsaP256,
    KeyKind::EcdsaP384,
    KeyKind::EcdsaP521,
    KeyKind::Rsa2048,
    KeyKind::RsaPss2048,
    KeyKind::Ed25519,
];

/// The hash for channel binding with a certificate that was signed by a key of this kind.
fn binding_hash(kind: KeyKind) -> Option<MessageDigest> {
    match kind {
        KeyKind::EcdsaP256 | KeyKind::Rsa2048 | KeyKind::RsaPss2048 => {
            Some(MessageDigest::sha256())
        }
        KeyKind::EcdsaP384 => Some(MessageDigest::sha384()),
        KeyKind::EcdsaP521 => Some(MessageDigest::sha512()),
        KeyKind::Ed25519 => None,
    }
}

#[test]
fn versions_and_kinds_of_certificates() {
    for kind in KINDS {
        let authority = authority(kind);
        let minted = issue(&authority, kind, Usage::Server);
        let der = X509::from_pem(&minted.certificate)
            .unwrap()
            .to_der()
            .unwrap();
        let expected = binding_hash(kind).map(|md| hash(md, &der).unwrap().to_vec());
        let listener = listener(&minted, ClientCertificates::Off);
        for tls12 in [false, true] {
            let context = server(ServerMode::VerifyFull(roots(&authority)), None, tls12);
            let mut pair = Pair::new(&listener, &context, "db.example");
            let outcome = pair.handshake(usize::MAX);
            assert!(outcome.client.is_ok(), "{kind:?} {tls12} {outcome:?}");
            let ours = pair.client.engine.facts().unwrap();
            let theirs = pair.server.engine.facts().unwrap();
            let version = if tls12 { "TLSv1.2" } else { "TLSv1.3" };
            for facts in [&ours, &theirs] {
                assert_eq!(facts.version, version);
                assert_eq!(facts.group.as_deref(), Some("X25519"));
                assert_eq!(facts.alpn.as_deref(), Some("postgresql"));
                assert_eq!(facts.sni.as_deref(), Some("db.example"));
                assert_eq!(facts.end_point, expected, "{kind:?}");
            }
            assert_eq!(ours.cipher, theirs.cipher);
            let peer = ours.peer.unwrap();
            assert_eq!(peer.common_name.as_deref(), Some("db.example"));
            assert_eq!(peer.subject, "CN=db.example");
            assert_eq!(peer.issuer, "CN=Test authority");
            assert_eq!(peer.dns, ["db.example", "*.wild.example"]);
            assert_eq!(peer.days_left(now_unix_s() + 5), 59);
            assert!(theirs.peer.is_none());
        }
    }
}

#[test]
fn handshakes_survive_any_chopping() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let client = issue(&authority, KeyKind::EcdsaP256, Usage::Client);
    let listener = listener(&minted, ClientCertificates::Required(root(&authority)));
    for tls12 in [false, true] {
        let context = server(
            ServerMode::VerifyCa(roots(&authority)),
            Some(&client),
            tls12,
        );
        for chop in [1, 2, 3, 4, 5, 6, 7, 31, 100, 1000] {
            let mut pair = Pair::new(&listener, &context, "db.example");
            let outcome = pair.handshake(chop);
            assert!(outcome.client.is_ok() && outcome.server.is_ok(), "{chop}");
            let peer = pair.server.engine.facts().unwrap().peer.unwrap();
            assert_eq!(peer.common_name.as_deref(), Some("db.example"));
            pair.client.send(b"hello").unwrap();
            pair.carry(usize::MAX);
            assert_eq!(pair.server.take(), b"hello");
        }
    }
}

fn meet(context: &ServerContext, host: &str) -> (Pair, Outcome) {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let listener = listener(&minted, ClientCertificates::Off);
    let mut pair = Pair::new(&listener, context, host);
    let outcome = pair.handshake(usize::MAX);
    (pair, outcome)
}

#[test]
fn sni_is_sent_for_names_only_and_in_every_mode() {
    let context = server(ServerMode::Require, None, false);
    for (host, expected) in [
        ("db.example", Some("db.example")),
        ("127.0.0.1", None),
        ("::1", None),
    ] {
        let (pair, outcome) = meet(&context, host);
        assert!(outcome.server.is_ok());
        assert_eq!(pair.server.engine.facts().unwrap().sni.as_deref(), expected);
    }
}

#[test]
fn alpn_is_exact() {
    let none = foreign(|_| {});
    let (pair, outcome) = meet(&none, "db.example");
    assert!(outcome.client.is_ok() && outcome.server.is_ok());
    assert_eq!(pair.server.engine.alpn(), None);

    let both = foreign(|builder| builder.set_alpn_protos(b"\x02h2\x0apostgresql").unwrap());
    let (pair, _) = meet(&both, "db.example");
    assert_eq!(pair.server.engine.alpn(), Some(&b"postgresql"[..]));

    let wrong = foreign(|builder| builder.set_alpn_protos(b"\x02h2").unwrap());
    let (_, outcome) = meet(&wrong, "db.example");
    assert_eq!(outcome.server, Err(TlsFault::AlpnMissing));
    let name = "no_application_protocol";
    assert_eq!(outcome.client, Err(TlsFault::PeerAlert { code: 120, name }));
}

#[test]
fn old_versions_and_foreign_suites_are_refused() {
    let old = foreign(|builder| {
        builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        builder
            .set_min_proto_version(Some(SslVersion::TLS1))
            .unwrap();
        builder
            .set_max_proto_version(Some(SslVersion::TLS1_1))
            .unwrap();
    });
    let cbc = foreign(|builder| {
        builder
            .set_max_proto_version(Some(SslVersion::TLS1_2))
            .unwrap();
        builder.set_cipher_list("AES256-SHA").unwrap();
    });
    for (context, alert) in [(old, 70), (cbc, 40)] {
        let (_, outcome) = meet(&context, "db.example");
        assert!(
            matches!(
                outcome.server,
                Err(TlsFault::NoSharedVersionOrCipher { .. })
            ),
            "{outcome:?}"
        );
        assert!(matches!(outcome.client, Err(TlsFault::PeerAlert { code, .. }) if code == alert));
    }
}

/// OpenSSL's own order has AES-256 first, and so has every client that leaves it alone.
#[test]
fn the_listener_chooses_the_suite_and_custom_may_choose_another() {
    const AES_128: &str = "TLS_AES_128_GCM_SHA256";
    const AES_256: &str = "TLS_AES_256_GCM_SHA384";
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let other = Profile {
        ciphersuites: format!("{AES_256}:{AES_128}"),
        ..Profile::default()
    };
    for (profile, offered, chosen) in [
        (Profile::default(), [AES_256, AES_128], AES_128),
        (Profile::modern(), [AES_256, AES_128], AES_128),
        (Profile::modern(), [AES_256, AES_256], AES_256),
        (other, [AES_128, AES_256], AES_256),
    ] {
        let settings = ListenerSettings {
            profile,
            ..ListenerSettings::new(identity(&minted), clock())
        };
        let listener = ListenerContext::build(&settings, now_unix_s()).unwrap();
        let client = foreign(|builder| builder.set_ciphersuites(&offered.join(":")).unwrap());
        let mut pair = Pair::new(&listener, &client, "db.example");
        let outcome = pair.handshake(usize::MAX);
        assert!(outcome.server.is_ok(), "{outcome:?}");
        let facts = pair.server.engine.facts().unwrap();
        assert_eq!(facts.cipher, chosen, "{offered:?}");
    }
}

#[test]
fn a_minimum_of_tls_1_3_holds() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let settings = ListenerSettings {
        profile: Profile {
            minimum: MinimumVersion::Tls13,
            ..Profile::default()
        },
        ..ListenerSettings::new(identity(&minted), clock())
    };
    let listener = ListenerContext::build(&settings, now_unix_s()).unwrap();
    assert_eq!(listener.effective().minimum, "TLSv1.3");
    assert_eq!(listener.effective().ciphers[0], "TLS_AES_128_GCM_SHA256");
    let only_12 = foreign(|builder| {
        builder
            .set_max_proto_version(Some(SslVersion::TLS1_2))
            .unwrap();
    });
    let outcome = Pair::new(&listener, &only_12, "db.example").handshake(usize::MAX);
    assert!(matches!(
        outcome.server,
        Err(TlsFault::NoSharedVersionOrCipher { .. })
    ));
}

#[test]
fn no_ticket_follows_the_handshake() {
    let (mut pair, _) = meet(&foreign(|_| {}), "db.example");
    assert!(pair.server.output.is_empty() && pair.client.input.is_empty());
    assert_eq!(pair.client.receive(), Ok(Received::Open));
}

#[test]
fn an_empty_set_of_roots_is_no_verification() {
    let settings = ServerSettings {
        mode: ServerMode::VerifyFull(Roots::Given(Vec::new())),
        crl: None,
        identity: None,
        profile: Profile::default(),
    };
    assert!(ServerContext::build(&settings, 0).is_err());
}
