//! The cache: what its keys tell apart, and that its bounds hold.

use sql::{Cache, CacheLimits, Encoding, Lexing};

const LIMITS: CacheLimits = CacheLimits {
    entries: 100,
    bytes: 30_000,
};

#[test]
fn keys_tell_apart_all_that_counts() {
    let cache = Cache::<u8>::new([1, 2, 3, 4], LIMITS);
    let other = Cache::<u8>::new([1, 2, 3, 5], LIMITS);
    let lexing = Lexing::default();
    let key = cache.key(b"SELECT 1", lexing, 0);
    assert!(key == cache.key(b"SELECT 1", lexing, 0));
    assert!(key != cache.key(b"SELECT 2", lexing, 0));
    assert!(key != cache.key(b"SELECT 1", lexing, 1));
    assert!(key != other.key(b"SELECT 1", lexing, 0));
    for changed in [
        Lexing {
            encoding: Encoding::Sjis,
            ..lexing
        },
        Lexing {
            standard_conforming_strings: false,
            ..lexing
        },
        Lexing {
            len_max: 1,
            ..lexing
        },
    ] {
        assert!(key != cache.key(b"SELECT 1", changed, 0), "{changed:?}");
    }
}

#[test]
fn its_bounds_hold_and_what_is_asked_for_stays() {
    let mut cache = Cache::new([7; 4], LIMITS);
    let lexing = Lexing::default();
    let wanted = cache.key(b"wanted", lexing, 0);
    cache.insert(wanted, 0u64, 0);
    for number in 0..10_000u64 {
        assert_eq!(cache.find(&wanted), Some(&0), "{number}");
        let key = cache.key(&number.to_le_bytes(), lexing, 0);
        cache.insert(key, number, (number % 50) as usize);
        assert!(cache.len() <= LIMITS.entries && cache.bytes() <= LIMITS.bytes);
    }
    assert!(cache.len() > 50, "{}", cache.len());
    let large = cache.key(b"large", lexing, 0);
    cache.insert(large, 1, LIMITS.bytes);
    assert_eq!(cache.find(&large), None);
    cache.insert(wanted, 5, 9);
    assert_eq!(cache.find(&wanted), Some(&5));
    cache.clear();
    assert!(cache.is_empty() && cache.bytes() == 0);
}
