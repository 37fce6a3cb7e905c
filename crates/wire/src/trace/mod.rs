//! Owns the text form of an exchange, for people: one message per line, `>` from the client and
//! `<` from the server, PostgreSQL's name of the message, then its fields.
//!
//! ```text
//! > Query sql=(9 bytes)
//! < RowDescription columns=[(8 bytes):23]
//! < DataRow values=[(1 bytes)]
//! < CommandComplete command="SELECT 1"
//! < ReadyForQuery status=Idle
//! ```
//!
//! What a session carries (SQL, values, rows, column names, error texts) is shown as lengths only,
//! unless [`Detail::Unredacted`] is chosen. What opens a session (passwords, answers to
//! authentication, cancel keys) is never shown at all.

mod from_client;
mod from_server;
mod line;

use crate::frame::{HEADER, Header};
use crate::from_server::Authentication;
use crate::startup::{self, Packet};
use line::Line;

/// How much a trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Content as lengths.
    #[default]
    Redacted,
    /// Content itself: for tests, whose content is their own.
    Unredacted,
}

/// Who sent the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// `>`
    Client,
    /// `<`
    Server,
}

/// What a client message tagged `p` is, as the server's last request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Password,
    SaslInitial,
    Sasl,
    Gss,
}

/// Renders an exchange. Remembers only what tells the messages tagged `p` apart.
#[derive(Debug)]
pub struct Trace {
    detail: Detail,
    reply: Reply,
}

impl Trace {
    /// A trace that shows so much.
    pub fn new(detail: Detail) -> Self {
        Self {
            detail,
            reply: Reply::Password,
        }
    }

    /// One line for an untagged packet of a client.
    pub fn greeting(&self, bytes: &[u8]) -> String {
        let mut line = Line::new(Sender::Client, self.detail);
        match startup::first(bytes) {
            Ok(Some((Packet::Ssl, _))) => line.name("SSLRequest"),
            Ok(Some((Packet::Gss, _))) => line.name("GSSENCRequest"),
            Ok(Some((Packet::Cancel(request), _))) => {
                line.name("CancelRequest");
                line.shown("pid", request.pid);
                line.secret("key", request.key.expose().len());
            }
            Ok(Some((Packet::Startup(message), _))) => {
                line.name("StartupMessage");
                line.shown("version", message.version());
                for (name, value) in message.parameters() {
                    line.pair(&name, &value);
                }
            }
            Ok(None) => {
                line.name("untagged packet");
                line.incomplete(bytes.len());
            }
            Err(fault) => {
                line.name("untagged packet");
                line.fault(fault);
            }
        }
        line.finish()
    }

    /// A line for each frame in `bytes`, the last of which may be incomplete.
    pub fn frames(&mut self, sender: Sender, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = Header::peek(rest)
                .filter(|header| header.len >= 4)
                .and_then(|header| rest.split_at_checked(header.total()));
            match whole {
                Some((frame, after)) => {
                    lines.push(self.frame(sender, frame[0], &frame[HEADER..]));
                    rest = after;
                }
                None => {
                    let mut line = Line::new(sender, self.detail);
                    line.tag(rest[0]);
                    line.incomplete(rest.len());
                    lines.push(line.finish());
                    break;
                }
            }
        }
        lines
    }

    /// One line for a frame.
    pub fn frame(&mut self, sender: Sender, tag: u8, body: &[u8]) -> String {
        let mut line = Line::new(sender, self.detail);
        let shown = match sender {
            Sender::Client => from_client::show(&mut line, self.reply, tag, body),
            Sender::Server => from_server::show(&mut line, tag, body),
        };
        match shown {
            Ok(Some(request)) => self.reply = request,
            Ok(None) => {}
            Err(fault) => {
                line = Line::new(sender, self.detail);
                line.tag(tag);
                line.fault(fault);
            }
        }
        line.finish()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new(Detail::Redacted)
    }
}

impl Reply {
    fn to(request: &Authentication<'_>) -> Self {
        match request {
            Authentication::Sasl(_) => Self::SaslInitial,
            Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => Self::Sasl,
            Authentication::Gss | Authentication::GssContinue(_) | Authentication::Sspi => {
                Self::Gss
            }
            _ => Self::Password,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_protocol_is_said() {
        let mut trace = Trace::default();
        let bytes = b"S\0\0\0\x04S\0\0\0\x05x!\0\0\0\x06ab\x01Q\0\0\0\x09a";
        assert_eq!(
            trace.frames(Sender::Client, &bytes[..19]),
            [
                "> Sync",
                "> Sync invalid: Sync: 1 bytes after its end",
                "> unknown 0x21 body=(2 bytes)",
                "> unknown 0x01 incomplete after 1 bytes",
            ]
        );
        assert_eq!(
            trace.frames(Sender::Client, &bytes[19..]),
            ["> Query incomplete after 6 bytes"]
        );
        assert_eq!(
            trace.greeting(&[0, 0, 0, 3]),
            "> untagged packet invalid: startup packet of length 3, allowed are 8 to 10004"
        );
    }

    #[test]
    fn what_opens_a_session_is_never_shown() {
        let mut trace = Trace::new(Detail::Unredacted);
        let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07KEYS";
        assert_eq!(
            trace.greeting(cancel),
            "> CancelRequest pid=7 key=(4 bytes)"
        );
        let password = b"p\0\0\0\x0chunter2\0";
        assert_eq!(
            trace.frames(Sender::Client, password),
            ["> PasswordMessage password=(7 bytes)"]
        );
        let key = b"K\0\0\0\x0c\0\0\0\x07KEYS";
        assert_eq!(
            trace.frames(Sender::Server, key),
            ["< BackendKeyData pid=7 key=(4 bytes)"]
        );
    }
}
