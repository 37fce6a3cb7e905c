//! Owns the building and cutting of frames for the models, independent of crate `wire`.

/// A frame: tag, length, body.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

/// Takes the whole frames off the front of `bytes`.
pub fn frames(bytes: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let mut frames = vec![];
    let mut at = 0;
    while let Some([tag, a, b, c, d]) = bytes.get(at..at + 5) {
        let end = at + 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(body) = bytes.get(at + 5..end) else {
            break;
        };
        frames.push((*tag, body.to_vec()));
        at = end;
    }
    bytes.drain(..at);
    frames
}

/// Up to the NUL, and what is behind it.
pub fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0);
    let end = end.unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// A DataRow of these values.
pub fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            Some(value) => {
                body.extend((value.len() as u32).to_be_bytes());
                body.extend(*value);
            }
            None => body.extend((-1i32).to_be_bytes()),
        }
    }
    frame(b'D', &body)
}

/// The owners of all stamps (`c3-17` is client 3's) in a text or value.
pub fn owners(bytes: &[u8]) -> Vec<usize> {
    let mut owners = vec![];
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).map_or(b' ', |at| bytes[at]);
        if *byte != b'c' || before.is_ascii_alphanumeric() || before == b'_' {
            continue;
        }
        let rest = &bytes[at + 1..];
        let digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        if digits > 0 && rest.get(digits) == Some(&b'-') {
            let number = std::str::from_utf8(&rest[..digits]).unwrap_or_default();
            owners.extend(number.parse::<usize>());
        }
    }
    owners
}
