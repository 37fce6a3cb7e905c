//! Owns the way of a request: accept, TLS, HTTP/1.1, guard, page. Every step has its bound.

use crate::guard::{Head, Page, Refused, Rules};
use crate::{Readiness, View};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_openssl::SslStream;

/// Connections at a time; more wait in the kernel.
const CONNECTIONS_MAX: usize = 64;
/// From accept to the end of the handshake, and from one request to the end of the next head.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// A connection in all.
const CONNECTION_MAX: Duration = Duration::from_secs(300);
/// A pause when the system is out of descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What all connections share.
pub(crate) struct Site {
    pub(crate) acceptor: Option<SslAcceptor>,
    pub(crate) rules: Rules,
    pub(crate) view: Arc<dyn View>,
}

/// Serves until told to stop.
pub(crate) async fn serve(
    bound: std::net::TcpListener,
    site: Site,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(bound) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the metrics listener could not be registered");
            return;
        }
    };
    let site = Arc::new(site);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_MAX, attend(stream, site)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the metrics listener could not accept");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, site: Arc<Site>) {
    let Some(acceptor) = &site.acceptor else {
        return converse(stream, site).await;
    };
    let Ok(ssl) = Ssl::new(acceptor.context()) else {
        return;
    };
    let Ok(mut stream) = SslStream::new(ssl, stream) else {
        return;
    };
    let shaken = tokio::time::timeout(SILENCE_MAX, Pin::new(&mut stream).accept()).await;
    if matches!(shaken, Ok(Ok(()))) {
        converse(stream, site).await;
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, site: Arc<Site>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &site);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the metrics listener broke");
    }
}

type Answer = Response<Full<Bytes>>;

fn answer(request: &Request<Incoming>, site: &Site) -> Answer {
    let header = |name| request.headers().get(name);
    let authority = request.uri().authority().map(|it| it.as_str());
    let host = header(HOST).and_then(|it| it.to_str().ok());
    let head = Head {
        method: request.method().as_str(),
        path: request.uri().path(),
        host: authority.or(host),
        from_a_page: header(ORIGIN).is_some(),
        authorization: header(AUTHORIZATION).map(HeaderValue::as_bytes),
    };
    match site.rules.judge(head) {
        Ok(Page::Metrics) => {
            let text = observe::exposition(&site.view.metrics());
            let mut answer = plain(StatusCode::OK, text);
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        Ok(Page::Live) => plain(StatusCode::OK, "alive\n"),
        Ok(Page::Ready) => match site.view.readiness() {
            Readiness::Ready => plain(StatusCode::OK, "ready\n"),
            Readiness::NotReady(why) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {why}\n"),
            ),
        },
        Err(refused) => refusal(refused),
    }
}

fn refusal(refused: Refused) -> Answer {
    match refused {
        Refused::Misdirected => plain(
            StatusCode::MISDIRECTED_REQUEST,
            "this listener answers to IP addresses, localhost and the names in metrics.hosts\n",
        ),
        Refused::FromAPage => plain(
            StatusCode::FORBIDDEN,
            "requests of web pages are not answered\n",
        ),
        Refused::NoSuchPage => plain(
            StatusCode::NOT_FOUND,
            "there are /metrics, /livez and /readyz\n",
        ),
        Refused::Method => {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, allowed);
            answer
        }
        Refused::Token => {
            let mut answer = plain(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
            let scheme = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            answer
        }
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
