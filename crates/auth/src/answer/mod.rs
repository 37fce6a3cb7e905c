//! Owns the client's role towards servers: requests in, replies out, until the server has accepted
//! us *and* has proved what it must prove.
//!
//! Takes the bodies of `R` messages, gives the bodies of `p` messages. The server is taken for
//! hostile: every field is bounded, and no order of messages gets around the server's signature.

mod request;
mod scram;
mod start;
mod types;

pub use types::{
    Acceptance, Accepted, Answer, AnswerRules, AnswerStep, AuthFault, ChannelBinding,
    ClearPassword, Credential, Md5Use, RequireAuth, Response, ResponseKind, ServerLogin,
};
