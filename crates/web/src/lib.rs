//! The HTTP listener: `/metrics` for Prometheus, a page for people at `/`, `/activity`, `/patterns` and `/events` for
//! those who have proved that they may, `/livez` and `/readyz` for whoever starts and stops the process.
//!
//! Owns its own thread, sockets and TLS: nothing of it runs on a worker, and no byte of a session
//! comes near it. Takes a [`View`] of the proxy, which gives numbers, names and patterns, no literal. Who may ask
//! is decided in `guard`, before anything is answered; nothing that can be asked for changes the proxy.

mod answer;
mod assets;
mod guard;
mod login;
mod serve;
mod site;
mod tls;

pub use site::TABLES;

use buf::Secret;
use observe::Family;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// What the pages show of a running proxy.
pub trait View: Send + Sync + 'static {
    /// All numbers.
    fn metrics(&self) -> Vec<Family>;
    /// What clients are doing, as JSON.
    fn activity(&self) -> String;
    /// Statements by pattern, as JSON.
    fn patterns(&self) -> String;
    /// The last events, as JSON.
    fn events(&self) -> String;
    /// Numbers of the whole proxy, as JSON.
    fn overview(&self) -> String;
    /// How long things took in each pool, as JSON.
    fn pool_times(&self) -> String;
    /// How long the statements of a pattern took, as JSON; `None` if there is no such pattern.
    fn pattern_times(&self, pattern: u64) -> Option<String>;
    /// The rows of a table of the console in which something contains `wanted`, as JSON. The name is one of
    /// [`TABLES`].
    fn table(&self, name: &str, wanted: &str) -> Option<String>;
    /// Whether what serves clients still works.
    fn liveness(&self) -> Liveness;
    /// Whether new clients should be sent here.
    fn readiness(&self) -> Readiness;
}

/// Whether what serves clients still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// Yes.
    Alive,
    /// No, and why: a restart is all that helps.
    Stuck(String),
}

/// Whether new clients should be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No, and why.
    NotReady(&'static str),
}

/// What an operator says about the listener.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub address: SocketAddr,
    /// Names that requests may be addressed to, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Encryption; `None` only where the address is one of the machine itself.
    pub tls: Option<TlsSettings>,
    /// What all pages but `/livez` and `/readyz` demand as `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// How long a login on the page lasts.
    pub login_lifetime: Duration,
}

/// Encryption of the listener.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// PEM file: certificate and intermediates.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub private_key: PathBuf,
    /// PEM file: who signs the certificates that clients must show.
    pub client_ca: Option<PathBuf>,
}

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The address can't be listened on.
    #[error("cannot listen on {address} for metrics: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        cause: io::Error,
    },
    /// A certificate, key or authority can't be used.
    #[error("the TLS files of the metrics listener cannot be used: {reason}; check [metrics]")]
    Tls {
        /// OpenSSL's reason.
        reason: String,
    },
    /// The thread or its event loop could not be made.
    #[error("cannot start the thread of the metrics listener: {0}")]
    Thread(#[source] io::Error),
}

/// Reads and matches the TLS files without listening: for those who want to know whether they fit.
pub fn rehearse(settings: &TlsSettings) -> Result<(), StartFault> {
    tls::acceptor(settings).map(drop)
}

/// A running listener. Dropping it ends it.
pub struct Web {
    address: SocketAddr,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Binds the address, unless there is a listener of it already, and starts the thread.
    pub fn start(
        settings: Settings,
        view: Arc<dyn View>,
        listener: Option<TcpListener>,
    ) -> Result<Web, StartFault> {
        let listen = |cause| StartFault::Listen {
            address: settings.address,
            cause,
        };
        let acceptor = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let bound = match listener {
            Some(listener) => listener,
            None => TcpListener::bind(settings.address).map_err(listen)?,
        };
        let listener = bound.try_clone().map_err(listen)?;
        bound.set_nonblocking(true).map_err(listen)?;
        let address = bound.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(StartFault::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let rules = guard::Rules {
            encrypted: acceptor.is_some(),
            knows_clients: settings.tls.is_some_and(|it| it.client_ca.is_some()),
            hosts: settings.hosts,
            token: settings.token,
        };
        let cookie = login::cookie_name(rules.encrypted, address.port());
        let site = serve::Site {
            acceptor,
            desk: answer::Desk::new(rules, cookie, settings.login_lifetime, view),
        };
        let thread = std::thread::Builder::new()
            .name("web".to_owned())
            .spawn(move || runtime.block_on(serve::serve(bound, site, stopped)))
            .map_err(StartFault::Thread)?;
        Ok(Web {
            address,
            listener,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listening socket once more, for a process that takes over.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
