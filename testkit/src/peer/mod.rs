//! A peer that speaks bytes: sends what it is told, reads exact frames, and says
//! how the other side ended. It knows nothing of the protocol's order, so that it
//! can break it. Every read and write has a deadline.

mod link;
pub mod message;
pub mod records;
mod server;
mod tls;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use openssl::ssl::{ShutdownResult, SslRef};

use crate::wait;
use link::Link;
pub use server::ScriptedServer;
pub use tls::{ClientTls, ServerTls};

/// A message behind the startup phase: tag and body, the length field already taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The first byte.
    pub tag: u8,
    /// What follows the length field.
    pub body: Vec<u8>,
}

impl Frame {
    /// The message as it travels.
    pub fn bytes(&self) -> Vec<u8> {
        message::frame(self.tag, &self.body)
    }

    /// A field of an ErrorResponse or NoticeResponse, such as `b'C'` for the SQLSTATE.
    pub fn field(&self, code: u8) -> Option<String> {
        self.body
            .split(|&byte| byte == 0)
            .find(|field| field.first() == Some(&code))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }

    /// SQLSTATE and primary message of an ErrorResponse, for a test's own message.
    pub fn error_text(&self) -> String {
        let field = |code| self.field(code).unwrap_or_default();
        format!("{} {}", field(b'C'), field(b'M'))
    }
}

/// How the other side ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// TLS close_notify, then nothing more.
    CloseNotify,
    /// TCP FIN without TLS.
    Fin,
    /// TCP FIN inside TLS without close_notify: a truncation, as far as TLS can tell.
    Truncated,
    /// TCP RST.
    Reset,
    /// A fatal TLS alert.
    Alert,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    link: Link,
    limit: Duration,
}

impl Peer {
    /// Connects over TCP; speaks no byte yet.
    #[track_caller]
    pub fn tcp(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).expect("a TCP connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self::over(Link::Tcp(stream))
    }

    /// Connects to a Unix-domain socket.
    #[track_caller]
    pub fn unix(path: &Path) -> Self {
        Self::over(Link::Unix(
            UnixStream::connect(path).expect("a Unix-domain connection"),
        ))
    }

    /// Connects, asks for TLS as libpq does (SSLRequest), and handshakes.
    #[track_caller]
    pub fn tls(address: impl ToSocketAddrs, tls: &ClientTls) -> Self {
        Self::tcp(address).request_tls(tls)
    }

    /// Connects with direct TLS (`sslnegotiation=direct`, PostgreSQL 17): no SSLRequest, ALPN `postgresql`.
    #[track_caller]
    pub fn direct_tls(address: impl ToSocketAddrs, tls: &ClientTls) -> Self {
        Self::tcp(address).handshake(&tls.clone().alpn(&["postgresql"]))
    }

    fn over(link: Link) -> Self {
        let peer = Self {
            link,
            limit: wait::LONG,
        };
        peer.link.limit(wait::LONG);
        peer
    }

