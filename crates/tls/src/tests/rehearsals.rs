//! What is found out about a context before anybody depends on it: whether it works, and until when.

use super::*;
use crate::{RehearsalFault, rehearse};

fn context(minted: &Minted, profile: Profile) -> ListenerContext {
    let settings = ListenerSettings {
        profile,
        ..ListenerSettings::new(identity(minted), clock())
    };
    ListenerContext::build(&settings, now_unix_s()).unwrap()
}

#[test]
fn contexts_that_work_pass_whatever_they_ask_of_clients() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048, KeyKind::Ed25519] {
        let authority = authority(kind);
        let minted = issue(&authority, kind, Usage::Server);
        for clients in [
            ClientCertificates::Off,
            ClientCertificates::Required(root(&authority)),
        ] {
            assert_eq!(rehearse(&listener(&minted, clients)), Ok(()));
        }
    }
}

#[test]
fn a_profile_without_a_suite_for_the_key_does_not_pass() {
    let minted = issue(
        &authority(KeyKind::Rsa2048),
        KeyKind::Rsa2048,
        Usage::Server,
    );
    let profile = Profile {
        maximum: MaximumVersion::Tls12,
        cipher_list: "ECDHE-ECDSA-AES128-GCM-SHA256".to_owned(),
        ..Profile::default()
    };
    let result = rehearse(&context(&minted, profile));
    assert!(
        matches!(result, Err(RehearsalFault::Listener(_))),
        "{result:?}"
    );
}

#[test]
fn an_expired_certificate_works_in_itself() {
    let leaf = Leaf {
        common_name: "db.example",
        dns: &["db.example"],
        ip: &[],
        usage: Usage::Server,
        validity: days(-3, -1),
        key: KeyKind::EcdsaP256,
    };
    let minted = authority(KeyKind::EcdsaP256).issue(&leaf).unwrap();
    let context = context(&minted, Profile::default());
    assert_eq!(rehearse(&context), Ok(()));
    assert_eq!(context.certificates()[0].days_left(now_unix_s() + 10), -2);
}

#[test]
fn every_certificate_of_a_file_has_an_end() {
    let key = KeyKind::EcdsaP256;
    let authority = authority(key);
    let minted = issue(&authority, key, Usage::Both);
    let clients = ClientCertificates::Required(root(&authority));
    let days: Vec<_> = listener(&minted, clients)
        .certificates()
        .iter()
        .map(|dated| dated.days_left(now_unix_s() - 10))
        .collect();
    assert_eq!(days, [60, 100]);
    let mode = ServerMode::VerifyCa(roots(&authority));
    let context = server(mode, Some(&minted), false);
    let ends = context.certificates().iter().map(|it| it.not_after_unix_s);
    assert_eq!(ends.count(), 2);
    let context = server(ServerMode::Require, None, false);
    assert!(context.certificates().is_empty());
}
