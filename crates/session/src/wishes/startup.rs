//! Owns the division of a startup packet's parameters: what the session can set later on any server
//! connection, and what only a login can.
//!
//! Source: manual, "Start-up"; `process_startup_options`: first `options`, then the packet's own
//! parameters, of two with one name the last one holds.

use super::{Draft, NAMES_MAX, TOTAL_BYTES_MAX, VALUE_BYTES_MAX, Wishes, known, name};
use buf::Secret;
use std::fmt;
use std::sync::Arc;
use wire::Text;
use wire::startup::{Setting, StartupMessage, options};

/// A startup packet's parameters, divided.
pub struct Divided {
    /// What the session can set by itself: the client's base.
    pub wishes: Arc<Wishes>,
    /// What stays in the packet towards the server, which judges it at the login, and therefore in the
    /// pool's key: names as the client wrote them, in order. Without user, database, replication and
    /// protocol options.
    pub rest: Vec<(Vec<u8>, Secret)>,
}

/// Names and lengths only.
impl fmt::Debug for Divided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Divided")
            .field("wishes", &self.wishes)
            .field("rest", &self.rest.len())
            .finish()
    }
}

/// Divides the parameters of a packet. `extra` names, in lower case, more parameters that every role may set.
///
/// `options` with anything but settings stays whole. So does what is beyond the bounds of [`Wishes`].
pub fn split(packet: &StartupMessage, extra: &[String]) -> Divided {
    let mut division = Division {
        extra,
        draft: Draft::default(),
        rest: Vec::new(),
    };
    if let Some(text) = packet.options().filter(|text| !text.is_empty()) {
        division.options(text);
    }
    for (name, value) in packet.settings() {
        division.setting(&name, &value);
    }
    Divided {
        // Never refused: what doesn't fit was not taken.
        wishes: division.draft.finish().unwrap_or_default(),
        rest: division.rest,
    }
}

struct Division<'a> {
    extra: &'a [String],
    draft: Draft,
    rest: Vec<(Vec<u8>, Secret)>,
}

impl Division<'_> {
    fn options(&mut self, text: Text<'_>) {
        let Ok(settings) = options(text) else {
            self.rest.push((b"options".to_vec(), Secret::new(&text)));
            return;
        };
        let mut others = Vec::new();
        for Setting { name, value } in settings {
            let value = Secret::from_vec(value);
            if !self.takes(&name, value.expose()) {
                option(&name, value.expose(), &mut others);
            }
        }
        if !others.is_empty() {
            let others = Secret::from_vec(others);
            self.rest.push((b"options".to_vec(), others));
        }
    }

    fn setting(&mut self, name: &[u8], value: &[u8]) {
        if !self.takes(name, value) {
            self.rest.push((name.to_vec(), Secret::new(value)));
        }
    }

    /// Whether it became a wish.
    fn takes(&mut self, name: &[u8], value: &[u8]) -> bool {
        let Some(name) = self.wishable(name) else {
            return false;
        };
        if !self.has_room(&name, value) {
            return false;
        }
        let value = match &*name {
            "client_encoding" => encoding(value),
            "application_name" => printable(value),
            _ => Secret::new(value),
        };
        self.draft.set(&name, value);
        true
    }

    fn wishable(&self, name: &[u8]) -> Option<String> {
        let name = name::folded(name)?;
        let known = known::is_known(&name) || name::is_custom(&name) || self.extra.contains(&name);
        (known && name::is_carried(&name)).then_some(name)
    }

    fn has_room(&self, name: &str, value: &[u8]) -> bool {
        let list = &self.draft.list;
        let bytes: usize = list.iter().map(|w| w.name.len() + w.value.len()).sum();
        (list.len() < NAMES_MAX || self.draft.value(name).is_some())
            && value.len() <= VALUE_BYTES_MAX
            && bytes + name.len() + value.len() <= TOTAL_BYTES_MAX
    }
}

/// UTF8 has many spellings, and clients that write it differently want the same.
fn encoding(value: &[u8]) -> Secret {
    let plain = value.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let plain: Vec<u8> = plain.map(u8::to_ascii_lowercase).collect();
    match &plain[..] {
        b"utf8" | b"unicode" => Secret::new(b"UTF8"),
        _ => Secret::new(value),
    }
}

/// The server replaces what isn't printable ASCII in this name (`pg_clean_ascii`), and does so at a login
/// before it looks at encodings. A later SET would be refused for bytes that aren't text.
fn printable(value: &[u8]) -> Secret {
    if std::str::from_utf8(value).is_ok() {
        return Secret::new(value);
    }
    let clean = |byte: &u8| {
        if matches!(byte, 32..=126) {
            *byte
        } else {
            b'?'
        }
    };
    Secret::from_vec(value.iter().map(clean).collect())
}

