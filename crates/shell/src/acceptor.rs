//! Owns the listening sockets: binds those that are not inherited, accepts, counts, and hands each
//! client to the worker with the fewest. When descriptors run out it waits and says so once a second.

use crate::context::{Context, Doors};
use crate::inherit::{Inherited, Maker, SocketFile};
use crate::setup::{Address, Setup, TcpOptions};
use crate::socket::{Detached, Socket};
use crate::tcp;
use crate::worker::Worker;
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use socket2::{Domain, Protocol, SockAddr, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

/// How long to wait when the system is out of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Clients beyond `max_client_conn` that are told so; more are closed without a word.
const TOLD_MAX: usize = 64;

/// Whether a client is within `max_client_conn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is.
    Admitted,
    /// It isn't, and will be told after the handshake.
    OverLimit,
}

/// A socket on its way to a worker.
pub struct Accepted {
    socket: Detached,
    setup: Arc<Setup>,
    listener: usize,
    peer: String,
    address: Option<IpAddr>,
    admission: Admission,
}

/// A socket at its worker.
pub struct Incoming {
    /// The socket, registered with the worker's runtime.
    pub socket: Socket,
    /// The setup in force when it was accepted; the client's to its end.
    pub setup: Arc<Setup>,
    /// Number of the listener it came through.
    pub listener: usize,
    /// The client's address, for the log.
    pub peer: String,
    /// The client's address, for rules; `None` over a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// Within the limit or not.
    pub admission: Admission,
    /// When it has to be in.
    pub login_end: tokio::time::Instant,
    /// Its number at its worker.
    pub number: u64,
}

impl Incoming {
    /// Registers an accepted socket with this thread's runtime.
    pub fn from_accepted(accepted: Accepted, number: u64) -> io::Result<Incoming> {
        let socket = match accepted.socket {
            Detached::Tcp(socket) => {
                let socket = TcpStream::from_std(socket)?;
                tcp::configure(&socket, &accepted.setup.tcp)?;
                Socket::Tcp(socket)
            }
            Detached::Unix(socket) => Socket::Unix(UnixStream::from_std(socket)?),
        };
        Ok(Incoming {
            socket,
            number,
            login_end: tokio::time::Instant::now() + accepted.setup.timeouts.client_login,
            setup: accepted.setup,
            listener: accepted.listener,
            peer: accepted.peer,
            address: accepted.address,
            admission: accepted.admission,
        })
    }
}

