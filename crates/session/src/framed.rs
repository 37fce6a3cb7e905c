//! Owns messages of clients and servers as tests write them.

/// A frame with this type byte and body.
pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

/// Parse of a text without types.
pub(crate) fn parse(name: &str, text: &str) -> Vec<u8> {
    let body = [name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"];
    frame(b'P', &body.concat())
}
