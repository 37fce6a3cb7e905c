//! Owns the old process's side: it hears who wants its sockets, one after the other, and gives them away.
//! Until the new process says that it is ready everything stays as it was, whatever becomes of that process.

use super::frames::{Frame, SOCKETS_MAX, VERSION};
use super::talk::Talk;
use super::{TakeoverFault, Why};
use crate::metrics::Serving;
use nix::unistd::geteuid;
use shell::inherit::{Handed, Inherited, Maker, SocketFile};
use shell::{Proxy, listen_unix};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::time::timeout;

/// How long somebody who connects may take to say what it wants.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// How long a new process may take from getting the sockets to accepting clients.
const READY_MAX: Duration = Duration::from_secs(30);
/// A pause when the system is out of descriptors.
const BACK_OFF: Duration = Duration::from_millis(200);
/// Processes that may wait for their turn.
const BACKLOG: i32 = 8;
/// Of the socket: nobody else's.
const MODE: u32 = 0o600;

/// Where the listening sockets are given away.
pub(crate) struct Desk {
    listener: UnixListener,
    file: SocketFile,
    maker: Maker,
}

/// The process that has taken over.
pub(crate) struct Heir {
    pub(super) talk: Talk,
    pid: i32,
}

impl Desk {
    /// Listens on this path, within a runtime.
    pub(crate) fn open(path: &Path, inherited: &mut Inherited) -> Result<Desk, TakeoverFault> {
        let made = listen_unix((path, MODE), BACKLOG, inherited);
        let opened = made.and_then(|(listener, file, maker)| {
            let listener = UnixListener::from_std(listener)?;
            Ok(Desk {
                listener,
                file,
                maker,
            })
        });
        opened.map_err(|cause| {
            let path = path.to_owned();
            TakeoverFault::NotMade { path, cause }
        })
    }

    /// The file of its socket is ours to remove at the end, or another's from now on.
    pub(crate) fn claim(&self, is_ours: bool) {
        if self.maker == Maker::Proxy {
            self.file.claim().set(is_ours);
        }
    }

    /// Ready when a process has taken over: it accepts clients already, and expects that this one doesn't
    /// any more.
    pub(crate) async fn heir(&self, proxy: &Proxy, web: Option<&Serving>) -> Heir {
        loop {
            let talk = match self.listener.accept().await {
                Ok((stream, _)) => Talk::over(stream),
                Err(error) => {
                    tracing::debug!(%error, "the take-over socket could not accept");
                    tokio::time::sleep(BACK_OFF).await;
                    continue;
                }
            };
            let pid = talk.other().map_or(0, |(_, pid)| pid);
            match self.give(talk, proxy, web).await {
                Ok(heir) => return heir,
                Err(why) => tracing::warn!(
                    target: "portcullis::takeover",
                    pid,
                    reason = %why,
                    "a process at takeover_socket has not taken over; everything stays as it was"
                ),
            }
        }
    }

    async fn give(
        &self,
        mut talk: Talk,
        proxy: &Proxy,
        web: Option<&Serving>,
    ) -> Result<Heir, Why> {
        let (uid, pid) = talk.other()?;
        if uid != geteuid().as_raw() {
            return Err(Why::Stranger(uid));
        }
        match within(HELLO_MAX, talk.next()).await? {
            Frame::Hello(VERSION) => {}
            Frame::Hello(other) => {
                talk.say(&Frame::OtherVersion(VERSION)).await?;
                return Err(Why::Version(other));
            }
            _ => return Err(Why::Garbage),
        }
        tracing::info!(target: "portcullis::takeover", pid, "a process takes over");
        // From here on it may use the files, and must find them whatever becomes of this process.
        self.claim_all(proxy, false);
        let heir = self.hand_over(&mut talk, proxy, web).await;
        if heir.is_err() {
            self.claim_all(proxy, true);
        }
        heir.map(|()| Heir { talk, pid })
    }

    async fn hand_over(
        &self,
        talk: &mut Talk,
        proxy: &Proxy,
        web: Option<&Serving>,
    ) -> Result<(), Why> {
        let sockets = self.sockets(proxy, web)?;
        let mut parts = sockets.chunks(SOCKETS_MAX).peekable();
        while let Some(part) = parts.next() {
            let frame = Frame::Sockets {
                makers: part.iter().map(|it| it.maker).collect(),
                last: parts.peek().is_none(),
            };
            let beside: Vec<_> = part.iter().map(|it| it.socket.as_fd()).collect();
            within(HELLO_MAX, talk.say_with(&frame, &beside)).await?;
        }
        match within(READY_MAX, talk.next()).await {
            Ok(Frame::Ready) => {}
            Ok(_) => return Err(Why::Garbage),
            Err(why) => {
                if matches!(why, Why::Silent) {
                    within(HELLO_MAX, talk.say(&Frame::TooLate)).await?;
                }
                return Err(why);
            }
        }
        within(HELLO_MAX, talk.say(&Frame::Done)).await
    }

    /// Its own among them, so that there is always one at least.
    fn sockets(&self, proxy: &Proxy, web: Option<&Serving>) -> io::Result<Vec<Handed>> {
        let mut sockets = proxy.sockets()?;
        sockets.extend(web.map(Serving::socket).transpose()?);
        sockets.push(Handed {
            socket: self.listener.as_fd().try_clone_to_owned()?,
            maker: self.maker,
        });
        Ok(sockets)
    }

    fn claim_all(&self, proxy: &Proxy, are_ours: bool) {
        proxy.claim_files(are_ours);
        self.claim(are_ours);
    }
}

impl Heir {
    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, Why>>) -> Result<T, Why> {
    timeout(limit, step).await.unwrap_or(Err(Why::Silent))
}