/// A bound socket.
pub enum Bound {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix domain.
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// The listener of an address, and who made it: an inherited one, or a new one.
pub fn bind(
    address: &Address,
    options: &TcpOptions,
    inherited: &mut Inherited,
) -> io::Result<(Bound, Maker)> {
    let backlog = i32::try_from(options.backlog.max(1)).unwrap_or(i32::MAX);
    match address {
        Address::Tcp(address) => {
            let (listener, maker) = match inherited.take_tcp(*address) {
                Some((listener, maker)) => {
                    adopt(&listener, maker, backlog)?;
                    (listener, maker)
                }
                None => (bind_tcp(*address, backlog)?, Maker::Proxy),
            };
            Ok((Bound::Tcp(listener), maker))
        }
        Address::Unix { path, mode } => {
            let (listener, file, maker) = listen_unix((path, *mode), backlog, inherited)?;
            Ok((Bound::Unix(listener, file), maker))
        }
    }
}

/// The listener of a path, its file, and who made it. The file of an inherited one is not ours to
/// remove until we say so.
pub fn listen_unix(
    (path, mode): (&Path, u32),
    backlog: i32,
    inherited: &mut Inherited,
) -> io::Result<(std::os::unix::net::UnixListener, SocketFile, Maker)> {
    let Some((listener, maker)) = inherited.take_unix(path) else {
        let listener = bind_unix(path, mode, backlog)?;
        let file = SocketFile::new(path.to_owned(), true);
        return Ok((listener, file, Maker::Proxy));
    };
    adopt(&listener, maker, backlog)?;
    if maker == Maker::Proxy {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    let file = SocketFile::new(path.to_owned(), false);
    Ok((listener, file, maker))
}

/// Brings an inherited listener to what our own are. The service manager's has the backlog that its
/// unit says.
fn adopt(listener: impl std::os::fd::AsFd, maker: Maker, backlog: i32) -> io::Result<()> {
    let socket = socket2::SockRef::from(&listener);
    socket.set_nonblocking(true)?;
    match maker {
        Maker::Proxy => socket.listen(backlog),
        Maker::Manager => Ok(()),
    }
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The socket's mode is right before anybody can connect: the file is created under a umask that
/// gives nobody else access, then gets its mode, and only then listens.
fn bind_unix(path: &Path, mode: u32, backlog: i32) -> io::Result<std::os::unix::net::UnixListener> {
    if path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket())
    {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = socket.bind(&SockAddr::unix(path)?);
    umask(before);
    bound?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts on one listener until told to stop.
pub async fn accept(
    bound: Bound,
    listener: usize,
    context: Arc<Context>,
    workers: Arc<Vec<Worker>>,
    mut doors: watch::Receiver<Doors>,
) {
    let listening = match Listening::new(bound) {
        Ok(listening) => listening,
        Err(error) => {
            tracing::error!(%error, "a listening socket could not be registered");
            return;
        }
    };
    // They never open if the proxy ends before.
    match doors.wait_for(|it| *it != Doors::NotYet).await.as_deref() {
        Ok(Doors::Open) => {}
        _ => return,
    }
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            _ = doors.wait_for(|it| *it == Doors::Closed) => return,
        };
        match accepted {
            Ok(client) => place(client, listener, &context, &workers),
            Err(error) if is_shortage(&error) => {
                if complained.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
                    complained = Some(Instant::now());
                    tracing::error!(%error, "cannot accept clients; raise the limit of open files or lower max_client_conn");
                }
                tokio::time::sleep(BACK_OFF).await;
            }
            // The client went away before it was accepted.
            Err(error) => tracing::debug!(%error, "accept failed"),
        }
    }
}

/// A client at the door.
struct Caller {
    socket: Detached,
    peer: String,
    address: Option<IpAddr>,
}

fn place(caller: Caller, listener: usize, context: &Context, workers: &[Worker]) {
    let Caller {
        socket,
        peer,
        address,
    } = caller;
    let setup = context.live.snapshot();
    let max = setup.limits.max_client_conn;
    let before = context.clients.fetch_add(1, Ordering::Relaxed);
    let admission = match before {
        count if count < max => Admission::Admitted,
        count if count < max.saturating_add(TOLD_MAX) => Admission::OverLimit,
        _ => {
            context.clients.fetch_sub(1, Ordering::Relaxed);
            return;
        }
    };
    let least = workers
        .iter()
        .min_by_key(|worker| worker.control.sessions.load(Ordering::Relaxed));
    let accepted = Accepted {
        socket,
        setup,
        listener,
        peer,
        address,
        admission,
    };
    if !least.is_some_and(|worker| worker.hand_over(accepted)) {
        context.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| shortages.contains(&Errno::from_raw(code)))
}

enum Listening {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

impl Listening {
    fn new(bound: Bound) -> io::Result<Listening> {
        Ok(match bound {
            Bound::Tcp(listener) => Listening::Tcp(TcpListener::from_std(listener)?),
            Bound::Unix(listener, file) => {
                listener.set_nonblocking(true)?;
                Listening::Unix {
                    listener: UnixListener::from_std(listener)?,
                    _file: file,
                }
            }
        })
    }

    /// Accepts one client, as a socket that isn't registered with this thread's runtime.
    async fn accept(&self) -> io::Result<Caller> {
        match self {
            Listening::Tcp(listener) => {
                let (socket, peer) = listener.accept().await?;
                Ok(Caller {
                    socket: Detached::Tcp(socket.into_std()?),
                    peer: peer.to_string(),
                    address: Some(peer.ip().to_canonical()),
                })
            }
            Listening::Unix { listener, .. } => {
                let (socket, _) = listener.accept().await?;
                let pid = socket.peer_cred().ok().and_then(|cred| cred.pid());
                let peer = match pid {
                    Some(pid) => format!("unix socket (pid {pid})"),
                    None => "unix socket".to_owned(),
                };
                Ok(Caller {
                    socket: Detached::Unix(socket.into_std()?),
                    peer,
                    address: None,
                })
            }
        }
    }
}
