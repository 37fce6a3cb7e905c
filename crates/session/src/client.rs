//! Owns what the relay remembers of a client: how far its stream of frames is.

use crate::server::Server;
use crate::statements::{Lease, Pooled};

/// The client's stream of frames.
#[derive(Debug)]
pub struct ClientStream {
    /// Requests that may wait for an answer before the client isn't read any further.
    pub(crate) pipeline_max: usize,
    /// Bytes of the current frame that pass without being looked at.
    pub(crate) passing: usize,
    /// What there is to know of a client that shares server connections.
    pub(crate) pooled: Option<Box<Pooled>>,
}

impl ClientStream {
    /// Requests that always may wait: PostgreSQL sends its answers at 8 kB at the latest, which is
    /// far fewer requests than this; a lower limit could make both sides wait for each other.
    pub const PIPELINE_MIN: usize = 4096;

    /// A stream between two frames, of a client that has its server connection to itself.
    /// `pipeline_max` is raised to [`PIPELINE_MIN`](Self::PIPELINE_MIN).
    pub fn new(pipeline_max: usize) -> ClientStream {
        ClientStream {
            pipeline_max: pipeline_max.max(Self::PIPELINE_MIN),
            passing: 0,
            pooled: None,
        }
    }

    /// The same of a client that shares server connections.
    pub fn pooled(pipeline_max: usize, pooled: Pooled) -> ClientStream {
        ClientStream {
            pooled: Some(Box::new(pooled)),
            ..ClientStream::new(pipeline_max)
        }
    }

    /// What there is to know of a client that shares server connections.
    pub fn statements(&mut self) -> Option<&mut Pooled> {
        self.pooled.as_deref_mut()
    }

    /// The server connection is this client's from now on. To be called before anything of the
    /// client's passes, and before requests of our own are put in front.
    pub fn link(&mut self, server: &mut Server) {
        server.lease = Lease::default();
        server.again.drop();
        if let Some(pooled) = &mut self.pooled {
            pooled.end_batch();
            pooled.end_portals();
            server.statements.begin(pooled.limits.server_max);
        }
    }

    /// True if something is to go to the server without more input: the rest of a frame that was
    /// gathered, or a batch that has to be sent again.
    #[inline]
    pub fn has_more(&self, server: &Server) -> bool {
        let pooled = self.pooled.as_deref();
        pooled.is_some_and(|it| !it.is_between() || server.again.is_due())
    }

    /// True if the stream stands between two frames: nothing half-sent lies at the server.
    pub fn between_frames(&self) -> bool {
        self.passing == 0 && self.pooled.as_deref().is_none_or(Pooled::is_between)
    }
}
