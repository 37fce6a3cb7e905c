//! Who is accepted and who is not, and what the operator reads about it.

use super::*;
use crate::context::{ContextFault, Warning, key_file_is_private};
use crate::fault::VerifyFault;
use std::os::unix::fs::PermissionsExt;

fn against(minted: &Minted, mode: ServerMode, host: &str) -> (Pair, Outcome) {
    let listener = listener(minted, ClientCertificates::Off);
    let context = server(mode, None, false);
    let mut pair = Pair::new(&listener, &context, host);
    let outcome = pair.handshake(usize::MAX);
    (pair, outcome)
}

fn refusal(minted: &Minted, mode: ServerMode, host: &str) -> VerifyFault {
    let (pair, outcome) = against(minted, mode, host);
    let Err(TlsFault::Verify(fault)) = outcome.client else {
        panic!("{outcome:?}");
    };
    // The server learns the reason from an alert, and the caller can show who was there.
    assert!(
        matches!(outcome.server, Err(TlsFault::PeerAlert { .. })),
        "{:?}",
        outcome.server
    );
    let presented = pair.client.engine.presented().unwrap();
    assert_eq!(fault.presented.as_deref(), Some(&presented));
    *fault
}

fn plain(common_name: &str, dns: &[&str], validity: Validity) -> (Authority, Minted) {
    let authority = authority(KeyKind::EcdsaP256);
    let leaf = Leaf {
        common_name,
        dns,
        ip: &[],
        usage: Usage::Server,
        validity,
        key: KeyKind::EcdsaP256,
    };
    let minted = authority.issue(&leaf).unwrap();
    (authority, minted)
}

#[test]
fn host_names_and_addresses() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    for (host, fits) in [
        ("db.example", true),
        ("DB.Example", true),
        ("a.wild.example", true),
        ("a.b.wild.example", false),
        ("wild.example", false),
        ("other.example", false),
        ("127.0.0.1", true),
        ("127.0.0.2", false),
    ] {
        let full = ServerMode::VerifyFull(roots(&authority));
        let (_, outcome) = against(&minted, full, host);
        assert_eq!(outcome.client.is_ok(), fits, "{host}");
        if let Err(fault) = outcome.client {
            assert!(fault.to_string().contains(host), "{fault}");
        }
        let ca = ServerMode::VerifyCa(roots(&authority));
        assert!(against(&minted, ca, host).1.client.is_ok(), "{host}");
    }
}

#[test]
fn an_address_in_the_common_name_counts_without_address_entries() {
    let (authority, minted) = plain("10.0.0.1", &[], days(-1, 10));
    let full = || ServerMode::VerifyFull(roots(&authority));
    assert!(against(&minted, full(), "10.0.0.1").1.client.is_ok());
    assert_eq!(refusal(&minted, full(), "10.0.0.2").code, 64);
    let strangers = ServerMode::VerifyFull(roots(&super::authority(KeyKind::EcdsaP256)));
    assert!(against(&minted, strangers, "10.0.0.1").1.client.is_err());
}

#[test]
fn strangers_the_expired_and_the_early() {
    let (_, minted) = plain("db.example", &["db.example"], days(-1, 10));
    let other = roots(&authority(KeyKind::EcdsaP256));
    let fault = refusal(&minted, ServerMode::VerifyFull(other), "db.example");
    let advice = format!(
        "pin sha256:{}",
        fault.presented.as_ref().unwrap().sha256_hex()
    );
    assert!(fault.to_string().contains(&advice), "{fault}");
    for (from, until, code) in [(-10, -1, 10), (1, 10, 9)] {
        let (authority, minted) = plain("db.example", &["db.example"], days(from, until));
        let full = ServerMode::VerifyFull(roots(&authority));
        let fault = refusal(&minted, full, "db.example");
        assert_eq!((fault.code, fault.depth), (code, 0));
        assert_eq!(fault.subject, "CN=db.example");
    }
}

#[test]
fn a_client_s_certificate_is_no_server_s() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Client);
    let full = ServerMode::VerifyFull(roots(&authority));
    assert!(
        refusal(&minted, full, "db.example")
            .reason
            .contains("purpose")
    );
}

