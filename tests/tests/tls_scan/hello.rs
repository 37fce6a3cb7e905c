//! ClientHellos of bare bytes (RFC 5246 section 7.4.1.2), and what a server answers to them.

use testkit::Peer;

/// What a ClientHello says.
pub struct Hello {
    /// Version of the record and of the message.
    pub version: [u8; 2],
    /// Cipher suites.
    pub suites: Vec<u16>,
    /// Compression methods; 0 is none, 1 is deflate (RFC 3749).
    pub compression: Vec<u8>,
    /// Extensions: type and content.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and the same with RSA: what the listener takes.
pub const GOOD_SUITES: [u16; 2] = [0xc02b, 0xc02f];

/// Extensions without which no modern suite can be chosen: groups P-256 and X25519
/// (RFC 8422 section 5.1.1), and signatures (RFC 5246 section 7.4.1.4.1).
fn needed() -> Vec<(u16, Vec<u8>)> {
    vec![
        (10, vec![0, 4, 0, 23, 0, 29]),
        (11, vec![1, 0]),
        (13, vec![0, 4, 4, 3, 8, 4]),
    ]
}

impl Hello {
    /// What an honest client of TLS 1.2 says.
    pub fn tls_1_2() -> Self {
        Self {
            version: [3, 3],
            suites: GOOD_SUITES.to_vec(),
            compression: vec![0],
            extensions: needed(),
        }
    }

    /// Adds an extension.
    pub fn with(mut self, kind: u16, content: &[u8]) -> Self {
        self.extensions.push((kind, content.to_vec()));
        self
    }

    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_vec();
        body.extend([7; 32]);
        body.push(0);
        let suites: Vec<u8> = self.suites.iter().flat_map(|it| it.to_be_bytes()).collect();
        body.extend(counted_16(&suites));
        body.push(u8::try_from(self.compression.len()).expect("few methods"));
        body.extend(&self.compression);
        let extension = |(kind, content): &(u16, Vec<u8>)| {
            [&kind.to_be_bytes()[..], &counted_16(content)].concat()
        };
        let extensions: Vec<u8> = self.extensions.iter().flat_map(extension).collect();
        if !extensions.is_empty() {
            body.extend(counted_16(&extensions));
        }
        let len = u32::try_from(body.len()).expect("a short hello");
        [&[1][..], &len.to_be_bytes()[1..], &body].concat()
    }

    /// The message in one record.
    pub fn record(&self) -> Vec<u8> {
        record(22, &self.message())
    }
}

/// A list behind its length in two bytes.
pub fn counted_16(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short list");
    [&len.to_be_bytes()[..], bytes].concat()
}

/// A plaintext record of TLS 1.2.
pub fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &counted_16(body)].concat()
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A fatal alert, by its code (RFC 8446 section 6).
    Alert(u8),
    /// A ServerHello: compression method, length of the session id, types of its extensions.
    Hello {
        version: [u8; 2],
        compression: u8,
        session_id: usize,
        extensions: Vec<u16>,
    },
    /// The connection was closed without a word.
    Closed,
}

impl Answer {
    /// Reads one record and takes it apart.
    #[track_caller]
    pub fn read(peer: &mut Peer) -> Self {
        let Some((kind, body)) = next_record(peer) else {
            return Self::Closed;
        };
        match kind {
            21 => Self::Alert(body[1]),
            22 => server_hello(&body),
            other => panic!("a record of type {other}"),
        }
    }
}

/// Type and body of the next record; `None` at the end of the connection.
#[track_caller]
pub fn next_record(peer: &mut Peer) -> Option<(u8, Vec<u8>)> {
    let header = peer.bytes_or_end(5)?;
    let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
    Some((header[0], peer.bytes(len)))
}

fn server_hello(body: &[u8]) -> Answer {
    assert_eq!(body[0], 2, "a ServerHello");
    let version = [body[4], body[5]];
    let session_id = usize::from(body[38]);
    let rest = &body[39 + session_id..];
    let compression = rest[2];
    let len = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
    let mut list = &rest[5..5 + len];
    let mut extensions = Vec::new();
    while let [a, b, c, d, tail @ ..] = list {
        extensions.push(u16::from_be_bytes([*a, *b]));
        list = &tail[usize::from(u16::from_be_bytes([*c, *d]))..];
    }
    Answer::Hello {
        version,
        compression,
        session_id,
        extensions,
    }
}
