//! One HTTP request to somebody else's server, over verified TLS: for what happens beside the data path.
//!
//! Owns the way from a URL to an answer: name look-up, TCP, TLS by OpenSSL, HTTP/1.1. Takes a [`Request`] and gives an
//! [`Answer`] or a [`Fault`] within a deadline. Follows no redirect, keeps no connection and no cookie, reads no proxy
//! from the environment, and never reads more of an answer than it was told.

mod lines;
mod reach;
mod tls;
mod url;

pub use tls::{Identity, Trust, TrustFault};
pub use url::{BadUrl, Scheme, Url};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

pub use hyper::Method;
pub use hyper::body::Bytes;

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Headers beside Host, Connection and Content-Length. Those marked as sensitive show in no Debug.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is sent with it.
    pub body: Bytes,
}

impl Request {
    /// A GET without anything.
    pub fn get() -> Request {
        Request {
            method: Method::GET,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A POST of this.
    pub fn post(body: impl Into<Bytes>) -> Request {
        Request {
            method: Method::POST,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same with a header more; gives `None` if the value is none for a header. A `secret` one shows nowhere.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &[u8], is_secret: bool) -> Option<Request> {
        let mut value = HeaderValue::from_bytes(value).ok()?;
        value.set_sensitive(is_secret);
        self.headers.push((name, value));
        Some(self)
    }
}

pub use hyper::header;

/// How far it may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// From the look-up of the name to the last byte of the answer.
    pub deadline: Duration,
    /// Bytes of the answer's body.
    pub body_max: usize,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As HTTP has it, from 100 to 999.
    pub status: u16,
    /// The whole of it.
    pub body: Bytes,
}

impl Answer {
    /// True for 200 to 299. A redirect is none of it.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The name can't be looked up, or leads nowhere.
    #[error("cannot look up {host}: {cause}")]
    LookUp {
        /// The name.
        host: String,
        /// Why.
        cause: io::Error,
    },
    /// Nobody took the connection.
    #[error("cannot connect to {host}:{port}: {cause}")]
    Connect {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// Why, at the last address.
        cause: io::Error,
    },
    /// The server didn't prove who it is, or speaks no TLS that is good enough.
    #[error("no TLS with {host}: {reason}")]
    Tls {
        /// The name.
        host: String,
        /// OpenSSL's reason.
        reason: String,
    },
    /// What came back was no answer.
    #[error("{host} did not answer as HTTP/1.1 does: {reason}")]
    Http {
        /// The name.
        host: String,
        /// What was wrong.
        reason: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer of {host} is longer than {most} bytes")]
    TooLong {
        /// The name.
        host: String,
        /// What it may have.
        most: usize,
    },
    /// It took too long.
    #[error("no answer of {host} within {} ms", deadline.as_millis())]
    Late {
        /// The name.
        host: String,
        /// What it may take.
        deadline: Duration,
    },
}

/// Asks, and reads the whole answer. Inside a tokio runtime with I/O and time.
pub async fn fetch(
    url: &Url,
    trust: &Trust,
    request: Request,
    bounds: Bounds,
) -> Result<Answer, Fault> {
    let asked = ask(url, trust, request, bounds.body_max);
    match tokio::time::timeout(bounds.deadline, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(Fault::Late {
            host: url.host().to_owned(),
            deadline: bounds.deadline,
        }),
    }
}

/// Asks for an answer that never ends, and reads it line by line until `is_it` says that this is the line that was
/// waited for. Has no deadline but the caller's, who drops it; holds one line, of at most `line_max` bytes.
pub async fn await_line(
    url: &Url,
    trust: &Trust,
    request: Request,
    line_max: usize,
    is_it: impl FnMut(&[u8]) -> bool,
) -> Result<(), Fault> {
    let host = url.host();
    send(url, trust, request, |answer| {
        lines::wait(host, answer, line_max, is_it)
    })
    .await
}

async fn ask(url: &Url, trust: &Trust, request: Request, body_max: usize) -> Result<Answer, Fault> {
    let host = url.host();
    send(url, trust, request, |answer| whole(host, answer, body_max)).await
}

/// Reads all of an answer.
async fn whole(host: &str, answer: Response<Incoming>, body_max: usize) -> Result<Answer, Fault> {
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), body_max).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Fault::TooLong {
            host: host.to_owned(),
            most: body_max,
        },
        false => Fault::Http {
            host: host.to_owned(),
            reason: error.to_string(),
        },
    })?;
    Ok(Answer {
        status,
        body: body.to_bytes(),
    })
}

async fn send<T, R: Future<Output = Result<T, Fault>>>(
    url: &Url,
    trust: &Trust,
    request: Request,
    read: impl FnOnce(Response<Incoming>) -> R,
) -> Result<T, Fault> {
    let socket = reach::reach(url).await?;
    match url.scheme() {
        Scheme::Http => exchange(socket, url, request, read).await,
        Scheme::Https => {
            let stream = trust.handshake(socket, url.host()).await?;
            exchange(stream, url, request, read).await
        }
    }
}

async fn exchange<T, R: Future<Output = Result<T, Fault>>>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &Url,
    request: Request,
    read: impl FnOnce(Response<Incoming>) -> R,
) -> Result<T, Fault> {
    let http = |error: hyper::Error| Fault::Http {
        host: url.host().to_owned(),
        reason: reason(&error),
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    let answered = async {
        let answer = sender
            .send_request(built(url, request)?)
            .await
            .map_err(http)?;
        read(answer).await
    };
    // The connection moves the bytes; what it says of its own end, the answer says better.
    let mut answered = std::pin::pin!(answered);
    let mut connection = std::pin::pin!(connection);
    let mut has_ended = false;
    std::future::poll_fn(move |cx| {
        use std::task::Poll;
        if !has_ended {
            has_ended = connection.as_mut().poll(cx).is_ready();
        }
        match answered.as_mut().poll(cx) {
            Poll::Pending if has_ended => answered.as_mut().poll(cx),
            other => other,
        }
    })
    .await
}

fn built(url: &Url, request: Request) -> Result<hyper::Request<Full<Bytes>>, Fault> {
    let mut built = hyper::Request::new(Full::new(request.body));
    *built.method_mut() = request.method;
    let bad = |reason: &str| Fault::Http {
        host: url.host().to_owned(),
        reason: reason.to_owned(),
    };
    *built.uri_mut() = url.path().parse().map_err(|_| bad("its path is none"))?;
    let headers = built.headers_mut();
    headers.extend(request.headers);
    let named = HeaderValue::from_str(url.authority()).map_err(|_| bad("its name is none"))?;
    headers.insert(HOST, named);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(built)
}

/// The innermost reason.
fn reason(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}
