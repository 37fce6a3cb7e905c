//! The fuzz target, driven by properties: frames of both sides in any order, some of them broken.

use crate::model::frame;
use proptest::prelude::*;

/// Frames that both sides know, with bodies that mean something.
fn words(from_server: bool) -> Vec<Vec<u8>> {
    let sent: &[(u8, &[u8])] = &[
        (b'P', b"a\0SELECT 1\0\0\0"),
        (b'P', b"b\0SELECT 1\0\0\0"),
        (b'P', b"\0SELECT 1\0\0\0"),
        (b'P', b"\0DEALLOCATE ALL\0\0\0"),
        (b'P', b"\0BEGIN\0\0\0"),
        (b'P', b"a\0SELECT\0\0\x01"),
        (b'B', b"\0a\0\0\0\0\0\0\0"),
        (b'B', b"\0\0\0\0\0\0\0\0"),
        (b'B', b"\0pc_1\0\0\0\0\0\0\0"),
        (b'B', b"\0a"),
        (b'D', b"Sa\0"),
        (b'D', b"S\0"),
        (b'D', b"P\0"),
        (b'D', b""),
        (b'C', b"Sa\0"),
        (b'C', b"S\0"),
        (b'C', b"S"),
        (b'E', b"\0\0\0\0\0"),
        (b'S', b""),
        (b'S', b""),
        (b'H', b""),
        (b'Q', b"SELECT 1\0"),
        (b'Q', b"DEALLOCATE a\0"),
        (b'Q', b"DISCARD ALL\0"),
        (b'Q', b"SET a = 1\0"),
        (b'Q', b"BEGIN"),
        (b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        (b'd', b"row"),
        (b'c', b""),
    ];
    let answered: &[(u8, &[u8])] = &[
        (b'1', b""),
        (b'1', b""),
        (b'2', b""),
        (b'2', b""),
        (b'3', b""),
        (b't', b"\0\0"),
        (b'T', b"\0\0"),
        (b'n', b""),
        (b'D', b"\0\0"),
        (b'C', b"SELECT 1\0"),
        (b'C', b"DEALLOCATE ALL\0"),
        (b'C', b"PREPARE\0"),
        (b'C', b"DEALLOCATE\0"),
        (b'I', b""),
        (b'E', b"SERROR\0VERROR\0C42601\0Mx\0\0"),
        (b'E', b"SERROR\0VERROR\0C26000\0Mpc_\0\0"),
        (b'E', b"SERROR\0VERROR\0C0A000\0Mx\0\0"),
        (b'Z', b"I"),
        (b'Z', b"I"),
        (b'Z', b"T"),
        (b'Z', b"E"),
        (b'G', b"\0\0\0"),
        (b'H', b"\0\0\0"),
        (b'N', b"SNOTICE\0\0"),
        (b'S', b"a\0b\0"),
    ];
    let words = if from_server { answered } else { sent };
    words.iter().map(|(tag, body)| frame(*tag, body)).collect()
}

/// What one side sends at once: frames, and perhaps a byte of them changed.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let frames = any::<bool>().prop_flat_map(|from_server| {
        let word = prop::sample::select(words(from_server));
        let frames = prop::collection::vec(word, 0..6).prop_map(|it| it.concat());
        (Just(from_server), frames)
    });
    let change = prop::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>()));
    (frames, 0u8..4, change).prop_map(|((from_server, mut bytes), whose, change)| {
        if let Some((at, byte)) = change
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whose = whose | u8::from(from_server) << 2;
        let len = (bytes.len() as u16).to_be_bytes();
        [&[whose], &len[..], &bytes].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(3000)
    ))]

    #[test]
    fn nothing_panics_whatever_either_side_sends(
        choice in any::<u8>(),
        pieces in prop::collection::vec(piece(), 0..40),
    ) {
        session::fuzzing::relay(&[vec![choice], pieces.concat()].concat());
    }

    #[test]
    fn nothing_panics_at_any_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        session::fuzzing::relay(&data);
    }
}