#[test]
fn require_accepts_anybody_and_says_who_it_was() {
    let (_, minted) = plain("whoever", &[], days(-10, -1));
    let (pair, outcome) = against(&minted, ServerMode::Require, "db.example");
    assert!(outcome.client.is_ok());
    let presented = pair.client.engine.presented().unwrap();
    assert_eq!(presented.common_name.as_deref(), Some("whoever"));
}

#[test]
fn a_pin_is_one_certificate_however_it_is_signed() {
    let (_, minted) = plain("whoever", &[], days(-10, -1));
    let (pair, _) = against(&minted, ServerMode::Require, "db.example");
    let pin = pair.client.engine.presented().unwrap().sha256;
    for host in ["db.example", "10.1.2.3"] {
        let (_, outcome) = against(&minted, ServerMode::Pin(pin), host);
        assert!(outcome.client.is_ok(), "{outcome:?}");
    }
    let mut wrong = pin;
    wrong[31] ^= 1;
    let fault = refusal(&minted, ServerMode::Pin(wrong), "db.example");
    assert!(fault.to_string().contains("pinned"), "{fault}");
    assert_eq!(fault.presented.unwrap().sha256, pin);
}

#[test]
fn client_certificates() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let good = issue(&authority, KeyKind::EcdsaP256, Usage::Client);
    let stranger = issue(
        &super::authority(KeyKind::Rsa2048),
        KeyKind::Rsa2048,
        Usage::Client,
    );
    let not_for_clients = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let optional = ClientCertificates::Optional(root(&authority));
    let required = ClientCertificates::Required(root(&authority));
    for tls12 in [false, true] {
        for (clients, certificate, accepted, known) in [
            (&optional, None, true, false),
            (&optional, Some(&good), true, true),
            (&optional, Some(&stranger), false, false),
            (&required, None, false, false),
            (&required, Some(&good), true, true),
            (&required, Some(&not_for_clients), false, false),
        ] {
            let listener = listener(&minted, clients.clone());
            let context = server(ServerMode::Require, certificate, tls12);
            let mut pair = Pair::new(&listener, &context, "db.example");
            let outcome = pair.handshake(usize::MAX);
            assert_eq!(outcome.server.is_ok(), accepted, "{outcome:?}");
            if accepted {
                assert_eq!(pair.server.engine.facts().unwrap().peer.is_some(), known);
                continue;
            }
            assert!(
                matches!(outcome.server, Err(TlsFault::Verify(_))),
                "{outcome:?}"
            );
            // In TLS 1.3 the client believes to be done, and reads the alert afterwards.
            let told = match outcome.client {
                Ok(()) => pair.client.receive().map(|_| ()),
                Err(fault) => Err(fault),
            };
            assert!(matches!(told, Err(TlsFault::PeerAlert { .. })), "{told:?}");
        }
    }
}

fn build(identity: Identity) -> Result<ListenerContext, ContextFault> {
    let settings = ListenerSettings::new(identity, clock());
    ListenerContext::build(&settings, now_unix_s())
}

