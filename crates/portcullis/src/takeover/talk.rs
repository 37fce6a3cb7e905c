//! Owns a connection between the two processes while they serve: frames in and out, without blocking.

use super::Why;
use super::descriptors::send;
use super::frames::Frame;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Frames over a connection. Waiting for one may be given up at any time.
pub(crate) struct Talk {
    stream: UnixStream,
    heard: Vec<u8>,
}

impl Talk {
    /// Over this connection.
    pub(crate) fn over(stream: UnixStream) -> Talk {
        let heard = Vec::new();
        Talk { stream, heard }
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Result<Frame, Why> {
        loop {
            let decoded = Frame::decode(&self.heard).map_err(|_| Why::Garbage)?;
            if let Some((frame, len)) = decoded {
                buf::wipe(&mut self.heard[..len]);
                self.heard.drain(..len);
                return Ok(frame);
            }
            self.stream.readable().await?;
            let mut some = [0; 512];
            let read = self.stream.try_read(&mut some);
            match read {
                Ok(0) => return Err(Why::Closed),
                Ok(count) => self.heard.extend_from_slice(&some[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            buf::wipe(&mut some);
        }
    }

    /// Says this.
    pub(crate) async fn say(&self, frame: &Frame) -> Result<(), Why> {
        self.say_with(frame, &[]).await
    }

    /// Says this, with descriptors beside it.
    pub(crate) async fn say_with(
        &self,
        frame: &Frame,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Why> {
        let mut bytes = frame.encode();
        let mut said = 0;
        let mut beside = descriptors;
        while said < bytes.len() {
            self.stream.writable().await?;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                send(self.stream.as_fd(), &bytes[said..], beside)
            });
            match sent {
                Ok(count) => {
                    said += count;
                    beside = &[];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        buf::wipe(&mut bytes);
        Ok(())
    }

    /// The user id and the process at the other end.
    pub(crate) fn other(&self) -> io::Result<(u32, i32)> {
        let other = self.stream.peer_cred()?;
        Ok((other.uid(), other.pid().unwrap_or_default()))
    }
}
