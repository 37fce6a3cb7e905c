//! Owns what the first frame of a client that has no server says: whether it needs one.
//!
//! What owes no reply and does nothing outside a copy (CopyData, CopyDone, CopyFail, Flush) is taken off
//! here, as PostgreSQL takes it off without a word: it comes from clients that learn late that their copy
//! has failed.

use super::to_server::request;
use crate::client::ClientStream;
use crate::fault::Fault;
use buf::Plain;
use wire::Report;
use wire::frame::Header;
use wire::from_client::tag;

/// What a client without a server is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Nothing that could be judged yet.
    Nothing,
    /// A request lies in the input.
    Request,
    /// Terminate.
    Terminated,
}

/// Judges the frames at the front of `input`.
pub fn opening(client: &mut ClientStream, input: &mut Plain) -> Result<Opening, Fault> {
    loop {
        if client.passing > 0 {
            let count = client.passing.min(input.len());
            client.passing -= count;
            input.consume(count);
            if client.passing > 0 {
                return Ok(Opening::Nothing);
            }
        }
        let Some(header) = Header::peek(input.bytes()) else {
            return Ok(Opening::Nothing);
        };
        // A request that can't be judged before more of it is here is one all the same.
        request(header, input.bytes())?;
        match header.tag {
            tag::TERMINATE => return Ok(Opening::Terminated),
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL | tag::FLUSH => {
                client.passing = header.total();
            }
            _ => return Ok(Opening::Request),
        }
    }
}

/// Takes the client's next request off `input` (a Query, or a batch of the extended protocol with its
/// Sync) and answers it with `error` and ReadyForQuery, as a server does that refuses it. False, and
/// nothing is done, if not all of the request is here, or it is of another kind.
pub fn refuse(input: &mut Plain, error: &Report<'_>, output: &mut Plain) -> bool {
    let mut len = 0;
    loop {
        let rest = &input.bytes()[len..];
        let Some(header) = Header::peek(rest).filter(|it| it.total() <= rest.len()) else {
            return false;
        };
        len += header.total();
        match header.tag {
            tag::QUERY | tag::SYNC | tag::FUNCTION_CALL => break,
            tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE | tag::FLUSH => {}
            _ => return false,
        }
    }
    if error.encode_error(output).is_err() || output.push(b"Z\0\0\0\x05I").is_err() {
        return false;
    }
    input.consume(len);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framed::frame;
    use wire::{Severity, Sqlstate};

    /// However the bytes are cut, the same is found and the same is left.
    #[test]
    fn late_copy_messages_need_no_server() {
        for (frames, wanted, left) in [
            (vec![], Opening::Nothing, 0),
            (vec![frame(b'X', b"")], Opening::Terminated, 5),
            (
                vec![frame(b'd', b"row"), frame(b'X', b"")],
                Opening::Terminated,
                5,
            ),
            (
                vec![frame(b'd', b"row"), frame(b'c', b""), frame(b'S', b"")],
                Opening::Request,
                5,
            ),
            (
                vec![frame(b'f', b"no\0"), frame(b'H', b"")],
                Opening::Nothing,
                0,
            ),
            (vec![frame(b'Q', b"select 1\0")], Opening::Request, 14),
        ] {
            let bytes = frames.concat();
            for cut in 0..=bytes.len() {
                let mut client = ClientStream::new(1);
                let mut input = Plain::with_capacity(256);
                input.push(&bytes[..cut]).unwrap();
                let _ = opening(&mut client, &mut input).unwrap();
                input.push(&bytes[cut..]).unwrap();
                assert_eq!(opening(&mut client, &mut input), Ok(wanted));
                assert_eq!(input.len(), left);
            }
        }
    }

    #[test]
    fn a_request_is_refused_whole_or_not_at_all() {
        let error = Report::new(Severity::Error, Sqlstate::new("57014"), "no");
        let query = frame(b'Q', b"select 1\0");
        let batch = [frame(b'P', b"\0\0\0\0"), frame(b'H', b""), frame(b'S', b"")].concat();
        for request in [query, batch] {
            for cut in 0..=request.len() {
                let mut input = Plain::with_capacity(256);
                let mut output = Plain::with_capacity(256);
                input.push(&request[..cut]).unwrap();
                let whole = cut == request.len();
                assert_eq!(refuse(&mut input, &error, &mut output), whole);
                assert_eq!(input.is_empty(), whole || cut == 0);
                assert_eq!(output.is_empty(), !whole);
            }
        }
    }

    #[test]
    fn what_is_wrong_needs_no_server_either() {
        for bytes in [
            &b"Q\0\0\0\x03"[..],
            b"~\0\0\0\x04",
            b"p\0\0\0\x04",
            b"S\0\x01\0\0",
        ] {
            let mut input = Plain::with_capacity(16);
            input.push(bytes).unwrap();
            assert!(opening(&mut ClientStream::new(1), &mut input).is_err());
        }
    }
}
