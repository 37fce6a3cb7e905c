//! The pages of the tree are true where a program can tell: each test that SECURITY.md names is
//! there, links lead somewhere, and a second TLS or crypto library is neither allowed nor built.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

/// The Rust sources below a path without its ending: a file, a directory, or nothing.
fn sources(path: &Path) -> String {
    let mut text = fs::read_to_string(path.with_extension("rs")).unwrap_or_default();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        text += &sources(&entry.path().with_extension(""));
    }
    text
}

/// What stands in the last column of the attack table: where, and the names given there.
fn evidence() -> Vec<(String, Vec<String>)> {
    let text = page("SECURITY.md");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit("| ").next());
    let parts = cells.flat_map(|cell| cell.split("; "));
    parts
        .filter_map(|part| {
            let (place, names) = part.strip_prefix('`')?.split_once('`')?;
            let names = names.trim_start_matches(": ").split(", ");
            let names = names.filter(|name| name.contains('_'));
            Some((place.to_owned(), names.map(str::to_owned).collect()))
        })
        .collect()
}

#[test]
fn the_tests_that_the_security_page_names_are_there() {
    let evidence = evidence();
    let named = evidence.iter().map(|(_, names)| names.len()).sum::<usize>();
    assert!(named > 30, "only {named} names were understood");
    let mut missing = vec![];
    for (place, names) in evidence {
        let tests = sources(&root().join("tests/tests").join(&place));
        let own = sources(&root().join("crates").join(&place));
        let all = tests + &own;
        assert!(!all.is_empty(), "there is no {place}");
        for name in names {
            // An ellipsis stands for the rest of several names.
            let whole = match name.strip_suffix('…') {
                Some(start) => format!("fn {start}"),
                None => format!("fn {name}("),
            };
            if !all.contains(&whole) {
                missing.push(format!("{place}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for name in ["README.md", "ARCHITECTURE.md", "DESIGN.md", "SECURITY.md"] {
        let text = page(name);
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let known = target.is_empty() || target.contains("://") || root().join(target).exists();
            assert!(known, "{name} links to {target}");
        }
    }
}

#[test]
fn there_is_one_tls_library() {
    let (rules, lock) = (page("deny.toml"), page("Cargo.lock"));
    for other in ["rustls", "ring", "aws-lc-rs", "aws-lc-sys", "openssl-src"] {
        let name = format!("name = \"{other}\"");
        assert!(rules.contains(&name), "deny.toml lets {other} in");
        assert!(!lock.contains(&name), "{other} is built");
    }
}
