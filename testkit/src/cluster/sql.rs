//! The superuser's query over the Unix socket, in the simple query protocol
//! (manual, section "Message Flow"). No process to start, no driver to trust.

use std::path::Path;

use crate::peer::{Frame, Peer, message};

/// Rows of text values; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

#[track_caller]
pub(super) fn run(socket: &Path, database: &str, query: &str) -> Rows {
    let mut peer = Peer::unix(socket);
    peer.send(&message::startup(&[
        ("user", super::SUPERUSER),
        ("database", database),
    ]));
    peer.until_ready();
    peer.send(&message::query(query));
    let mut rows = Rows::new();
    loop {
        let frame = peer.frame();
        match frame.tag {
            b'D' => rows.push(fields(&frame)),
            b'E' => panic!("the server refused {query:?}: {}", frame.error_text()),
            b'Z' => return rows,
            _ => {}
        }
    }
}

/// DataRow: a count, then per field a length (-1 = NULL) and the bytes.
fn fields(frame: &Frame) -> Vec<Option<String>> {
    let mut rest = frame.body.as_slice();
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at(count);
        rest = tail;
        head
    };
    let count = i16::from_be_bytes(take(2).try_into().expect("two bytes"));
    (0..count)
        .map(|_| {
            let len = i32::from_be_bytes(take(4).try_into().expect("four bytes"));
            let len = usize::try_from(len).ok()?;
            Some(String::from_utf8_lossy(take(len)).into_owned())
        })
        .collect()
}