    /// Changes how long each operation may take before the test fails.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self.link.limit(limit);
        self
    }

    /// Sends SSLRequest, expects `S`, and handshakes.
    #[track_caller]
    pub fn request_tls(mut self, tls: &ClientTls) -> Self {
        self.send(&message::SSL_REQUEST);
        assert_eq!(self.bytes(1), b"S", "the answer to SSLRequest");
        self.handshake(tls)
    }

    /// Handshakes right away; panics when that fails.
    #[track_caller]
    pub fn handshake(self, tls: &ClientTls) -> Self {
        match self.try_handshake(tls) {
            Ok(peer) => peer,
            Err(reason) => panic!("TLS handshake failed: {reason}"),
        }
    }

    /// Handshakes right away; OpenSSL's reason when that fails.
    #[track_caller]
    pub fn try_handshake(self, tls: &ClientTls) -> Result<Self, String> {
        let limit = self.limit;
        let link = Link::Tls(tls.connect(self.tcp_stream())?);
        Ok(Self { link, limit })
    }

    /// Takes the server's part of a handshake; panics when that fails.
    #[track_caller]
    pub fn accept(self, tls: &ServerTls) -> Self {
        match self.try_accept(tls) {
            Ok(peer) => peer,
            Err(reason) => panic!("TLS handshake failed: {reason}"),
        }
    }

    /// Takes the server's part of a handshake; OpenSSL's reason when that fails.
    #[track_caller]
    pub fn try_accept(self, tls: &ServerTls) -> Result<Self, String> {
        let limit = self.limit;
        let link = Link::Tls(tls.accept(self.tcp_stream())?);
        Ok(Self { link, limit })
    }

    /// Expects SSLRequest, answers `S`, and takes the server's part of the handshake.
    #[track_caller]
    pub fn grant_tls(mut self, tls: &ServerTls) -> Self {
        self.expect(&message::SSL_REQUEST);
        self.send(b"S");
        self.accept(tls)
    }

    /// What TLS knows about this connection, if it is one.
    pub fn ssl(&self) -> Option<&SslRef> {
        match &self.link {
            Link::Tls(stream) => Some(stream.ssl()),
            Link::Tcp(_) | Link::Unix(_) => None,
        }
    }

    /// Our own address, by which the other side may know this connection.
    pub fn local_address(&self) -> SocketAddr {
        self.link
            .tcp()
            .expect("a TCP connection")
            .local_addr()
            .expect("a local address")
    }

    /// Sends these bytes; panics if the other side doesn't take them.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes)
            .unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// Sends these bytes; an error if the other side is gone or takes nothing.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.link.write_all(bytes)?;
        self.link.flush()
    }

    /// Sends these bytes past TLS, straight over TCP: for breaking TLS itself.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let mut stream = self.link.tcp().expect("a TCP connection");
        stream.write_all(bytes).expect("bytes past TLS");
    }

    /// Sends byte by byte, each in a TLS record or TCP push of its own.
    #[track_caller]
    pub fn send_chopped(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(std::slice::from_ref(byte));
        }
    }

    /// Reads exactly this many bytes.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        match self.bytes_or_end(count) {
            Some(bytes) => bytes,
            None => panic!("the connection ended before {count} bytes"),
        }
    }

    /// Reads exactly this many bytes; `None` if the connection ends before the first of them.
    #[track_caller]
    pub fn bytes_or_end(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        let deadline = Instant::now() + self.limit;
        while filled < count {
            assert!(
                Instant::now() < deadline,
                "{filled} of {count} bytes after {:?}",
                self.limit
            );
            match self.link.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return None,
                Ok(0) => panic!("the connection ended after {filled} of {count} bytes"),
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if filled == 0 && error.kind() == ErrorKind::ConnectionReset => {
                    return None;
                }
                Err(error) => panic!("{filled} of {count} bytes, then: {error}"),
            }
        }
        Some(bytes)
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub fn expect(&mut self, wanted: &[u8]) {
        let seen = self.bytes(wanted.len());
        assert_eq!(
            seen.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
    }

    /// Reads one frame.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        let tag = self.bytes(1)[0];
        Frame {
            tag,
            body: self.counted(),
        }
    }

    /// Reads one frame, which must have this tag.
    #[track_caller]
    pub fn expect_frame(&mut self, tag: u8) -> Frame {
        let frame = self.frame();
        let (seen, wanted) = (char::from(frame.tag), char::from(tag));
        assert_eq!(seen, wanted, "body: {}", frame.body.escape_ascii());
        frame
    }

    /// Reads an ErrorResponse with this SQLSTATE.
    #[track_caller]
    pub fn expect_error(&mut self, sqlstate: &str) -> Frame {
        let frame = self.expect_frame(b'E');
        assert_eq!(
            frame.field(b'C').as_deref(),
            Some(sqlstate),
            "{}",
            frame.error_text()
        );
        frame
    }

    /// Reads frames up to and including ReadyForQuery; panics on an ErrorResponse.
    #[track_caller]
    pub fn until_ready(&mut self) -> Vec<Frame> {
        let frames = self.until_tag(b'Z');
        for frame in &frames {
            assert_ne!(frame.tag, b'E', "{}", frame.error_text());
        }
        frames
    }

    /// Reads frames up to and including the first with this tag.
    #[track_caller]
    pub fn until_tag(&mut self, tag: u8) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame();
            let last = frame.tag == tag;
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    /// Reads a message of the startup phase (no tag): what follows its length field.
    #[track_caller]
    pub fn startup(&mut self) -> Vec<u8> {
        self.counted()
    }

    #[track_caller]
    fn counted(&mut self) -> Vec<u8> {
        let len = self.bytes(4);
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        assert!((4..=1 << 30).contains(&len), "a length field of {len}");
        self.bytes(len - 4)
    }

    /// Expects the end of the connection, without one more byte, and tells its kind.
    #[track_caller]
    pub fn end(&mut self) -> End {
        let (rest, end) = self.drain();
        assert!(
            rest.is_empty(),
            "bytes before the end: {}",
            rest.escape_ascii()
        );
        end
    }

    /// Reads all that is left, and how it ended.
    #[track_caller]
    pub fn drain(&mut self) -> (Vec<u8>, End) {
        let mut rest = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.link.read(&mut chunk) {
                Ok(0) => return (rest, self.orderly_end()),
                Ok(count) => rest.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        return (rest, End::Reset);
                    }
                    ErrorKind::UnexpectedEof => return (rest, End::Truncated),
                    ErrorKind::ConnectionAborted => return (rest, End::Alert),
                    _ => panic!("waited {:?} for the end: {error}", self.limit),
                },
            }
        }
    }

    fn orderly_end(&mut self) -> End {
        match &self.link {
            Link::Tls(_) => End::CloseNotify,
            Link::Tcp(_) | Link::Unix(_) => End::Fin,
        }
    }

    /// True if nothing arrives for this long: for "stays silent" and "stays open".
    pub fn silent_for(&mut self, span: Duration) -> bool {
        self.link.limit(span);
        let outcome = self.link.read(&mut [0]);
        self.link.limit(self.limit);
        let kind = outcome.map_err(|error| error.kind());
        matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Ends in good order: close_notify inside TLS, then FIN.
    pub fn close(mut self) {
        if let Link::Tls(stream) = &mut self.link {
            // One-way shutdown: the other side's close_notify is not awaited.
            let _: Result<ShutdownResult, _> = stream.shutdown();
        }
    }

    /// Ends with FIN alone; inside TLS that is a truncation.
    pub fn cut(self) {
        self.link.cut();
    }

    /// Ends with RST.
    #[track_caller]
    pub fn reset(self) {
        let stream = self.link.tcp().expect("a TCP connection to reset");
        socket2::SockRef::from(stream)
            .set_linger(Some(Duration::ZERO))
            .expect("SO_LINGER");
    }

    #[track_caller]
    fn tcp_stream(self) -> TcpStream {
        match self.link {
            Link::Tcp(stream) => stream,
            Link::Unix(_) | Link::Tls(_) => panic!("TLS wants a fresh TCP connection"),
        }
    }
}
