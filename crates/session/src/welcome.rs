//! Owns the end of a client's login: AuthenticationOk, what the server reported, the client's own
//! cancel key, ReadyForQuery. Source: manual, "Start-up".

use crate::login::Welcome;
use buf::{Full, Plain};
use wire::Message;
use wire::from_server::{Authentication, BackendKeyData};

/// Appends everything from the last word of the authentication to ReadyForQuery, so that it goes
/// out as one record.
///
/// `last` is the body of an AuthenticationSASLFinal that is still due. `key` is the server's real
/// process id with a secret of ours; a server without BackendKeyData gives none.
pub fn put(
    last: Option<&[u8]>,
    welcome: &Welcome,
    key: Option<&BackendKeyData>,
    output: &mut Plain,
) -> Result<(), Full> {
    if let Some(body) = last {
        put_request(body, output)?;
    }
    Authentication::Ok.encode(output)?;
    output.push(welcome.0.bytes())?;
    if let Some(key) = key {
        key.encode(output)?;
    }
    output.push(b"Z\0\0\0\x05I")
}

/// Appends an `R` message with this body.
pub fn put_request(body: &[u8], output: &mut Plain) -> Result<(), Full> {
    put_frame(b'R', body, output)
}

/// Appends a `p` message with this body.
pub fn put_response(body: &[u8], output: &mut Plain) -> Result<(), Full> {
    put_frame(b'p', body, output)
}

fn put_frame(tag: u8, body: &[u8], output: &mut Plain) -> Result<(), Full> {
    if output.room() < body.len() + wire::frame::HEADER {
        return Err(Full {
            offered: body.len() + wire::frame::HEADER,
            room: output.room(),
        });
    }
    let len = body.len() as u32 + 4;
    output.push(&wire::frame::Header { tag, len }.bytes())?;
    output.push(body)
}
