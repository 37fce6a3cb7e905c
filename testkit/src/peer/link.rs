//! The stream under a [`Peer`](super::Peer): TCP, Unix-domain or TLS, blocking with timeouts.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use openssl::ssl::{ErrorCode, SslStream};

#[derive(Debug)]
pub(super) enum Link {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(SslStream<TcpStream>),
}

impl Link {
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref()),
            Self::Unix(_) => None,
        }
    }

    /// Applies to each single read and write.
    pub(super) fn limit(&self, limit: Duration) {
        let limit = Some(limit);
        let outcome = match self {
            Self::Unix(stream) => stream
                .set_read_timeout(limit)
                .and_then(|()| stream.set_write_timeout(limit)),
            Self::Tcp(_) | Self::Tls(_) => self.tcp().map_or(Ok(()), |stream| {
                stream
                    .set_read_timeout(limit)
                    .and_then(|()| stream.set_write_timeout(limit))
            }),
        };
        outcome.expect("socket timeouts");
    }

    pub(super) fn cut(&self) {
        // The other side may have closed before us: then there is nothing to cut.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(_) | Self::Tls(_) => self
                .tcp()
                .map_or(Ok(()), |stream| stream.shutdown(Shutdown::Both)),
        };
    }
}

impl Read for Link {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
            Self::Tls(stream) => match stream.ssl_read(into) {
                Ok(count) => Ok(count),
                Err(error) => match error.code() {
                    ErrorCode::ZERO_RETURN => Ok(0),
                    // OpenSSL 3 reports a FIN without close_notify as an error of its own;
                    // older ones as a system call that failed without an errno.
                    ErrorCode::SSL if because(&error, "unexpected eof while reading") => {
                        Err(ErrorKind::UnexpectedEof.into())
                    }
                    ErrorCode::SSL if because(&error, "alert") => {
                        Err(ErrorKind::ConnectionAborted.into())
                    }
                    ErrorCode::SYSCALL if error.io_error().is_none() => {
                        Err(ErrorKind::UnexpectedEof.into())
                    }
                    _ => Err(error.into_io_error().unwrap_or_else(Error::other)),
                },
            },
        }
    }
}

fn because(error: &openssl::ssl::Error, words: &str) -> bool {
    let stack = error
        .ssl_error()
        .map(|stack| stack.errors())
        .unwrap_or_default();
    stack
        .iter()
        .any(|entry| entry.reason().is_some_and(|reason| reason.contains(words)))
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
