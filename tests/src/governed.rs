//! What the tests of rules about statements share: messages of the extended protocol, and proxies with rules.

use crate::Stage;
use crate::drivers::Endpoint;
use testkit::peer::message::{self, frame};
use testkit::{Cluster, Frame, Peer};

/// Pool modes in which statements are judged alike.
pub const MODES: [&str; 2] = ["session", "transaction"];

/// Parse of a statement without types.
#[track_caller]
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    let body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat();
    frame(b'P', &body)
}

/// Bind of text values.
#[track_caller]
pub fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Vec<u8> {
    let count = u16::try_from(parameters.len()).expect("few parameters");
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend(count.to_be_bytes());
    for value in parameters {
        body.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

/// Execute of a portal to its end.
#[track_caller]
pub fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

/// Parse, Bind and Execute without names.
#[track_caller]
pub fn run(sql: &str, parameters: &[&str]) -> Vec<u8> {
    [parse("", sql), bind("", "", parameters), execute("")].concat()
}

/// Sync.
#[track_caller]
pub fn sync() -> Vec<u8> {
    message::SYNC.to_vec()
}

/// A proxy with these rules.
#[track_caller]
pub fn stage(role: &Endpoint, mode: &str, rules: &str) -> Stage {
    Stage::before(Cluster::shared())
        .user(role)
        .set("pool", "pool_mode", &format!("{mode:?}"))
        .more(rules)
        .start()
}

/// All up to ReadyForQuery, errors too.
#[track_caller]
pub fn until_ready(peer: &mut Peer) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        frames.push(peer.frame());
        if frames.last().is_some_and(|it| it.tag == b'Z') {
            return frames;
        }
    }
}

/// SQLSTATE of the first error.
#[track_caller]
pub fn code(frames: &[Frame]) -> Option<String> {
    let error = frames.iter().find(|frame| frame.tag == b'E')?;
    error.field(b'C')
}
