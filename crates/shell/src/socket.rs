//! Owns a connected socket: TCP or Unix domain, non-blocking, polled by its worker.
//!
//! A read fills a [`Cipher`], a write takes only a [`Cipher`]: this is the one place where bytes
//! enter and leave the program.

use buf::Cipher;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt::SetUsize;
use nix::sys::socket::{MsgFlags, SetSockOpt as _, recv};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// The peer has shut its sending half down (poll(2), Linux).
const POLLRDHUP: i16 = 0x2000;

/// So many bytes have to have come before the socket is readable (socket(7), SO_RCVLOWAT).
#[derive(Clone, Copy)]
struct ReceiveLowWater;

nix::setsockopt_impl!(
    ReceiveLowWater,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize,
    SetUsize
);

/// A connected socket.
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix domain.
    Unix(UnixStream),
}

/// A connected socket that no thread's runtime knows: on its way from one to another, or at rest.
pub enum Detached {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix domain.
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    /// Registers it with this thread's runtime.
    pub fn attach(self) -> io::Result<Socket> {
        Ok(match self {
            Detached::Tcp(socket) => Socket::Tcp(TcpStream::from_std(socket)?),
            Detached::Unix(socket) => Socket::Unix(UnixStream::from_std(socket)?),
        })
    }
}

impl Socket {
    /// Takes it away from its runtime.
    pub fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Socket::Tcp(socket) => Detached::Tcp(socket.into_std()?),
            Socket::Unix(socket) => Detached::Unix(socket.into_std()?),
        })
    }

    /// Ready if a read is worth trying.
    #[inline]
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(socket) => socket.poll_read_ready(cx),
            Socket::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    /// One read into the spare room of `into`; 0 is the end of the stream.
    ///
    /// A short read tells the runtime that the socket is empty, so the next call doesn't cost a
    /// system call to learn it.
    #[inline]
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Cipher,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        let spare = into.spare();
        let max = max.min(spare.len());
        let mut buffer = ReadBuf::new(&mut spare[..max]);
        ready!(match self {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, &mut buffer),
            Socket::Unix(socket) => Pin::new(socket).poll_read(cx, &mut buffer),
        })?;
        let count = buffer.filled().len();
        into.commit(count);
        Poll::Ready(Ok(count))
    }

    /// One read without asking the runtime, which would say that there is nothing before it has asked the kernel. What it
    /// says when there is more is for [`poll_read`](Self::poll_read).
    pub fn take(&self, into: &mut Cipher, max: usize) -> Result<usize, Errno> {
        let spare = into.spare();
        let max = max.min(spare.len());
        let count = recv(
            self.as_fd().as_raw_fd(),
            &mut spare[..max],
            MsgFlags::MSG_DONTWAIT,
        )?;
        into.commit(count);
        Ok(count)
    }

    /// One write of `from` without asking the runtime, which would say that it doesn't know before it has asked the
    /// kernel. What doesn't go out now is for [`poll_write`](Self::poll_write), and so is every error.
    pub fn put(&mut self, from: &mut Cipher) {
        if let Ok(count) = socket2::SockRef::from(&*self).send(from.bytes()) {
            from.consume(count);
        }
    }

    /// Writes `from` until it is empty or the socket is full.
    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, from: &mut Cipher) -> Poll<io::Result<()>> {
        while !from.is_empty() {
            // Mostly there is room, and no waker has to be left for it to come.
            let tried = match self {
                Socket::Tcp(socket) => socket.try_write(from.bytes()),
                Socket::Unix(socket) => socket.try_write(from.bytes()),
            };
            let count = match tried {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(match self {
                    Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, from.bytes()),
                    Socket::Unix(socket) => Pin::new(socket).poll_write(cx, from.bytes()),
                })?,
                Err(error) => return Poll::Ready(Err(error)),
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            from.consume(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the outgoing half of the stream.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }

    /// Has the end of the stream be a reset: what was not delivered by then never is. The kernel would go on trying
    /// for minutes, also behind the end of the socket.
    pub fn give_up_undelivered(&self) {
        if let Socket::Tcp(socket) = self {
            let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Has the runtime be told of what comes only when so many bytes have come, or the end; if so many are there by
    /// now, it is told at once. False if it can't be had: over a Unix-domain socket, which has no such thing.
    pub fn rings_for(&self, bytes: usize) -> bool {
        let Socket::Tcp(socket) = self else {
            return false;
        };
        let set = |bytes: usize| ReceiveLowWater.set(socket, &bytes).is_ok();
        // The kernel makes room for so much and no more, and a sender that has filled it waits; so it is asked for
        // twice as much first.
        let is_set = (bytes == 1 || set(2 * bytes)) && set(bytes);
        is_set || {
            set(1);
            false
        }
    }

    /// True if the peer has hung up, whether or not what it sent before has been read. For a
    /// socket that isn't being read because the other side is slow.
    pub fn hung_up(&self) -> bool {
        hung_up(self.as_fd())
    }

    /// True if something can be read, the end of the stream included. Asks the kernel: for a socket that another
    /// thread's runtime watches, which may have had no time to notice.
    pub fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        matches!(nix::poll::poll(&mut fds, PollTimeout::ZERO), Ok(1..))
    }

    /// True for a Unix-domain socket.
    pub fn is_unix(&self) -> bool {
        matches!(self, Socket::Unix(_))
    }

    /// Our own address, over TCP.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The peer's address, over TCP.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(socket) => socket.peer_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The process at the other end of a Unix-domain socket.
    pub fn peer_pid(&self) -> Option<u32> {
        match self {
            Socket::Tcp(_) => None,
            Socket::Unix(socket) => {
                let pid = socket.peer_cred().ok().and_then(|cred| cred.pid());
                pid.and_then(|pid| u32::try_from(pid).ok())
            }
        }
    }

    /// The user id of the process at the other end of a Unix-domain socket.
    pub fn peer_uid(&self) -> Option<u32> {
        match self {
            Socket::Tcp(_) => None,
            Socket::Unix(socket) => socket.peer_cred().ok().map(|cred| cred.uid()),
        }
    }
}

fn hung_up(socket: BorrowedFd<'_>) -> bool {
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    let wanted = PollFlags::from_bits_retain(POLLRDHUP);
    let mut fds = [PollFd::new(socket, wanted)];
    match nix::poll::poll(&mut fds, PollTimeout::ZERO) {
        // `nix` has no name for POLLRDHUP and gives `None` when it is set.
        Ok(_) => fds[0].revents().is_none_or(|seen| seen.intersects(gone)),
        Err(_) => false,
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
nix::getsockopt_impl!(
    ReceiveLowWater,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize,
    nix::sys::socket::sockopt::GetUsize
);

/// What [`Socket::rings_for`] set last.
#[cfg(test)]
pub(crate) fn low_water(socket: &Socket) -> usize {
    use nix::sys::socket::GetSockOpt as _;
    ReceiveLowWater.get(socket).unwrap()
}
