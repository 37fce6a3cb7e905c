//! Exchanges recorded from a real server, and the text that people read of them.
//!
//! Each `golden/x.bytes` holds lines of a direction and hexadecimal bytes: `+` an untagged packet
//! of the client, `-` its one-byte answer, `>` and `<` frames. `golden/x.trace` is what the trace
//! says, `golden/x.open.trace` what it says when told to show content.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use std::fs;
use std::path::{Path, PathBuf};
use wire::trace::{Detail, Sender, Trace};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn exchange(name: &str) -> Vec<(char, Vec<u8>)> {
    let text = fs::read_to_string(golden(&format!("{name}.bytes"))).unwrap();
    text.lines()
        .map(|line| (line.chars().next().unwrap(), unhex(&line[2..])))
        .collect()
}

fn render(name: &str, detail: Detail) -> String {
    let mut trace = Trace::new(detail);
    let mut lines = Vec::new();
    for (direction, bytes) in exchange(name) {
        match direction {
            '+' => lines.push(trace.greeting(&bytes)),
            '-' => lines.push(format!("< {}", bytes.escape_ascii())),
            '>' => lines.extend(trace.frames(Sender::Client, &bytes)),
            '<' => lines.extend(trace.frames(Sender::Server, &bytes)),
            other => panic!("direction {other}"),
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn recorded_exchanges_read_as_they_did() {
    for (file, name, detail) in [
        (
            "scram_login_and_query.trace",
            "scram_login_and_query",
            Detail::Redacted,
        ),
        (
            "copy_in_and_error.trace",
            "copy_in_and_error",
            Detail::Redacted,
        ),
        ("extended_query.trace", "extended_query", Detail::Redacted),
        (
            "extended_query.open.trace",
            "extended_query",
            Detail::Unredacted,
        ),
        (
            "copy_in_and_error.open.trace",
            "copy_in_and_error",
            Detail::Unredacted,
        ),
    ] {
        let expected = fs::read_to_string(golden(file)).unwrap_or_default();
        let rendered = render(name, detail);
        assert!(rendered == expected, "{file}: the trace is now\n{rendered}");
    }
}

#[test]
fn redacted_traces_quote_nothing_that_was_said() {
    for name in [
        "scram_login_and_query",
        "copy_in_and_error",
        "extended_query",
    ] {
        let text = render(name, Detail::Redacted);
        for content in [
            "select",
            "insert into",
            "café",
            "dup",
            "extra",
            "careful",
            "nothing",
            "t_pkey",
        ] {
            assert!(!text.contains(content), "{name} shows {content}");
        }
    }
}