#[test]
fn contexts_say_what_is_wrong_with_their_files() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let other = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let good = identity(&minted);

    let mut mixed = good.clone();
    mixed.private_key = identity(&other).private_key;
    assert!(matches!(build(mixed), Err(ContextFault::Mismatch { .. })));

    let mut missing = good.clone();
    missing.certificate = Source::File("/nonexistent/server.crt".into());
    let fault = build(missing).err().unwrap();
    assert!(
        fault.to_string().contains("/nonexistent/server.crt"),
        "{fault}"
    );

    let mut empty = good.clone();
    empty.certificate = Source::Pem(b"nothing".to_vec());
    assert!(matches!(
        build(empty),
        Err(ContextFault::NoCertificate { .. })
    ));

    let mut swapped = good.clone();
    swapped.private_key = KeySource::Pem(buf::Secret::new(&minted.certificate));
    assert!(matches!(build(swapped), Err(ContextFault::BadKey { .. })));

    let key = openssl::pkey::PKey::private_key_from_pem(minted.private_key.expose()).unwrap();
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let locked = key
        .private_key_to_pem_pkcs8_passphrase(cipher, b"pass")
        .unwrap();
    let mut encrypted = good.clone();
    encrypted.private_key = KeySource::Pem(buf::Secret::from_vec(locked));
    assert!(matches!(
        build(encrypted.clone()),
        Err(ContextFault::EncryptedKey { .. })
    ));
    for (passphrase, right) in [("pass", true), ("Pass", false), (&"p".repeat(5000), false)] {
        encrypted.passphrase = Some(buf::Secret::new(passphrase.as_bytes()));
        match build(encrypted.clone()) {
            Ok(context) => assert!(right && context.warnings().is_empty()),
            Err(fault) => {
                assert!(!right, "{fault}");
                assert!(matches!(fault, ContextFault::WrongPassphrase { .. }));
                assert!(!fault.to_string().contains(passphrase), "{fault}");
            }
        }
    }
    let mut open = good.clone();
    open.passphrase = Some(buf::Secret::new(b"pass"));
    let unused = build(open).unwrap();
    let unused = &unused.warnings()[0];
    assert!(
        matches!(unused, Warning::PassphraseUnused { .. }),
        "{unused}"
    );

    let profile = Profile {
        groups: "X25519:no-such-group".into(),
        ..Profile::default()
    };
    let refused = |profile: Profile| {
        let settings = ListenerSettings {
            profile,
            ..ListenerSettings::new(good.clone(), clock())
        };
        let fault = ListenerContext::build(&settings, now_unix_s());
        fault.err().unwrap().to_string()
    };
    let said = refused(profile);
    let library = format!("groups: OpenSSL {}.", crate::library_version().0);
    assert!(
        said.starts_with(&library) && said.contains("\"no-such-group\""),
        "{said}"
    );
    // OpenSSL itself would skip this one without a word.
    let said = refused(Profile {
        cipher_list: "ECDHE-ECDSA-AES128-GCM-SHA256:NO-SUCH-CIPHER:!aNULL".into(),
        ..Profile::default()
    });
    assert!(said.contains("\"NO-SUCH-CIPHER\""), "{said}");
    let said = refused(Profile {
        ciphersuites: "TLS_AES_128_GCM_SHA256:TLS_NONE".into(),
        ..Profile::default()
    });
    assert!(said.contains("\"TLS_NONE\""), "{said}");
    let said = refused(Profile {
        signatures: "ed25519:rot13".into(),
        ..Profile::default()
    });
    assert!(said.contains("\"rot13\""), "{said}");
}

#[test]
fn key_files_have_to_be_private() {
    let authority = authority(KeyKind::EcdsaP256);
    let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("server.key");
    std::fs::write(&path, minted.private_key.expose()).unwrap();
    let mut identity = identity(&minted);
    identity.private_key = KeySource::File(path.clone());
    let with_mode = |mode| {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        build(identity.clone())
    };
    let open = with_mode(0o644).err();
    let closed = with_mode(0o600).is_ok();
    assert!(matches!(
        open,
        Some(ContextFault::KeyIsNotPrivate { mode: 0o644, .. })
    ));
    assert!(closed);
    for (mode, owner, private) in [
        (0o600, 1000, true),
        (0o400, 1000, true),
        (0o640, 1000, false),
        (0o640, 0, true),
        (0o660, 0, false),
        (0o644, 0, false),
    ] {
        assert_eq!(
            key_file_is_private(mode, owner),
            private,
            "{mode:o} {owner}"
        );
    }
}

#[test]
fn certificates_near_or_past_their_end_are_told() {
    for (from, until, expected) in [
        (-1, 60, None),
        (-1, 10, Some("expires in 10 days")),
        (-9, -2, Some("expired")),
        (2, 9, Some("not valid before")),
    ] {
        let (_, minted) = plain("db", &[], days(from, until));
        let context = build(identity(&minted)).unwrap();
        let told: Vec<String> = context.warnings().iter().map(Warning::to_string).collect();
        assert_eq!(told.len(), usize::from(expected.is_some()), "{told:?}");
        assert!(
            told.iter().all(|text| text.contains(expected.unwrap())),
            "{told:?}"
        );
    }
}

#[test]
fn names_with_control_characters_are_nobody_s() {
    let (_, minted) = plain("alice\u{0}bob", &[], days(-1, 10));
    let certificate = openssl::x509::X509::from_pem(&minted.certificate).unwrap();
    let facts = crate::facts::PeerCertificate::read(&certificate).unwrap();
    assert_eq!(facts.common_name, None);
    assert_eq!(facts.subject, "CN=alice\\00bob");
}
