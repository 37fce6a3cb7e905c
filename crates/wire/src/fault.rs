//! Owns the ways in which bytes fail to be the protocol, one type per layer: frame, startup
//! packet, version negotiation, message. Facts only: names, numbers, never content.

use crate::{ProtocolVersion, Sqlstate};
use thiserror::Error;

/// A frame header that no peer may send: the tag is unknown (limit 0) or its length is out of
/// bounds. PostgreSQL closes the connection without a word (`pq_getmessage`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("frame {:?} has length {len}, allowed are 4 to {limit}", char::from(*tag))]
pub struct FrameFault {
    /// The frame's first byte.
    pub tag: u8,
    /// Its length field, which counts itself and not the tag.
    pub len: u32,
    /// The greatest length allowed for this tag; 0 if the tag is unknown.
    pub limit: u32,
}

/// A message body that is not laid out as the manual's "Message Formats" says. Always SQLSTATE
/// 08P01, `protocol_violation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageFault {
    /// The body ends before or within a field.
    #[error("{message}: ends within {field}")]
    Short {
        /// PostgreSQL's name of the message.
        message: &'static str,
        /// The field that is cut off.
        field: &'static str,
    },
    /// A string lacks its NUL.
    #[error("{message}: {field} has no terminating NUL")]
    Unterminated {
        /// PostgreSQL's name of the message.
        message: &'static str,
        /// The field without an end.
        field: &'static str,
    },
    /// Bytes are left over behind the last field.
    #[error("{message}: {bytes} bytes after its end")]
    Trailing {
        /// PostgreSQL's name of the message.
        message: &'static str,
        /// How many.
        bytes: usize,
    },
    /// A code, count or length has a value that the protocol does not know.
    #[error("{message}: {field} can't be {value}")]
    Value {
        /// PostgreSQL's name of the message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// The value found.
        value: i64,
    },
}

/// A first packet that can't be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StartupFault {
    /// The length word is out of bounds. Answered with silence.
    #[error("startup packet of length {len}, allowed are 8 to 10004")]
    Length {
        /// The length word, which counts itself.
        len: u32,
    },
    /// A request of fixed layout (SSL, GSS, cancel) has a wrong length. Answered with silence.
    #[error("request {code} of length {len}")]
    Request {
        /// The request code.
        code: u32,
        /// The length word, which counts itself.
        len: u32,
    },
    /// The major version is not 3.
    #[error("unsupported frontend protocol {0}")]
    Version(ProtocolVersion),
    /// Parameters do not end with the terminator as the packet's last byte.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// No `user`, or an empty one.
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    /// `replication` is neither `database` nor a boolean.
    #[error("invalid value for parameter \"replication\"")]
    Replication,
    /// `options` holds a switch other than `-c name=value` and `--name=value`.
    #[error("invalid command-line argument in \"options\": number {argument}")]
    Switch {
        /// Position of the argument, counted from 1.
        argument: usize,
    },
    /// A setting in `options` has no `=value`.
    #[error("argument {argument} in \"options\" requires a value")]
    NoValue {
        /// Position of the argument, counted from 1.
        argument: usize,
    },
    /// A parameter to be sent is empty, holds a NUL, or they are too long together.
    #[error("startup parameters can't be expressed in a packet")]
    Unsendable,
}

impl StartupFault {
    /// What PostgreSQL answers as FATAL; nothing where it closes in silence.
    pub fn sqlstate(&self) -> Option<Sqlstate> {
        match self {
            Self::Length { .. } | Self::Request { .. } | Self::Unsendable => None,
            Self::Version(_) => Some(Sqlstate::FEATURE_NOT_SUPPORTED),
            Self::Layout => Some(Sqlstate::PROTOCOL_VIOLATION),
            Self::NoUser => Some(Sqlstate::INVALID_AUTHORIZATION),
            Self::Replication => Some(Sqlstate::INVALID_PARAMETER_VALUE),
            Self::Switch { .. } | Self::NoValue { .. } => Some(Sqlstate::SYNTAX_ERROR),
        }
    }
}

/// A server's NegotiateProtocolVersion that a client must not accept (libpq 18,
/// `pqGetNegotiateProtocolVersion3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NegotiationFault {
    /// The server names a version above the one asked for.
    #[error("server negotiated protocol {answered} although {asked} was asked for")]
    Higher {
        /// What was asked for.
        asked: ProtocolVersion,
        /// What the server said.
        answered: ProtocolVersion,
    },
    /// The version does not exist: below 3.0, or 3.1.
    #[error("server negotiated protocol {0}, which does not exist")]
    Unknown(ProtocolVersion),
    /// The version is below what this client accepts.
    #[error("server negotiated protocol {answered}, at least {least} is required")]
    Lower {
        /// The least acceptable version.
        least: ProtocolVersion,
        /// What the server said.
        answered: ProtocolVersion,
    },
    /// The message changes nothing.
    #[error("server negotiated the protocol without changing anything")]
    Nothing,
    /// An option is named that was not asked for, or that lacks the prefix `_pq_.`.
    #[error("server refused a protocol option that was not requested")]
    Option,
}
