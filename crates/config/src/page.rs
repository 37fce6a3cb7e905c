//! Owns the pages made from the table of settings: help of a setting, annotated example, reference.

use crate::read::brackets;
use crate::sections::SECTIONS;
use crate::setting::{Fallback, Occurs, Section, Setting};
use std::fmt::Write as _;

/// Width of the example's comments.
const WIDTH: usize = 90;

/// The help of a setting or section by its dotted name: `listen.tls.mode`, `database`. A setting
/// is found by its last name alone, too; then all of that name are shown.
pub fn help(name: &str) -> Option<String> {
    let mut page = String::new();
    for section in SECTIONS {
        if section.path == name {
            section_help(&mut page, section);
        }
        for setting in section.settings {
            if setting.name == name || format!("{}.{}", section.path, setting.name) == name {
                setting_help(&mut page, section, setting);
            }
        }
    }
    (!page.is_empty()).then_some(page)
}

fn section_help(page: &mut String, section: &Section) {
    let _ = writeln!(page, "{}\n{}\n", brackets(section), joined(section.text));
    for setting in section.settings {
        let _ = writeln!(page, "  {}", setting.name);
    }
    page.push('\n');
}

fn setting_help(page: &mut String, section: &Section, setting: &Setting) {
    let _ = writeln!(page, "{}.{}\n", section.path, setting.name);
    wrapped(page, "  ", &joined(setting.text));
    page.push('\n');
    for (label, fact) in facts(setting) {
        let _ = writeln!(page, "  {label}: {fact}");
    }
    for word in setting.kind.words {
        let _ = writeln!(page, "    {:<16} {}", word.word, joined(word.meaning));
    }
    page.push('\n');
}

/// An annotated configuration with every setting: what must be written stands there, the rest as
/// comments with the defaults.
pub fn example() -> String {
    let mut page = String::from(
        "# Configuration of Portcullis. A line that starts with #name shows a default, or an \
         example\n# where there is none. Relative paths start at the directory of this file.\n\
         # `portcullis check --config FILE` finds every mistake; `portcullis settings NAME` \
         explains.\n",
    );
    for section in SECTIONS {
        let off = match section.occurs {
            _ if section.like.is_some() => "#",
            Occurs::Once if is_within_optional(section) => "#",
            Occurs::Once | Occurs::AtLeastOnce => "",
            Occurs::AnyTimes => "#",
        };
        page.push('\n');
        wrapped(&mut page, "# ", &joined(section.text));
        let _ = writeln!(page, "{off}{}", brackets(section));
        if section.like.is_some() {
            continue;
        }
        for setting in section.settings {
            page.push('\n');
            setting_example(&mut page, setting);
        }
    }
    page
}

/// True if the section that it is in need not be there.
fn is_within_optional(section: &Section) -> bool {
    let outer = section.path.rsplit_once('.').map(|(outer, _)| outer);
    let is_outer = |it: &&Section| Some(it.path) == outer;
    let outer = SECTIONS.iter().find(is_outer);
    outer.is_some_and(|it| it.occurs == Occurs::AnyTimes)
}

fn setting_example(page: &mut String, setting: &Setting) {
    wrapped(page, "# ", &joined(setting.text));
    for word in setting.kind.words {
        let quoted = format!("\"{}\"", word.word);
        let _ = writeln!(page, "#   {quoted:<16} {}", joined(word.meaning));
    }
    let off = if setting.in_example { "" } else { "#" };
    let value = match setting.fallback {
        Fallback::Value(default) if !setting.in_example => default,
        _ => setting.sample,
    };
    let _ = writeln!(page, "{off}{} = {value}", setting.name);
}

/// The reference page of all settings, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         The configuration is one TOML file. An unknown key is an error, and all errors are \
         reported at once.\nRelative paths start at the directory of the file. Durations are \
         seconds, or a number with its unit:\n`\"500ms\"`, `\"10s\"`, `\"5min\"`, `\"1h\"`, \
         `\"1d\"`. A setting with PgBouncer's meaning has PgBouncer's name and\ndefault; the \
         modes of TLS are safer.\n\n\
         This page is made by `portcullis settings`; `portcullis init` writes the same as an \
         annotated configuration.\n",
    );
    for section in SECTIONS {
        let often = match section.occurs {
            Occurs::Once => "",
            Occurs::AtLeastOnce => " At least once.",
            Occurs::AnyTimes => " Any number of times.",
        };
        let header = brackets(section);
        let _ = writeln!(page, "\n## `{header}`\n\n{}{often}", joined(section.text));
        for setting in section.settings {
            if section.like.is_none() {
                setting_reference(&mut page, section, setting);
            }
        }
    }
    page
}

fn setting_reference(page: &mut String, section: &Section, setting: &Setting) {
    let _ = writeln!(page, "\n### `{}.{}`\n", section.path, setting.name);
    let _ = writeln!(page, "{}\n", joined(setting.text).replace('*', "\\*"));
    for (label, fact) in facts(setting) {
        let _ = writeln!(page, "- {label}: {fact}");
    }
    for word in setting.kind.words {
        let _ = writeln!(page, "  - `\"{}\"`: {}", word.word, joined(word.meaning));
    }
}

/// Type, default, bounds and example of a setting, for those that it has.
fn facts(setting: &Setting) -> Vec<(&'static str, String)> {
    let default = match setting.fallback {
        Fallback::Required => "none (it must be written)".to_owned(),
        Fallback::Unset(meaning) => format!("none ({meaning})"),
        Fallback::Value(value) => format!("`{value}`"),
    };
    let mut facts = vec![("default", default)];
    if !setting.sample.is_empty() {
        facts.push(("example", format!("`{}`", setting.sample)));
    }
    let bounds = setting.bounds.in_words(setting.kind.unit);
    if !bounds.is_empty() {
        facts.push(("bounds", bounds));
    }
    facts.push(("type", setting.kind.name.to_owned()));
    facts
}

/// A text of docstring lines as one line.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes a text in lines of at most [`WIDTH`], each with a prefix.
fn wrapped(page: &mut String, prefix: &str, text: &str) {
    let mut line = String::from(prefix);
    for word in text.split(' ') {
        let empty = line.len() == prefix.len();
        if !empty && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(page, "{line}");
            line = String::from(prefix);
        } else if !empty {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(page, "{line}");
}
