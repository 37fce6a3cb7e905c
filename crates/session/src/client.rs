//! Owns what the relay remembers of a client: how far its stream of frames is.

/// The client's stream of frames.
#[derive(Debug, Default)]
pub struct ClientStream {
    /// Bytes of the current frame that pass without being looked at.
    pub(crate) passing: usize,
}

impl ClientStream {
    /// True if the stream stands between two frames: nothing half-sent lies at the server.
    pub fn between_frames(&self) -> bool {
        self.passing == 0
    }
}
