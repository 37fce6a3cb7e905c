//! Owns what the relay remembers of a client: how far its stream of frames is.

/// The client's stream of frames.
#[derive(Debug)]
pub struct ClientStream {
    /// Requests that may wait for an answer before the client isn't read any further.
    pub(crate) pipeline_max: usize,
    /// Bytes of the current frame that pass without being looked at.
    pub(crate) passing: usize,
}

impl ClientStream {
    /// Requests that always may wait: PostgreSQL sends its answers at 8 kB at the latest, which is
    /// far fewer requests than this; a lower limit could make both sides wait for each other.
    pub const PIPELINE_MIN: usize = 4096;

    /// A stream between two frames. `pipeline_max` is raised to [`PIPELINE_MIN`](Self::PIPELINE_MIN).
    pub fn new(pipeline_max: usize) -> ClientStream {
        ClientStream {
            pipeline_max: pipeline_max.max(Self::PIPELINE_MIN),
            passing: 0,
        }
    }

    /// True if the stream stands between two frames: nothing half-sent lies at the server.
    pub fn between_frames(&self) -> bool {
        self.passing == 0
    }
}
