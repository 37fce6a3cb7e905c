//! Owns the way of a connection: accept, TLS, HTTP/1.1, answers. Every step has its bound.

use crate::answer::{Desk, answer};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor};
use std::convert::Infallible;
use std::net::IpAddr;
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
    pub(crate) desk: Desk,
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
            Ok((stream, peer)) => {
                let site = Arc::clone(&site);
                let attended = attend(stream, peer.ip(), site);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_MAX, attended).await;
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

async fn attend(stream: TcpStream, peer: IpAddr, site: Arc<Site>) {
    let Some(acceptor) = &site.acceptor else {
        return converse(stream, peer, site).await;
    };
    let Ok(ssl) = Ssl::new(acceptor.context()) else {
        return;
    };
    let Ok(mut stream) = SslStream::new(ssl, stream) else {
        return;
    };
    let shaken = tokio::time::timeout(SILENCE_MAX, Pin::new(&mut stream).accept()).await;
    if matches!(shaken, Ok(Ok(()))) {
        converse(stream, peer, site).await;
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, peer: IpAddr, site: Arc<Site>) {
    let desk = &site.desk;
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(request, peer, desk).await)
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
