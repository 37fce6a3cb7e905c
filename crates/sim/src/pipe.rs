//! Owns bytes on their way in one direction, as a kernel's socket buffers hold them.

use std::collections::VecDeque;

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    /// No more will be written.
    pub closed: bool,
}

impl Pipe {
    /// An open one that holds so many bytes.
    pub fn new(room: usize) -> Pipe {
        Pipe {
            bytes: VecDeque::new(),
            room,
            closed: false,
        }
    }

    /// Bytes on their way.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that it takes now.
    pub fn room(&self) -> usize {
        self.room.saturating_sub(self.bytes.len())
    }

    /// Takes bytes in. Nobody reads a closed one: they are gone.
    pub fn write(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.bytes.extend(bytes);
        }
    }

    /// Gives up to so many bytes.
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.bytes.len());
        self.bytes.drain(..count).collect()
    }

    /// The writer dies: only so many of the bytes arrive.
    pub fn cut(&mut self, at: usize) {
        self.bytes.truncate(at);
        self.closed = true;
    }
}
