//! What a script may send: messages by name, with a place for the name of who sends them.

use testkit::peer::message;
use testkit::peer::message::frame;

/// Stands in texts for the name that the sender's objects bear.
pub const ME: &str = "{me}";

/// A message from a client; texts may hold [`ME`].
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are named as the manual names them")]
pub enum Message {
    Query(String),
    Parse(String, String),
    Bind(String, String, Vec<String>),
    DescribeStatement(String),
    DescribePortal(String),
    Execute(String, u32),
    CloseStatement(String),
    ClosePortal(String),
    Sync,
    Flush,
    CopyData(String),
    CopyDone,
    CopyFail,
}

impl Message {
    /// A Query.
    pub fn query(text: &str) -> Message {
        Message::Query(text.to_owned())
    }

    /// The bytes that a sender of this name sends.
    pub fn encode(&self, me: &str) -> Vec<u8> {
        let text = |text: &str| [text.replace(ME, me).as_bytes(), b"\0"].concat();
        let named = |tag: u8, kind: u8, name: &str| frame(tag, &[&[kind], &*text(name)].concat());
        match self {
            Message::Query(query) => frame(b'Q', &text(query)),
            Message::Parse(name, query) => {
                frame(b'P', &[&*text(name), &*text(query), &[0, 0]].concat())
            }
            Message::Bind(portal, statement, values) => {
                let mut body = [text(portal), text(statement)].concat();
                body.extend([0, 0]);
                body.extend((values.len() as u16).to_be_bytes());
                for value in values {
                    let value = value.replace(ME, me);
                    body.extend((value.len() as u32).to_be_bytes());
                    body.extend(value.as_bytes());
                }
                body.extend([0, 0]);
                frame(b'B', &body)
            }
            Message::DescribeStatement(name) => named(b'D', b'S', name),
            Message::DescribePortal(name) => named(b'D', b'P', name),
            Message::Execute(portal, rows) => {
                frame(b'E', &[&*text(portal), &rows.to_be_bytes()].concat())
            }
            Message::CloseStatement(name) => named(b'C', b'S', name),
            Message::ClosePortal(name) => named(b'C', b'P', name),
            Message::Sync => message::SYNC.to_vec(),
            Message::Flush => frame(b'H', b""),
            Message::CopyData(data) => frame(b'd', data.replace(ME, me).as_bytes()),
            Message::CopyDone => frame(b'c', b""),
            Message::CopyFail => frame(b'f', b"the client gives up\0"),
        }
    }

    /// Whether ReadyForQuery answers it.
    pub fn ends_a_round(&self) -> bool {
        matches!(self, Message::Query(_) | Message::Sync)
    }
}