/// Appends `-c name=value` so that the server reads it back.
fn option(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b' ');
    }
    out.extend_from_slice(b"-c ");
    for &byte in name.iter().chain(b"=").chain(value) {
        if matches!(byte, b'\\' | b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ProtocolVersion;

    fn divide(pairs: &[(&str, &str)], extra: &[&str]) -> (Vec<String>, Vec<String>) {
        let pairs = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        let packet = StartupMessage::new(ProtocolVersion::V3_0, pairs).unwrap();
        let extra: Vec<String> = extra.iter().map(|name| (*name).to_owned()).collect();
        let divided = split(&packet, &extra);
        let text = |name: &[u8], value: &[u8]| {
            let (name, value) = (name.escape_ascii(), value.escape_ascii());
            format!("{name}={value}")
        };
        let wishes = divided.wishes.iter();
        let rest = divided.rest.iter();
        (
            wishes.map(|(n, v)| text(n.as_bytes(), v)).collect(),
            rest.map(|(n, v)| text(n, v.expose())).collect(),
        )
    }

    #[track_caller]
    fn divides(pairs: &[(&str, &str)], wishes: &[&str], rest: &[&str]) {
        let (got_wishes, got_rest) = divide(pairs, &["log_statement"]);
        assert_eq!(got_wishes, wishes, "{pairs:?}");
        assert_eq!(got_rest, rest, "{pairs:?}");
    }

    #[test]
    fn what_a_session_can_set_is_taken_out() {
        divides(
            &[
                ("user", "u"),
                ("database", "d"),
                ("replication", "off"),
                ("_pq_.x", "1"),
                ("DateStyle", "SQL, DMY"),
                ("client_encoding", "'utf-8'"),
                ("my.Thing", "a b"),
                ("log_statement", "all"),
                ("session_preload_libraries", "x"),
                ("role", "admin"),
                ("ümlaut.x", "1"),
            ],
            &[
                "client_encoding=UTF8",
                "datestyle=SQL, DMY",
                "log_statement=all",
                "my.thing=a b",
            ],
            &[
                "session_preload_libraries=x",
                "role=admin",
                "\\xc3\\xbcmlaut.x=1",
            ],
        );
    }

    #[test]
    fn options_come_first_and_are_divided_as_well() {
        divides(
            &[
                ("work_mem", "1MB"),
                (
                    "options",
                    "-c work_mem=2MB --search-path=a\\ b,\\\\c -cgeqo=off -c ssl=x\\ \\\\y -c role=r",
                ),
            ],
            &["geqo=off", "search_path=a b,\\\\c", "work_mem=1MB"],
            &["options=-c ssl=x\\\\ \\\\\\\\y -c role=r"],
        );
        divides(&[("options", "")], &[], &[]);
        divides(&[("options", "  -c geqo=on ")], &["geqo=on"], &[]);
        for strange in ["-c geqo=on -F", "-c geqo", "geqo=on", "--", "-c"] {
            let rest = format!("options={strange}");
            divides(&[("options", strange)], &[], &[&rest]);
        }
    }

    #[test]
    fn what_is_rebuilt_is_read_back() {
        for value in ["", "a b", "\\", " \\ ", "\t\n\r\x0b\x0c", "x\\\\ y=z", "é"] {
            let mut text = Vec::new();
            option(b"a", value.as_bytes(), &mut text);
            option(b"b.c", value.as_bytes(), &mut text);
            let settings = options(Text::new(&text).unwrap()).unwrap();
            let got: Vec<_> = settings
                .iter()
                .map(|s| (&s.name[..], &s.value[..]))
                .collect();
            let value = value.as_bytes();
            assert_eq!(got, [(&b"a"[..], value), (b"b.c", value)]);
        }
    }

    #[test]
    fn what_is_beyond_the_bounds_stays() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let rest = format!("a.b={long}");
        divides(&[("a.b", &long)], &[], &[&rest]);
        let names: Vec<String> = (0..=NAMES_MAX).map(|at| format!("a.{at:03}")).collect();
        let pairs: Vec<_> = names.iter().map(|name| (&name[..], "1")).collect();
        let (wishes, rest) = divide(&pairs, &[]);
        assert_eq!((wishes.len(), rest.len()), (NAMES_MAX, 1));
    }

    #[test]
    fn a_program_name_that_is_no_text_is_cleaned_as_the_server_does() {
        let pairs: [(&[u8], &[u8]); 1] = [(b"application_name", b"caf\xe9\x01")];
        let packet = StartupMessage::new(ProtocolVersion::V3_0, pairs).unwrap();
        let divided = split(&packet, &[]);
        assert_eq!(
            divided.wishes.value("application_name"),
            Some(&b"caf??"[..])
        );
        assert_eq!(
            format!("{divided:?}"),
            r#"Divided { wishes: {"application_name"}, rest: 0 }"#
        );
    }
}
