//! Every version with every suite it may have and every kind of certificate: handshakes byte by byte,
//! new keys in mid-stream (KeyUpdate, or a permitted renegotiation), each split point of what was
//! sent, and each point at which the stream may break off.

use super::*;
use crate::engine::EndOfInput;
use crate::ffi::{self, KeyUpdate};
use crate::rekey::KeyLimits;
use crate::upkeep::{Renegotiation, Upkeep};

const KINDS: [KeyKind; 6] = [
    KeyKind::EcdsaP256,
    KeyKind::EcdsaP384,
    KeyKind::EcdsaP521,
    KeyKind::Rsa2048,
    KeyKind::RsaPss2048,
    KeyKind::Ed25519,
];

const SENT: &[u8] = b"beforebehind";

/// One row: contexts of both sides that can agree on nothing else.
struct Case {
    listener: ListenerContext,
    client: ServerContext,
    suite: String,
    tls12: bool,
}

impl Case {
    fn new(minted: &Minted, suite: &str, tls12: bool) -> Case {
        let mut profile = Profile::default();
        match tls12 {
            true => {
                profile.maximum = MaximumVersion::Tls12;
                profile.cipher_list = suite.to_owned();
            }
            false => profile.ciphersuites = suite.to_owned(),
        }
        let settings = ServerSettings {
            mode: ServerMode::Require,
            crl: None,
            identity: None,
            profile,
        };
        Case {
            listener: listener(minted, ClientCertificates::Off),
            client: ServerContext::build(&settings, now_unix_s()).unwrap(),
            suite: suite.to_owned(),
            tls12,
        }
    }

    /// Connected, with up to `chop` bytes at a time; renegotiation is allowed on both sides.
    fn pair(&self, chop: usize) -> Pair {
        let upkeep = Upkeep {
            limits: KeyLimits {
                records: u64::MAX,
                bytes: u64::MAX,
                age_s: None,
            },
            renegotiation: Renegotiation::Allowed,
        };
        let mut pair = Pair::new(&self.listener, &self.client, "db.example");
        pair.client.engine.uphold(&upkeep, 0);
        pair.server.engine.uphold(&upkeep, 0);
        let outcome = pair.handshake(chop);
        let both = (outcome.client, outcome.server);
        assert_eq!(both, (Ok(()), Ok(())), "{}", self.suite);
        let facts = pair.server.engine.facts().unwrap();
        assert_eq!(facts.cipher, self.suite);
        pair
    }

    /// The client begins to change keys. In TLS 1.2 that takes the server's help.
    fn change_keys(&self, client: &mut End) {
        let begun = match self.tls12 {
            true => ffi::renegotiate(client.engine.ssl()),
            false => ffi::key_update(client.engine.ssl(), KeyUpdate::Requested),
        };
        assert!(begun);
        client.engine.push_update(&mut client.output);
    }

    /// New keys while every byte travels alone, and data both ways.
    fn changes_keys(&self) {
        let mut pair = self.pair(1);
        pair.client.send(&SENT[..6]).unwrap();
        self.change_keys(&mut pair.client);
        pair.server.send(b"answer").unwrap();
        let (mut got, mut answer) = (Vec::new(), Vec::new());
        let mut rest = Some(&SENT[6..]);
        loop {
            // A peer in the middle of a renegotiation of its own writes nothing (libssl would fail).
            if pair.client.engine.ssl().is_init_finished() {
                pair.client.send(rest.take().unwrap_or_default()).unwrap();
            }
            if pair.carry(1) == 0 {
                break;
            }
            got.extend(pair.server.take());
            answer.extend(pair.client.take());
            pair.server.send(b"").unwrap();
        }
        assert_eq!(got, SENT, "{}", self.suite);
        assert_eq!(answer, b"answer", "{}", self.suite);
        let tally = pair.server.engine.take_tally();
        let changed = match self.tls12 {
            true => tally.renegotiations,
            false => tally.updates_answered,
        };
        assert_eq!(changed, 1, "{}", self.suite);
    }

    /// All that the client sends, up to its close_notify, cut at this byte; how much there is.
    fn cut_at(&self, cut: usize) -> usize {
        let mut pair = self.pair(usize::MAX);
        pair.client.send(&SENT[..6]).unwrap();
        if !self.tls12 {
            self.change_keys(&mut pair.client);
        }
        pair.client.send(&SENT[6..]).unwrap();
        pair.client.engine.close(&mut pair.client.output);
        let all = pair.client.output.len();
        let cut = cut.min(all);
        pair.client.output.pour(cut, &mut pair.server.input);
        let mut got = pair.server.take();
        assert!(SENT.starts_with(&got), "{} {cut}", self.suite);
        // If nothing more came, would that be an end or a truncation?
        let end = match cut == all {
            true => EndOfInput::Orderly,
            false => EndOfInput::Truncated,
        };
        assert_eq!(
            pair.server.engine.end_of_input(),
            end,
            "{} {cut}",
            self.suite
        );
        while pair.client.output.pour(1, &mut pair.server.input) > 0 {
            got.extend(pair.server.take());
        }
        assert_eq!(got, SENT, "{} {cut}", self.suite);
        assert_eq!(pair.server.engine.end_of_input(), EndOfInput::Orderly);
        all
    }
}

#[test]
fn versions_suites_certificates_new_keys_splits_and_truncations() {
    let soak = std::env::var_os("PORTCULLIS_SOAK").is_some();
    let known = Profile::default();
    let mut cases = 0;
    for kind in KINDS {
        let authority = authority(kind);
        let minted = issue(&authority, kind, Usage::Server);
        let signs = match kind {
            KeyKind::Rsa2048 | KeyKind::RsaPss2048 => "ECDHE-RSA-",
            _ => "ECDHE-ECDSA-",
        };
        let old = known.cipher_list.split(':').map(|suite| (suite, true));
        let new = known.ciphersuites.split(':').map(|suite| (suite, false));
        for (suite, tls12) in old.filter(|(suite, _)| suite.starts_with(signs)).chain(new) {
            let case = Case::new(&minted, suite, tls12);
            case.changes_keys();
            // All places for one kind of certificate: which one it is makes no difference to records.
            let step = match soak || kind == KeyKind::EcdsaP256 {
                true => 1,
                false => 13,
            };
            let all = case.cut_at(usize::MAX);
            for cut in (cases % step..all).step_by(step) {
                case.cut_at(cut);
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 36);
}
