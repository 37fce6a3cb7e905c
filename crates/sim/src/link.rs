//! Owns a server connection as Portcullis has it (`shell/rest.rs`, `shell/port.rs`): its state, two
//! buffers, and the backend at its other end.

use crate::chance::Chance;
use crate::shared::Backend;
use buf::Plain;
use session::Server;
use session::fault::{Fault, FaultKind, Side};
use wire::ProtocolVersion;

/// Bytes of a buffer.
pub const BUFFER: usize = 48 * 1024;

/// What has to be free for a read (`pump::may_receive`).
pub const READ_MIN: usize = 16 * 1024;

/// One server connection.
#[derive(Debug)]
pub struct Link {
    /// Its state.
    pub server: Server,
    /// What came from the server.
    pub input: Plain,
    /// What is to go to it.
    pub output: Plain,
    /// Its other end.
    pub backend: usize,
    /// The worker that it lives on.
    pub home: u16,
    /// When it came to rest.
    pub since: u64,
    /// How often all connections had been replaced when it was made.
    pub epoch: u64,
    /// The server has closed.
    pub ended: bool,
}

impl Link {
    /// A connection whose login has just ended.
    pub fn new(backend: usize, home: u16, epoch: u64) -> Link {
        Link {
            server: Server::new(ProtocolVersion::V3_0, None, Default::default()),
            input: Plain::with_capacity(BUFFER),
            output: Plain::with_capacity(BUFFER),
            backend,
            home,
            since: 0,
            epoch,
            ended: false,
        }
    }

    /// `Port::is_quiet`.
    pub fn is_quiet(&self) -> bool {
        self.output.is_empty() && self.input.is_empty() && !self.ended
    }

    /// `Port::poll_send`; true if something is left.
    pub fn send(&mut self, backend: &mut Backend, chance: &mut Chance) -> bool {
        send(&mut self.output, &mut backend.up, chance)
    }

    /// `Port::poll_receive`; true if something came.
    pub fn receive(&mut self, backend: &mut Backend, chance: &mut Chance) -> bool {
        if backend.down.is_empty() {
            self.ended |= backend.down.closed;
            return false;
        }
        if self.input.room() < READ_MIN {
            return false;
        }
        let most = chance.chunk(backend.down.len().min(self.input.room()));
        let bytes = backend.down.read(most);
        self.input.push(&bytes).is_ok() && !bytes.is_empty()
    }

    /// `dial::converse`: one turn of an exchange of ours with the server.
    pub fn converse<T>(
        &mut self,
        backend: &mut Backend,
        chance: &mut Chance,
        mut step: impl FnMut(&mut Server, &mut Plain) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.send(backend, chance);
        if let Some(done) = step(&mut self.server, &mut self.input)? {
            return Ok(Some(done));
        }
        if !self.receive(backend, chance) && self.ended {
            return Err(lost());
        }
        step(&mut self.server, &mut self.input)
    }
}

/// Writes some of what is to be written; true if something is left.
pub fn send(output: &mut Plain, pipe: &mut crate::pipe::Pipe, chance: &mut Chance) -> bool {
    let count = chance.chunk(output.len().min(pipe.room()));
    pipe.write(&output.bytes()[..count]);
    output.consume(count);
    !output.is_empty()
}

/// The server has closed.
pub fn lost() -> Fault {
    Fault::new(Side::Server, FaultKind::Lost { truncated: false })
}
