//! Owns the configuration that is being written: settings by section, each with its meaning and where
//! it comes from, as TOML. A setting that the table of settings doesn't have can't be written.

use crate::fault::At;
use config::{SECTIONS, Setting, Unit};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Width of comments.
const WIDTH: usize = 90;

/// A value in TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
    Number(u64),
    Flag(bool),
    /// Milliseconds.
    Time(u64),
}

/// One setting.
struct Line {
    setting: &'static Setting,
    value: Value,
    from: Option<At>,
}

/// The settings of one section, with what is to be said about it.
pub(crate) struct Block {
    path: &'static str,
    many: bool,
    remarks: Vec<String>,
    lines: Vec<Line>,
}

impl Block {
    /// `[path]`.
    pub(crate) fn once(path: &'static str) -> Self {
        Self {
            path,
            many: false,
            remarks: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// `[[path]]`.
    pub(crate) fn many(path: &'static str) -> Self {
        let many = true;
        Self {
            many,
            ..Self::once(path)
        }
    }

    /// Writes a setting; one that is written already gets this value.
    pub(crate) fn set(&mut self, name: &str, value: Value, from: Option<&At>) {
        let Some(setting) = setting(self.path, name) else {
            debug_assert!(false, "{}.{name} is no setting", self.path);
            return;
        };
        self.lines.retain(|line| line.setting.name != name);
        self.lines.push(Line {
            setting,
            value,
            from: from.cloned(),
        });
    }

    /// Says something in front of the section.
    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// Whether the setting is written.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.setting.name == name)
    }

    /// Whether the setting is written, and no empty list.
    pub(crate) fn has_elements(&self, name: &str) -> bool {
        let empty = Value::Texts(Vec::new());
        let written = self.lines.iter().filter(|line| line.value != empty);
        written.into_iter().any(|line| line.setting.name == name)
    }

    /// The number of a setting that is written.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let line = self.lines.iter().find(|line| line.setting.name == name)?;
        match line.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// A setting of the table.
pub(crate) fn setting(path: &str, name: &str) -> Option<&'static Setting> {
    let section = SECTIONS.iter().find(|section| section.path == path)?;
    section.settings.iter().find(|setting| setting.name == name)
}

/// The blocks as TOML. The meaning of a setting stands where it is written first.
pub(crate) fn text(blocks: &[Block]) -> String {
    let mut text = String::new();
    let mut explained = BTreeSet::new();
    for block in blocks {
        if block.lines.is_empty() && block.remarks.is_empty() {
            continue;
        }
        text.push('\n');
        for remark in &block.remarks {
            comment(&mut text, remark);
        }
        let _ = match block.many {
            true => writeln!(text, "[[{}]]", block.path),
            false => writeln!(text, "[{}]", block.path),
        };
        for line in &block.lines {
            if explained.insert((block.path, line.setting.name)) {
                comment(&mut text, &meaning(line.setting));
            }
            let _ = write!(text, "{} = {}", line.setting.name, written(&line.value));
            if let Some(from) = &line.from {
                let _ = write!(text, "  # {}", from.short());
            }
            text.push('\n');
        }
    }
    text
}

/// The first sentence of what a setting means.
fn meaning(setting: &Setting) -> String {
    let text = setting.text.split_whitespace().collect::<Vec<_>>();
    let text = text.join(" ");
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

/// Writes a comment in lines of at most [`WIDTH`].
pub(crate) fn comment(text: &mut String, remark: &str) {
    wrapped(text, ("#", "#"), remark);
}

/// Writes a comment as one point of a list.
pub(crate) fn point(text: &mut String, remark: &str) {
    wrapped(text, ("# -", "#  "), remark);
}

fn wrapped(text: &mut String, (first, others): (&str, &str), remark: &str) {
    let mut line = String::from(first);
    for word in remark.split_whitespace() {
        if line.len() > first.len() && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from(others);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

fn written(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Texts(texts) => list(texts.iter().map(|text| quoted(text))),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Time(millis) if millis % 1000 == 0 => (millis / 1000).to_string(),
        Value::Time(millis) => format!("\"{millis}ms\""),
    }
}

fn list(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(", "))
}

/// A TOML basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

/// The amount that a setting may have: itself, or the nearest one. PgBouncer's 0 mostly switches a
/// limit off; where it can't be written here, that is the most.
pub(crate) fn fitted(setting: &Setting, amount: u64) -> u64 {
    let bounds = setting.bounds;
    match amount {
        0 if takes_zero(setting) => 0,
        0 => bounds.most,
        amount => amount.clamp(bounds.least, bounds.most),
    }
}

fn takes_zero(setting: &Setting) -> bool {
    let off = setting.kind.unit == Unit::Millis && setting.kind.name.contains("0 for none");
    setting.bounds.least == 0 || off
}
