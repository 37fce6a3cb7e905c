//! Owns the untagged start of a connection: the packets before the first frame, and what they
//! agree on (manual, "SSL Session Encryption", "StartupMessage", "Protocol Versions").
//!
//! Takes the first bytes of a connection and gives a [`Packet`]; also builds what a client sends.
//! Which packet may follow which is for the caller to say.

mod message;
mod negotiation;
mod options;
mod packet;
mod version;

pub use message::{NAME_MAX, Replication, StartupMessage};
pub use negotiation::{Negotiated, accept_answer, negotiate};
pub use options::{Setting, options};
pub use packet::{
    CANCEL_REQUEST, CancelRequest, GSSENC_REQUEST, PACKET_MAX, Packet, SSL_REQUEST,
    SSL_REQUEST_BYTES, first, is_tls,
};
pub use version::ProtocolVersion;
