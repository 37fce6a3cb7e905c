//! Settings of mirrors: defaults, and what cannot be.

use config::{Config, Mirrored};
use std::time::Duration;

const LEAST: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n";
/// A mirror that will do.
const NEXT: &str =
    "[[database]]\nname = \"next\"\nhost = \"h\"\nuser = \"m\"\npassword_file = \"m.password\"\n";

/// A database with these settings in front of the mirror.
fn text(name: &str, settings: &str, next: &str) -> String {
    format!("{LEAST}[[database]]\nname = \"{name}\"\nhost = \"h\"\n{settings}\n{next}")
}

fn errors(text: &str) -> Vec<String> {
    let read = Config::from_text(text, "p.toml");
    let errors = read.expect_err(text).errors;
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_mirror_and_its_defaults() {
    let read = |settings: &str| {
        let text = text(
            "app",
            &format!("pool_mode = \"transaction\"\n{settings}"),
            NEXT,
        );
        let (config, _) = Config::from_text(&text, "p.toml").expect(settings);
        assert_eq!(config.databases[1].mirror, None);
        config.databases[0].mirror.clone()
    };
    let usual = Mirrored {
        to: "next".to_owned(),
        share: 1,
        connections: 2,
        queue_max: 100,
        bytes_max: 65_536,
        timeout: Duration::from_secs(10),
    };
    assert_eq!(read(""), None);
    assert_eq!(read("mirror = \"next\""), Some(usual.clone()));
    let set = "mirror = \"next\"\nmirror_share = 100\nmirror_connections = 3\nmirror_queue_max = 4\n\
               mirror_bytes_max = 1000\nmirror_timeout = \"500ms\"";
    let wanted = Mirrored {
        share: 100,
        connections: 3,
        queue_max: 4,
        bytes_max: 1000,
        timeout: Duration::from_millis(500),
        ..usual
    };
    assert_eq!(read(set), Some(wanted));
}

#[test]
fn what_cannot_be() {
    let mode = "pool_mode = \"transaction\"\n";
    let to = |name: &str| format!("{mode}mirror = \"{name}\"");
    let without = |line: &str| NEXT.replace(line, "");
    for (name, settings, next, says) in [
        (
            "app",
            to("other"),
            NEXT.to_owned(),
            "no [[database]] has this name",
        ),
        (
            "app",
            to("app"),
            NEXT.to_owned(),
            "this is the database itself",
        ),
        ("app", to("*"), NEXT.to_owned(), "\"*\" is neither"),
        ("*", to("next"), NEXT.to_owned(), "\"*\" is neither"),
        (
            "app",
            to("next"),
            without("password_file = \"m.password\"\n"),
            "needs user, with password_file or password_env",
        ),
        (
            "app",
            to("next"),
            without("user = \"m\"\npassword_file = \"m.password\"\n"),
            "needs user, with password_file or password_env",
        ),
        (
            "app",
            "mirror = \"next\"".to_owned(),
            NEXT.to_owned(),
            "mirror needs \"transaction\"",
        ),
        (
            "app",
            "pool_mode = \"session\"\nmirror = \"next\"".to_owned(),
            NEXT.to_owned(),
            "mirror needs \"transaction\"",
        ),
        (
            "app",
            format!("{mode}mirror_share = 5"),
            NEXT.to_owned(),
            "mirror_share is about copies of statements; set mirror as well",
        ),
        (
            "app",
            format!("{mode}mirror_timeout = 5"),
            NEXT.to_owned(),
            "mirror_timeout is about copies",
        ),
        (
            "app",
            format!("{}\nmirror_share = 101", to("next")),
            NEXT.to_owned(),
            "allowed is 1 to 100",
        ),
    ] {
        let found = errors(&text(name, &settings, &next));
        assert!(
            found.len() == 1 && found[0].contains(says),
            "{settings}\n{next}\n{found:#?}"
        );
    }
    // A mirror of a mirror.
    let third = "[[database]]\nname = \"third\"\nhost = \"h\"\nuser = \"m\"\npassword_file = \"m.password\"\n";
    let chain = format!("{NEXT}pool_mode = \"transaction\"\nmirror = \"third\"\n{third}");
    let found = errors(&text("app", &to("next"), &chain));
    assert!(
        found.len() == 1 && found[0].contains("\"next\" has a mirror of its own"),
        "{found:#?}"
    );
}

#[test]
fn the_configuration_of_the_page_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mirroring.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let block = page
        .split_once("```toml\n")
        .and_then(|(_, it)| it.split_once("```"));
    let (config, warnings) = Config::from_text(block.expect("a block").0, "p.toml").expect("right");
    assert!(warnings.is_empty(), "{warnings:?}");
    let mirror = config.databases[0].mirror.as_ref().expect("a mirror");
    assert_eq!((&*mirror.to, mirror.share), ("shop_next", 5));
}
