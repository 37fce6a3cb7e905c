//! Owns the new process's side: it asks for the listening sockets, and says when it accepts clients. Blocks,
//! before anything is served.

use super::descriptors::receive;
use super::frames::{Frame, VERSION};
use super::{TakeoverFault, Why};
use nix::unistd::geteuid;
use shell::inherit::{Handed, Inherited};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the other process may take to give its sockets away. It serves one taker at a time, and may wait
/// for another one that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to say that it accepts no more.
const LAST_WORD: Duration = Duration::from_secs(10);
/// Most of what is waiting to be understood.
const PENDING_MAX: usize = 4096;

/// The process that gives its sockets away, until this one is ready.
pub(crate) struct Elder {
    stream: UnixStream,
    pid: i32,
    heard: Heard,
}

/// Asks the process that listens on `path` for its sockets; `None` if there is none.
pub(crate) fn ask(path: &Path, inherited: &mut Inherited) -> Result<Option<Elder>, TakeoverFault> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(cause) => match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => return Ok(None),
            _ => {
                let path = path.to_owned();
                return Err(TakeoverFault::Unreachable { path, cause });
            }
        },
    };
    let other = rustix::net::sockopt::socket_peercred(&stream).map_err(|error| {
        let (path, cause) = (path.to_owned(), error.into());
        TakeoverFault::Unreachable { path, cause }
    })?;
    let (uid, own) = (other.uid.as_raw(), geteuid().as_raw());
    if uid != own {
        let path = path.to_owned();
        return Err(TakeoverFault::Stranger { path, uid, own });
    }
    let pid = other.pid.as_raw_nonzero().get();
    let mut elder = Elder {
        stream,
        pid,
        heard: Heard::default(),
    };
    match elder.given(inherited) {
        Ok(()) => Ok(Some(elder)),
        Err(why) => Err(TakeoverFault::NotGiven { pid, why }),
    }
}

impl Elder {
    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    fn given(&mut self, inherited: &mut Inherited) -> Result<(), Why> {
        self.stream.set_write_timeout(Some(LAST_WORD))?;
        self.stream.write_all(&Frame::Hello(VERSION).encode())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (makers, last) = match self.heard.next(&self.stream, deadline)? {
                Frame::Sockets { makers, last } => (makers, last),
                Frame::OtherVersion(version) => return Err(Why::Version(version)),
                _ => return Err(Why::Garbage),
            };
            let sockets = self.heard.descriptors(makers.len()).ok_or(Why::Garbage)?;
            for (socket, maker) in sockets.into_iter().zip(makers) {
                let added = inherited.add(Handed { socket, maker });
                added.map_err(|unfit| Why::System(io::Error::other(unfit)))?;
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Says that clients are accepted here, and waits until the other process accepts none any more. Gives
    /// the connection to it; nothing if it is gone, which is the same for whoever takes its place.
    pub(crate) fn ready(mut self) -> Result<Option<UnixStream>, TakeoverFault> {
        let pid = self.pid;
        // If it can't be told, what it said last says why.
        let told = self.stream.write_all(&Frame::Ready.encode());
        let deadline = Instant::now() + LAST_WORD;
        let why = match self.heard.next(&self.stream, deadline) {
            Ok(Frame::Done) => return Ok(Some(self.stream)),
            Ok(Frame::TooLate) => Why::TooLate,
            Ok(_) => Why::Garbage,
            Err(why) => {
                let reason = told.err().map_or(why, Why::from);
                tracing::warn!(pid, %reason, "the process of before did not say that it accepts no more");
                return Ok(None);
            }
        };
        Err(TakeoverFault::NotGiven { pid, why })
    }
}

/// What the other process has said and is not understood yet.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Heard {
    fn next(&mut self, stream: &UnixStream, deadline: Instant) -> Result<Frame, Why> {
        loop {
            if let Some((frame, len)) = Frame::decode(&self.bytes).map_err(|_| Why::Garbage)? {
                self.bytes.drain(..len);
                return Ok(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.bytes.len() > PENDING_MAX {
                return Err(Why::Silent);
            }
            stream.set_read_timeout(Some(left))?;
            let mut some = [0; 512];
            match receive(stream, &mut some, &mut self.descriptors) {
                Ok(0) => return Err(Why::Closed),
                Ok(count) => self.bytes.extend_from_slice(&some[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The descriptors that came with a frame that says so many, and no other.
    fn descriptors(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        (self.descriptors.len() == count).then(|| std::mem::take(&mut self.descriptors))
    }
}
