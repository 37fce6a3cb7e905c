//! Owns writing one line, and with it the decision what is shown: each field is one of four kinds.

use super::{Detail, Sender};
use crate::{from_client, from_server};
use std::fmt::{Display, Write};

/// Names longer than this are cut: nobody legitimate has them, and lines stay readable.
const LABEL_MAX: usize = 63;

pub(super) struct Line {
    text: String,
    sender: Sender,
    detail: Detail,
}

impl Line {
    pub(super) fn new(sender: Sender, detail: Detail) -> Self {
        let text = match sender {
            Sender::Client => ">",
            Sender::Server => "<",
        };
        Self {
            text: text.to_owned(),
            sender,
            detail,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn add(&mut self, text: impl Display) {
        // Writing into a String can't fail.
        let _ = write!(self.text, " {text}");
    }

    pub(super) fn name(&mut self, name: &str) {
        self.add(name);
    }

    /// The name that belongs to a tag.
    pub(super) fn tag(&mut self, tag: u8) {
        let name = match self.sender {
            Sender::Client => from_client::tag::name(tag),
            Sender::Server => from_server::tag::name(tag),
        };
        match name {
            Some(name) => self.add(name),
            None => self.add(format_args!("unknown 0x{tag:02x}")),
        }
    }

    /// Numbers and words of the protocol itself: always shown.
    pub(super) fn shown(&mut self, field: &str, value: impl Display) {
        self.add(format_args!("{field}={value}"));
    }

    /// Names that peers give to things of the protocol: always shown, escaped and cut.
    pub(super) fn label(&mut self, field: &str, name: &[u8]) {
        self.add(format_args!("{field}={}", quoted(name)));
    }

    /// What the session carries: shown by length.
    pub(super) fn content(&mut self, field: &str, bytes: &[u8]) {
        let value = self.redacted(bytes);
        self.add(format_args!("{field}={value}"));
    }

    /// What opens a session: shown by length whatever was chosen.
    pub(super) fn secret(&mut self, field: &str, len: usize) {
        self.add(format_args!("{field}={}", length(len)));
    }

    /// Content under a name that is a label.
    pub(super) fn pair(&mut self, name: &[u8], value: &[u8]) {
        let value = self.redacted(value);
        self.add(format_args!("{}={value}", label(name)));
    }

    pub(super) fn list(&mut self, field: &str, items: impl Iterator<Item = String>) {
        let items: Vec<_> = items.collect();
        self.add(format_args!("{field}=[{}]", items.join(" ")));
    }

    pub(super) fn values<'v>(
        &mut self,
        field: &str,
        values: impl Iterator<Item = Option<&'v [u8]>>,
    ) {
        let items: Vec<_> = values.map(|value| self.value(value)).collect();
        self.list(field, items.into_iter());
    }

    /// A value that may be NULL, as content.
    pub(super) fn value(&self, value: Option<&[u8]>) -> String {
        value.map_or_else(|| "NULL".to_owned(), |bytes| self.redacted(bytes))
    }

    pub(super) fn redacted(&self, bytes: &[u8]) -> String {
        match self.detail {
            Detail::Redacted => length(bytes.len()),
            Detail::Unredacted => format!("\"{}\"", bytes.escape_ascii()),
        }
    }

    pub(super) fn incomplete(&mut self, len: usize) {
        self.add(format_args!("incomplete after {len} bytes"));
    }

    pub(super) fn fault(&mut self, fault: impl Display) {
        self.add(format_args!("invalid: {fault}"));
    }
}

fn length(len: usize) -> String {
    format!("({len} bytes)")
}

fn label(name: &[u8]) -> String {
    match name.split_at_checked(LABEL_MAX) {
        Some((front, rest)) if !rest.is_empty() => format!("{}...", front.escape_ascii()),
        _ => name.escape_ascii().to_string(),
    }
}

pub(super) fn quoted(name: &[u8]) -> String {
    format!("\"{}\"", label(name))
}
