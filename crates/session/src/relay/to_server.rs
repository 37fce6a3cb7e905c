//! Owns the passage of frames from a client to its server: each is judged by its header and noted in the
//! ledger before it passes.

use super::{Relayed, pooled};
use crate::client::ClientStream;
use crate::fault::{Fault, FaultKind, Side};
use crate::inspect::forwarded;
use crate::ledger::Request;
use crate::server::Server;
use buf::Plain;
use wire::frame::{HEADER, Header};
use wire::from_client;
use wire::run::bulk;

/// Frames from the client to the server, until input or the pipeline's limit ends.
pub fn to_server(
    client: &mut ClientStream,
    server: &mut Server,
    input: &mut Plain,
    output: &mut Plain,
) -> Result<Relayed, Fault> {
    if client.pooled.is_some() {
        return pooled::to_server(client, server, input, output);
    }
    let mut done = 0;
    let mut relayed = Relayed::Open;
    let result = loop {
        let rest = &input.bytes()[done..];
        if client.passing > 0 {
            let count = client.passing.min(rest.len());
            client.passing -= count;
            done += count;
            if client.passing > 0 {
                break Ok(());
            }
            continue;
        }
        let Some(header) = Header::peek(rest) else {
            break Ok(());
        };
        if server.ledger.len() >= client.pipeline_max {
            break Ok(());
        }
        if header.tag == from_client::tag::COPY_DATA {
            let run = bulk(rest, from_client::tag::COPY_DATA);
            if run.bytes > 0 {
                done += run.bytes;
                if let Some(inspector) = &mut server.inspector {
                    inspector.copied(run.bytes);
                }
                continue;
            }
        }
        match request(header, rest) {
            Ok(Some(request)) => match &mut server.inspector {
                None => server.ledger.request(request),
                Some(inspector) => {
                    let frame = (request, header, input.capacity() / 2);
                    if !forwarded(inspector, &mut server.ledger, frame, rest) {
                        break Ok(());
                    }
                }
            },
            Ok(None) => break Ok(()),
            Err(fault) => break Err(fault),
        }
        // The caller ends the server's session with a Terminate of its own.
        if header.tag == from_client::tag::TERMINATE {
            relayed = Relayed::Terminated;
            break Ok(());
        }
        match rest.len() >= header.total() {
            true => done += header.total(),
            false => client.passing = header.total(),
        }
    };
    input.pour(done, output);
    result.map(|()| relayed)
}

/// What the frame at the front of `bytes` makes the server owe; `None` if that can't be said
/// before more of it is here.
pub(super) fn request(header: Header, bytes: &[u8]) -> Result<Option<Request>, Fault> {
    judge(header)?;
    Ok(Some(match header.tag {
        b'Q' => Request::Query,
        b'P' => Request::Parse,
        b'B' => Request::Bind,
        b'E' => Request::Execute,
        b'C' => Request::Close,
        b'S' => Request::Sync,
        b'F' => Request::FunctionCall,
        b'c' | b'f' => Request::CopyEnd,
        b'D' => match bytes.get(HEADER) {
            _ if header.body() == 0 => Request::DescribePortal,
            Some(b'S') => Request::DescribeStatement,
            Some(_) => Request::DescribePortal,
            None => return Ok(None),
        },
        _ => Request::Nothing,
    }))
}

/// Whether the server would take a frame of this type and length.
#[inline]
pub(super) fn judge(header: Header) -> Result<(), Fault> {
    let Some(limit) = from_client::limit(header.tag) else {
        return Err(Fault::new(
            Side::Client,
            FaultKind::UnknownMessage { tag: header.tag },
        ));
    };
    if header.len < 4 || header.len > limit {
        return Err(Fault::new(
            Side::Client,
            FaultKind::BadLength {
                tag: header.tag,
                len: header.len,
            },
        ));
    }
    Ok(())
}
