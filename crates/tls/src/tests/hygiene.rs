//! After plaintext has been taken out of an engine, none of it is left in the process.

use super::*;
use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;

/// The marker is never in memory but where it is written to: this is it with every bit flipped.
const FLIPPED: [u8; 32] = *b"\x91\x0e\xb4\x58\xd1\x27\xe9\x43\x9c\x2a\xf0\x61\xbb\x15\xcd\x7e\x82\x39\xa6\x54\xdf\x08\xe3\x4b\x97\x20\xfc\x6d\xb1\x1f\xc5\x72";

fn is_marker(bytes: &[u8]) -> bool {
    bytes.len() == FLIPPED.len() && bytes.iter().zip(&FLIPPED).all(|(a, b)| *a == !*b)
}

/// How often the marker is in writable memory.
fn sightings() -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = read_to_string("/proc/self/maps").unwrap();
    let mut page = vec![0; 1 << 16];
    let mut count = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let mut at = u64::from_str_radix(from, 16).unwrap();
        let end = u64::from_str_radix(to, 16).unwrap();
        while at < end {
            let part = usize::try_from(end - at).unwrap().min(page.len());
            // Other tests give memory back meanwhile: what lies behind it may still be there.
            let Ok(read) = memory.read_at(&mut page[..part], at) else {
                at += 4096;
                continue;
            };
            count += page[..read]
                .windows(FLIPPED.len())
                .filter(|w| is_marker(w))
                .count();
            page.fill(0);
            if read <= FLIPPED.len() {
                break;
            }
            // The parts overlap, so that a marker on their border is seen.
            at += u64::try_from(read - (FLIPPED.len() - 1)).unwrap();
        }
    }
    count
}

/// However a record comes, and however it is taken out.
#[test]
fn no_plaintext_stays_behind() {
    for tls12 in [false, true] {
        for (piece, room) in [(usize::MAX, 64_000), (3_000, 64_000), (usize::MAX, 5_000)] {
            let mut pair = Pair::ready(tls12);
            pair.server.plain_in = Plain::with_capacity(room);
            let spare = pair.client.plain_out.spare();
            for at in 0..8_000 {
                spare[at] = !FLIPPED[at % FLIPPED.len()];
            }
            pair.client.plain_out.commit(8_000);
            pair.client.send(b"").unwrap();
            let mut taken = 0;
            while taken < 8_000 {
                pair.carry(piece);
                pair.server.receive().unwrap();
                let came = pair.server.plain_in.len();
                // A map of memory that changes meanwhile may lack a part.
                let is_seen = || sightings() >= came / FLIPPED.len();
                assert!((0..10).any(|_| is_seen()), "the search works");
                taken += came;
                pair.server.plain_in.clear();
            }
            assert_eq!(sightings(), 0, "{piece} {room}");
        }
    }
}
