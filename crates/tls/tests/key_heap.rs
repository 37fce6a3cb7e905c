//! Private keys lie in libcrypto's secure heap, and nothing of them stays in the ordinary one. A file
//! of its own with one test, because libcrypto takes these choices once per process, before
//! anything else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt as _;

use buf::Secret;
use openssl::pkey::{PKey, Private};
use tls::mint::{Authority, KeyKind, Validity};
use tls::{Clock, Identity, KeyHeap, KeySource, ListenerContext, ListenerSettings, Source};

/// Bytes of the ordinary heap and other writable mappings that are dumped. What is not dumped is
/// libcrypto's secure heap and this project's guarded memory.
fn dumped() -> Vec<Vec<u8>> {
    let memory = File::open("/proc/self/mem").unwrap();
    let smaps = read_to_string("/proc/self/smaps").unwrap();
    let mut found = Vec::new();
    let mut range = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if let Some((from, to)) = first.split_once('-') {
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            range = second.starts_with("rw").then(|| (number(from), number(to)));
        } else if first == "VmFlags:"
            && let Some((from, to)) = range.take()
            && !line.contains(" dd")
        {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                found.push(bytes);
            }
        }
    }
    found
}

/// What must not be found: pieces of the PEM text, of the DER, and of the secret number itself in
/// both byte orders, each with all bits flipped, so that the search doesn't find itself.
fn flipped_pieces(key: &PKey<Private>) -> Vec<Vec<u8>> {
    let number = match (key.rsa(), key.ec_key()) {
        (Ok(rsa), _) => Secret::from_vec(rsa.d().to_vec()),
        (_, Ok(ec)) => Secret::from_vec(ec.private_key().to_vec()),
        _ => Secret::from_vec(key.raw_private_key().unwrap()),
    };
    let pem = Secret::from_vec(key.private_key_to_pem_pkcs8().unwrap());
    // Behind the header and the algorithm, which all keys share, in the private part.
    let middle = |secret: &Secret, len: usize| {
        let at = secret.len() / 2;
        let flipped = secret.expose()[at..at + len].iter().map(|byte| !*byte);
        flipped.collect::<Vec<_>>()
    };
    let number = middle(&number, 16);
    let backwards = number.iter().rev().copied().collect();
    vec![middle(&pem, 32), number, backwards]
}

fn sightings(memory: &[Vec<u8>], flipped: &[u8]) -> usize {
    let first = !flipped[0];
    let same = |bytes: &[u8]| bytes.iter().zip(flipped).all(|(a, b)| *a == !*b);
    let in_one = |bytes: &Vec<u8>| {
        let starts = bytes.windows(flipped.len());
        starts.filter(|w| w[0] == first && same(w)).count()
    };
    memory.iter().map(in_one).sum()
}

#[test]
fn keys_are_loaded_into_the_secure_heap_and_nowhere_else() {
    let heap = tls::guard_keys().expect("the first use of OpenSSL");
    assert_eq!(heap, KeyHeap::Locked);
    assert_eq!(tls::key_bytes(), 0);
    let validity = Validity {
        not_before_unix_s: 1_700_000_000,
        not_after_unix_s: 4_000_000_000,
    };
    for kind in [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::Rsa2048,
        KeyKind::RsaPss2048,
        KeyKind::Ed25519,
    ] {
        let authority = Authority::create("heap", validity, kind).unwrap();
        let minted = authority.minted().clone();
        drop(authority);
        let key = PKey::private_key_from_pem(minted.private_key.expose()).unwrap();
        let pieces = flipped_pieces(&key);
        drop(key);
        let before = tls::key_bytes();
        let context = ListenerContext::build(
            &ListenerSettings::new(
                Identity::new(
                    Source::Pem(minted.certificate.clone()),
                    KeySource::Pem(Secret::new(minted.private_key.expose())),
                ),
                Clock::new(|| 1_750_000_000),
            ),
            1_750_000_000,
        );
        assert!(context.is_ok(), "{kind:?}");
        assert!(
            tls::key_bytes() >= before + 32,
            "{kind:?}: not in the secure heap"
        );
        let memory = dumped();
        let found: Vec<_> = pieces.iter().map(|it| sightings(&memory, it)).collect();
        assert!(found.iter().all(|count| *count == 0), "{kind:?}: {found:?}");
        drop(context);
        assert_eq!(tls::key_bytes(), before, "{kind:?}: given back");
    }
    // The search finds what is there.
    let planted: Vec<u8> = (0..32).map(|byte| byte * 7 + 3).collect();
    let flipped: Vec<u8> = planted.iter().map(|byte| !*byte).collect();
    assert!(sightings(&dumped(), &flipped) > 0);
    drop(planted);
}
