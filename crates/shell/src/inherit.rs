//! Owns listening sockets that were made by somebody else: by the service manager, or by the process
//! that this one takes over from. Each is found by the address that it listens on.
//!
//! Takes descriptors, gives listeners; binds nothing and asks nobody.

use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who made a socket, and so who removes the file of one in the Unix domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The service manager, which keeps it.
    Manager,
    /// A proxy, which hands it on to its successor.
    Proxy,
}

/// A listening socket on its way from one process to another.
#[derive(Debug)]
pub struct Handed {
    /// The socket.
    pub socket: OwnedFd,
    /// Who made it.
    pub maker: Maker,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// TCP.
    Tcp(SocketAddr),
    /// Unix domain.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Why nobody can be accepted from a descriptor.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is a connection, a datagram socket, a file.
    #[error("it is no socket that listens for connections")]
    NotListening,
    /// It listens somewhere else than on TCP or in the Unix domain.
    #[error("it listens neither on TCP nor on a path")]
    NoPlace,
    /// The system would not say.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// What was made by somebody else and is not in use yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(Place, Handed)>);

impl Inherited {
    /// Adds one more. Where two listen at the same place the first is used.
    pub fn add(&mut self, handed: Handed) -> Result<(), Unfit> {
        let place = place_of(&handed.socket)?;
        self.0.push((place, handed));
        Ok(())
    }

    /// The listener of this address.
    pub fn take_tcp(&mut self, address: SocketAddr) -> Option<(TcpListener, Maker)> {
        let handed = self.take(&Place::Tcp(address))?;
        Some((TcpListener::from(handed.socket), handed.maker))
    }

    /// The listener of this path.
    pub fn take_unix(&mut self, path: &Path) -> Option<(UnixListener, Maker)> {
        let handed = self.take(&Place::Unix(settled(path)))?;
        Some((UnixListener::from(handed.socket), handed.maker))
    }

    /// What nobody has taken.
    pub fn rest(&self) -> impl Iterator<Item = (&Place, Maker)> {
        self.0.iter().map(|(place, handed)| (place, handed.maker))
    }

    /// All that listen at this place go; the first is given.
    fn take(&mut self, wanted: &Place) -> Option<Handed> {
        let mut found = None;
        for (place, handed) in std::mem::take(&mut self.0) {
            match (&place == wanted, found.is_some()) {
                (true, false) => found = Some(handed),
                (true, true) => {}
                (false, _) => self.0.push((place, handed)),
            }
        }
        found
    }
}

fn place_of(socket: &OwnedFd) -> Result<Place, Unfit> {
    let socket = SockRef::from(socket);
    let listens = socket.r#type()? == socket2::Type::STREAM && socket.is_listener()?;
    if !listens {
        return Err(Unfit::NotListening);
    }
    let address = socket.local_addr()?;
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => Ok(Place::Tcp(address)),
        (None, Some(path)) => Ok(Place::Unix(settled(path))),
        (None, None) => Err(Unfit::NoPlace),
    }
}

/// A path by which the same file always goes, as far as its directory is there.
fn settled(path: &Path) -> PathBuf {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return path.to_owned();
    };
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    match directory.canonicalize() {
        Ok(directory) => directory.join(name),
        Err(_) => path.to_owned(),
    }
}

/// The file of a Unix-domain socket. Removed when this goes, if it is ours then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    claim: Claim,
}

/// Whether a file of a socket is this process's to remove.
#[derive(Debug, Clone)]
pub struct Claim(Arc<AtomicBool>);

impl SocketFile {
    /// The file at this path.
    pub fn new(path: PathBuf, is_ours: bool) -> SocketFile {
        let claim = Claim(Arc::new(AtomicBool::new(is_ours)));
        SocketFile { path, claim }
    }

    /// Its claim, to change it from elsewhere.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }
}

impl Claim {
    /// It is from now on, or no more.
    pub fn set(&self, is_ours: bool) {
        self.0.store(is_ours, Ordering::Release);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.claim.0.load(Ordering::Acquire) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpStream, UdpSocket};

    fn handed(socket: impl Into<OwnedFd>, maker: Maker) -> Handed {
        Handed {
            socket: socket.into(),
            maker,
        }
    }

    #[test]
    fn sockets_are_found_by_where_they_listen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        let mut inherited = Inherited::default();
        let again = tcp.try_clone().unwrap();
        inherited.add(handed(tcp, Maker::Manager)).unwrap();
        inherited.add(handed(again, Maker::Proxy)).unwrap();
        inherited.add(handed(unix, Maker::Proxy)).unwrap();
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], address.port()));
        assert!(inherited.take_tcp(elsewhere).is_none());
        assert!(inherited.take_unix(directory.path()).is_none());
        assert_eq!(inherited.rest().count(), 3);
        // Twice the same address is one, and it is the first.
        let (found, maker) = inherited.take_tcp(address).unwrap();
        assert_eq!(
            (found.local_addr().unwrap(), maker),
            (address, Maker::Manager)
        );
        let left: Vec<_> = inherited
            .rest()
            .map(|(place, _)| place.to_string())
            .collect();
        assert_eq!(left, [settled(&path).display().to_string()]);
        let detour = directory.path().join(".").join("socket");
        assert!(inherited.take_unix(&detour).is_some());
        assert_eq!(inherited.rest().count(), 0);
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut inherited = Inherited::default();
        for socket in [OwnedFd::from(connection), OwnedFd::from(datagrams)] {
            let refused = inherited.add(handed(socket, Maker::Manager));
            assert!(matches!(refused, Err(Unfit::NotListening)), "{refused:?}");
        }
        let file = handed(tempfile::tempfile().unwrap(), Maker::Manager);
        assert!(matches!(inherited.add(file), Err(Unfit::System(_))));
        assert_eq!(inherited.rest().count(), 0);
    }

    #[test]
    fn a_file_is_removed_by_whom_it_belongs_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        for (at_first, at_last) in [(false, false), (true, true), (true, false), (false, true)] {
            std::fs::write(&path, "").unwrap();
            let file = SocketFile::new(path.clone(), at_first);
            file.claim().set(at_last);
            drop(file);
            assert_eq!(path.exists(), !at_last);
        }
    }
}
