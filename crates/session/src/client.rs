//! Owns what the relay remembers of a client: how far its stream of frames is.

use crate::inspect::{Inspection, Inspector};
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
    /// How its statements are looked at, if they are.
    pub(crate) inspection: Option<Box<Inspection>>,
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
            inspection: None,
        }
    }

    /// The same of a client that shares server connections.
    pub fn pooled(pipeline_max: usize, pooled: Pooled) -> ClientStream {
        ClientStream {
            pooled: Some(Box::new(pooled)),
            ..ClientStream::new(pipeline_max)
        }
    }

    /// Has the client's statements looked at from its next server connection on.
    pub fn inspect(&mut self, inspection: Inspection) {
        self.inspection = Some(Box::new(inspection));
    }

    /// The server connection is this client's, as far as its statements are looked at.
    /// [`link`](Self::link) does it, too.
    pub fn watch(&self, server: &mut Server) {
        let ended = server.ledger.statements_ended();
        match (&self.inspection, &mut server.inspector) {
            (None, inspector) => *inspector = None,
            (Some(inspection), Some(inspector)) => inspector.renew(inspection, ended),
            (Some(inspection), none) => {
                *none = Some(Box::new(Inspector::new((**inspection).clone(), ended)));
            }
        }
        if let (Some(inspector), None) = (&mut server.inspector, &self.pooled) {
            inspector.set_lexing(server.reported.lexing());
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
            if let Some(governor) = pooled.governor() {
                governor.relink();
            }
            server.statements.begin(pooled.limits.server_max);
        }
        self.watch(server);
        self.read_as_reported(server);
    }

    /// A governed client that keeps its connection is read as that says; to be called when nothing is owed.
    pub(crate) fn read_as_reported(&mut self, server: &mut Server) {
        if let Some(pooled) = self.pooled.as_deref_mut().filter(|it| it.is_alone()) {
            pooled.read_as_reported(server);
        }
    }

    /// True if the client shares server connections with others.
    pub fn shares(&self) -> bool {
        self.pooled.as_deref().is_some_and(|it| !it.is_alone())
    }

    /// True if rules ask for the time: see [`crate::govern::Governor::tell_time`].
    #[inline]
    pub fn governor(&mut self) -> Option<&mut crate::govern::Governor> {
        self.pooled.as_deref_mut()?.governor()
    }

    /// True if something is to go to the server without more input: the rest of a frame that was
    /// gathered, a batch that has to be sent again, or what has to fail there.
    #[inline]
    pub fn has_more(&self, server: &Server) -> bool {
        let pooled = self.pooled.as_deref();
        let fails = |it: &Pooled| it.governor.as_ref().is_some_and(|it| it.owes_failure());
        pooled.is_some_and(|it| !it.is_between() || server.again.is_due() || fails(it))
    }

    /// Bytes to the end of the frame that is half-sent to the server; 0 if none is.
    pub fn rest_of_frame(&self) -> usize {
        self.passing
    }

    /// True if the stream stands between two frames: nothing half-sent lies at the server.
    pub fn between_frames(&self) -> bool {
        self.passing == 0 && self.pooled.as_deref().is_none_or(Pooled::is_between)
    }
}
