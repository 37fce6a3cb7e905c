//! The fuzz targets, driven by a seeded mutator over valid messages: a small, repeatable share of
//! what the fuzzer does, run with every other test.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use std::fs;
use std::path::Path;
use wire::fuzzing;

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const TELLING: [u8; 8] = [0, 1, 3, 4, 0x7f, 0x80, 0xfe, 0xff];

fn mutate(random: &mut Random, data: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(3) {
        let at = random.below(data.len());
        match random.below(7) {
            0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            1 if !data.is_empty() => data[at] = TELLING[random.below(8)],
            2 => data.truncate(at),
            3 => data.insert(at, TELLING[random.below(8)]),
            4 if !data.is_empty() => {
                data.remove(at);
            }
            5 => {
                let from = random.below(other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            _ => {
                let copy = data[at..].to_vec();
                data.extend(copy);
            }
        }
    }
    data.truncate(20_000);
}

fn run(seed: u64, rounds: usize, corpus: &[Vec<u8>], target: fn(&[u8])) {
    let mut random = Random(seed);
    for valid in corpus {
        target(valid);
    }
    for _ in 0..rounds {
        let mut data = corpus[random.below(corpus.len())].clone();
        let other = &corpus[random.below(corpus.len())];
        mutate(&mut random, &mut data, other);
        target(&data);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Lines of the recorded exchanges whose direction is `wanted`.
fn recorded(wanted: char) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    [
        "scram_login_and_query",
        "copy_in_and_error",
        "extended_query",
    ]
    .iter()
    .flat_map(|name| {
        let text = fs::read_to_string(folder.join(format!("{name}.bytes"))).unwrap();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(wanted))
            .map(|line| unhex(&line[2..]))
            .collect();
        lines
    })
    .collect()
}

/// Tag and body of each frame, without the length: what the targets of messages take.
fn messages(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = stream;
    while let Some(frame) = wire::frame::whole(rest, |_| u32::MAX).unwrap() {
        out.push([&[frame.tag][..], frame.body].concat());
        rest = &rest[frame.total..];
    }
    out
}

#[test]
fn frames() {
    let corpus = [recorded('<'), recorded('>')].concat();
    run(1, 5_000, &corpus, fuzzing::framer);
}

#[test]
fn untagged_packets() {
    let mut corpus = recorded('+');
    corpus.push(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07KEYS".to_vec());
    corpus.push(b"\0\0\0\x08\x04\xd2\x16\x30".to_vec());
    corpus.push(
        b"\0\0\0\x36\0\x03\0\x02user\0u\0replication\0database\0options\0-c a=\\ b\0\0".to_vec(),
    );
    run(2, 5_000, &corpus, fuzzing::startup);
}

#[test]
fn messages_of_a_client() {
    let mut corpus: Vec<_> = recorded('>')
        .iter()
        .flat_map(|bytes| messages(bytes))
        .collect();
    corpus.push(b"p\0pw\0".to_vec());
    corpus.push(b"fwhy\0".to_vec());
    run(3, 6_000, &corpus, fuzzing::from_client);
}

#[test]
fn messages_of_a_server() {
    let mut corpus: Vec<_> = recorded('<')
        .iter()
        .flat_map(|bytes| messages(bytes))
        .collect();
    corpus.push(b"R\0\0\0\x05salt".to_vec());
    corpus.push(b"V\0\0\0\x01v".to_vec());
    corpus.push(b"W\0\0\0".to_vec());
    run(4, 6_000, &corpus, fuzzing::from_server);
}

#[test]
fn proxy_header() {
    let signature = wire::proxy_header::SIGNATURE;
    let header = |rest: &[u8]| [&signature[..], rest].concat();
    let corpus = [
        header(b"\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x34\x15\x38"),
        header(&[b"\x21\x21\0\x27".to_vec(), vec![7; 39]].concat()),
        header(&[b"\x21\x31\0\xd8".to_vec(), vec![0; 216]].concat()),
        header(b"\x20\0\0\0"),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
    ];
    run(7, 20_000, &corpus, fuzzing::proxy_header);
}
