//! Owns the way of descriptors from one process to another, beside bytes over a Unix-domain socket
//! (unix(7), SCM_RIGHTS); and from a bare number to an owner, which is the same way within one process.

use nix::sys::socket::{ControlMessage, MsgFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use super::frames::SOCKETS_MAX;

const SPACE: usize = rustix::cmsg_space!(ScmRights(SOCKETS_MAX));

/// Sends bytes with descriptors beside the first of them; gives how many bytes went.
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let parts = [IoSlice::new(bytes)];
    let sent = rustix::net::sendmsg(socket, &parts, &mut beside, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

/// Receives bytes, and the descriptors beside them, which no child inherits. 0 is the end.
pub(crate) fn receive(
    socket: impl AsFd,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut parts, &mut beside, flags)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(owned) = message {
            descriptors.extend(owned);
        }
    }
    // Some were left out, and are lost.
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(received.bytes)
}

/// An owner for a descriptor that the process was started with, and that no child inherits any more.
pub(crate) fn own(number: RawFd) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let beside = [number];
    let beside = [ControlMessage::ScmRights(&beside)];
    let parts = [IoSlice::new(b"-")];
    let flags = MsgFlags::MSG_NOSIGNAL;
    nix::sys::socket::sendmsg::<()>(ours.as_raw_fd(), &parts, &beside, flags, None)?;
    let mut owned = Vec::new();
    receive(&theirs, &mut [0], &mut owned)?;
    nix::unistd::close(number)?;
    owned.pop().ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::IntoRawFd;

    #[test]
    fn descriptors_go_with_their_bytes() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut one, mut other) = UnixStream::pair().unwrap();
        send(&here, b"first", &[one.as_fd(), other.as_fd()]).unwrap();
        let mut owned = Vec::new();
        let mut bytes = [0; 64];
        let count = receive(&there, &mut bytes, &mut owned).unwrap();
        assert_eq!((&bytes[..count], owned.len()), (&b"first"[..], 2));
        let mut again = UnixStream::from(owned.remove(0));
        one.write_all(b"x").unwrap();
        again.write_all(b"y").unwrap();
        let mut both = [0; 2];
        other.read_exact(&mut both).unwrap();
        assert_eq!(&both, b"xy");
        drop(here);
        assert_eq!(receive(&there, &mut bytes, &mut owned).unwrap(), 0);
    }

    #[test]
    fn a_number_gets_an_owner_once() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let number = one.into_raw_fd();
        let owned = own(number).unwrap();
        UnixStream::from(owned).write_all(b"x").unwrap();
        let mut byte = [0];
        other.read_exact(&mut byte).unwrap();
        // The number was closed: the other end sees the end with the owner's.
        assert_eq!(other.read(&mut byte).unwrap(), 0);
        assert!(own(RawFd::MAX).is_err());
    }
}
