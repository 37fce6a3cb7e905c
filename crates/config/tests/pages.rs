//! The pages made from the table of settings, and the table itself.

use config::{Config, ConfigError, Fallback, Problem, SECTIONS, Section, Setting, Unit};

/// A file that has this one setting, in its section.
fn alone(section: &Section, setting: &Setting, value: &str) -> String {
    let header = match section.path {
        "database"
        | "cluster"
        | "route"
        | "user"
        | "rule"
        | "webhook"
        | "auth.map"
        | "listen.tls.identity"
        | "listener"
        | "peer" => {
            format!("[[{}]]", section.path)
        }
        "listener.tls" => "[[listener]]\n[listener.tls]".to_owned(),
        "listener.tls.identity" => "[[listener]]\n[[listener.tls.identity]]".to_owned(),
        "database.tls" => "[[database]]\n[database.tls]".to_owned(),
        "cluster.tls" => "[[cluster]]\n[cluster.tls]".to_owned(),
        "cluster.source_tls" => "[[cluster]]\n[cluster.source_tls]".to_owned(),
        "peer.tls" => "[[peer]]\n[peer.tls]".to_owned(),
        "database.host_tls" => "[[database]]\n[[database.host_tls]]".to_owned(),
        "cluster.host_tls" => "[[cluster]]\n[[cluster.host_tls]]".to_owned(),
        path => format!("[{path}]"),
    };
    format!("{header}\n{} = {value}\n", setting.name)
}

/// The errors about one setting, other than that it contradicts others.
fn errors_about(section: &Section, setting: &Setting, value: &str) -> Vec<ConfigError> {
    let key = format!("{}.{}", section.path, setting.name);
    let text = alone(section, setting, value);
    let invalid = Config::from_text(&text, "p.toml").err();
    let errors = invalid.map(|it| it.errors).unwrap_or_default();
    errors
        .into_iter()
        .filter(|error| error.place.key == key || error.place.key.is_empty())
        .filter(|error| !matches!(error.problem, Problem::Conflict(_)))
        .collect()
}

fn settings() -> impl Iterator<Item = (&'static Section, &'static Setting)> {
    let of = |section: &'static Section| section.settings.iter().map(move |it| (section, it));
    SECTIONS.iter().flat_map(of)
}

#[test]
fn the_example_is_right_as_it_stands() {
    let example = config::example();
    if let Err(config::Invalid { errors, .. }) = Config::from_text(&example, "portcullis.toml") {
        panic!("{errors:#?}\nin:\n{example}");
    }
    for (_, setting) in settings() {
        let written = format!("\n{} = ", setting.name);
        let shown = format!("\n#{} = ", setting.name);
        assert!(
            example.contains(&written) || example.contains(&shown),
            "{}",
            setting.name
        );
    }
}

#[test]
fn every_default_and_example_is_read() {
    for (section, setting) in settings() {
        let default = match setting.fallback {
            Fallback::Value(value) => value,
            Fallback::Required | Fallback::Unset(_) => {
                assert!(
                    !setting.sample.is_empty(),
                    "{} needs a sample",
                    setting.name
                );
                continue;
            }
        };
        assert_eq!(
            errors_about(section, setting, default),
            [],
            "{}",
            setting.name
        );
    }
    for (section, setting) in settings().filter(|(_, setting)| !setting.sample.is_empty()) {
        assert_eq!(
            errors_about(section, setting, setting.sample),
            [],
            "{}",
            setting.name
        );
    }
}

#[test]
fn every_bound_is_kept() {
    let mut seen = 0;
    for (section, setting) in settings() {
        let (least, most) = (setting.bounds.least, setting.bounds.most);
        let outside = match setting.kind.unit {
            Unit::None => continue,
            Unit::Count => vec![format!("{}", most + 1), "-1".to_owned(), "1e3".to_owned()],
            Unit::Millis => vec![
                format!("\"{}ms\"", most + 1),
                "-1".to_owned(),
                "\"99999999999999999999d\"".to_owned(),
                "99999999999999999999".to_owned(),
            ],
            Unit::Length => vec![
                format!("\"{}\"", "x".repeat(usize::try_from(most).unwrap() + 1)),
                "\"\"".to_owned(),
            ],
        };
        for value in outside {
            let errors = errors_about(section, setting, &value);
            assert_eq!(errors.len(), 1, "{} = {value}: {errors:?}", setting.name);
        }
        let inside = match setting.kind.unit {
            Unit::Count => vec![least.to_string(), most.to_string()],
            Unit::Millis => vec![format!("\"{least}ms\""), format!("\"{most}ms\"")],
            Unit::None | Unit::Length => Vec::new(),
        };
        for value in inside {
            assert_eq!(
                errors_about(section, setting, &value),
                [],
                "{}",
                setting.name
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_reference_in_the_tree_is_the_one_that_the_table_gives() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let in_tree = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        in_tree == config::reference(),
        "docs/settings.md is not what the table of settings says; write it anew with\n  \
         cargo run -p portcullis -- settings > docs/settings.md"
    );
}

#[test]
fn help_is_found_by_any_name() {
    let whole = config::help("listen.tls.mode").unwrap();
    assert!(whole.contains("listen.tls.mode\n"), "{whole}");
    assert!(whole.contains("verify-full"), "{whole}");
    let both = config::help("mode").unwrap();
    assert!(both.contains("listen.tls.mode\n") && both.contains("database.tls.mode\n"));
    let section = config::help("database").unwrap();
    assert!(
        section.contains("[[database]]") && section.contains("  host\n"),
        "{section}"
    );
    assert_eq!(config::help("no_such_thing"), None);
}
