//! Owns what must hold for any bytes at all: plain functions that a fuzzer or a seeded mutator
//! calls, and that panic if it doesn't hold.

use crate::frame::{self, Header};
use crate::startup::{self, Packet};
use crate::trace::{Sender, Trace};
use crate::{Message, Text, from_client, from_server, proxy_header, run};

/// Frames: the header alone, the whole frame and the fast run agree about where a frame ends, and
/// a cut-off input says the same about what it holds.
pub fn framer(data: &[u8]) {
    let mut rest = data;
    while let Some(header) = Header::peek(rest) {
        let limit = from_server::limit(header.tag).unwrap_or(0);
        let whole = match frame::whole(rest, |_| limit) {
            Ok(Some(whole)) => whole,
            Ok(None) => {
                assert!((4..=limit).contains(&header.len) && header.total() > rest.len());
                break;
            }
            Err(fault) => {
                assert!(header.len < 4 || header.len > limit);
                assert_eq!(
                    (fault.tag, fault.len, fault.limit),
                    (header.tag, header.len, limit)
                );
                break;
            }
        };
        assert_eq!(whole.total, header.total());
        assert_eq!(&rest[5..whole.total], whole.body);
        assert_eq!(frame::whole(&rest[..whole.total - 1], |_| limit), Ok(None));
        let run = run::bulk(rest, header.tag);
        assert!(run.frames >= 1 && (whole.total..=rest.len()).contains(&run.bytes));
        assert_eq!(
            run::bulk(&rest[..whole.total], header.tag).bytes,
            whole.total
        );
        rest = &rest[whole.total..];
    }
    for sender in [Sender::Client, Sender::Server] {
        Trace::default().frames(sender, data);
    }
}

/// The untagged start: what is accepted is rebuilt exactly, and every question about it has an
/// answer.
pub fn startup(data: &[u8]) {
    Trace::default().greeting(data);
    let _ = startup::options(Text::cut(data));
    let Ok(Some((packet, len))) = startup::first(data) else {
        return;
    };
    assert_eq!(startup::first(&data[..len - 1]), Ok(None));
    let mut rebuilt = Vec::new();
    match &packet {
        Packet::Ssl => rebuilt.extend(startup::SSL_REQUEST_BYTES),
        Packet::Gss => rebuilt.extend(&data[..len]),
        Packet::Cancel(request) => {
            assert!(request.encode(&mut rebuilt).is_ok());
        }
        Packet::Startup(message) => {
            assert!(message.encode(&mut rebuilt).is_ok());
            ask(message);
        }
    }
    assert_eq!(rebuilt, &data[..len]);
}

fn ask(message: &startup::StartupMessage) {
    let _ = message.replication();
    if let Ok(database) = message.database() {
        assert!(!database.is_empty() && database.len() <= startup::NAME_MAX);
    }
    let known = message.settings().count() + message.protocol_options().count();
    assert!(known <= message.parameters().count());
    if let Ok(agreed) = startup::negotiate(message, &[], startup::ProtocolVersion::V3_2) {
        assert!(agreed.version <= message.version());
        if let Some(answer) = agreed.answer() {
            let least = startup::ProtocolVersion::V3_0;
            assert_eq!(
                startup::accept_answer(&answer, message, least),
                Ok(agreed.version)
            );
        }
    }
}

fn exact<'a, M: Message<'a>>(body: &'a [u8]) {
    if let Ok(message) = M::decode(body) {
        let mut frame = Vec::new();
        assert!(message.encode(&mut frame).is_ok());
        let header = Header::peek(&frame);
        assert_eq!(
            header.map(|header| (header.tag, header.body())),
            Some((M::TAG, body.len()))
        );
        assert_eq!(&frame[frame::HEADER..], body, "{}", M::NAME);
    }
}

macro_rules! each {
    ($tag:expr, $body:expr, $module:ident: $($name:ident)*) => {
        $(
            if $tag == <$module::$name as Message<'_>>::TAG {
                exact::<$module::$name>($body);
            }
        )*
    };
}

/// Messages of a client, as a tag and a body: what is accepted is rebuilt exactly.
pub fn from_client(data: &[u8]) {
    let Some((&tag, body)) = data.split_first() else {
        return;
    };
    Trace::default().frame(Sender::Client, tag, body);
    each!(tag, body, from_client:
        Bind Close CopyData CopyDone CopyFail Describe Execute Flush FunctionCall GssResponse Parse
        PasswordMessage Query SaslInitialResponse SaslResponse Sync Terminate);
    if let Ok(bind) = from_client::Bind::decode(body) {
        let front = from_client::BindFront::decode(body);
        let found = front.map(|front| (front.portal, front.statement));
        assert_eq!(found, Some((bind.portal, bind.statement)));
    }
}

/// Messages of a server, as a tag and a body: what is accepted is rebuilt exactly.
pub fn from_server(data: &[u8]) {
    let Some((&tag, body)) = data.split_first() else {
        return;
    };
    Trace::default().frame(Sender::Server, tag, body);
    each!(tag, body, from_server:
        Authentication BackendKeyData BindComplete CloseComplete CommandComplete CopyBothResponse
        CopyData CopyDone CopyInResponse CopyOutResponse DataRow EmptyQueryResponse ErrorResponse
        FunctionCallResponse NegotiateProtocolVersion NoData NoticeResponse NotificationResponse
        ParameterDescription ParameterStatus ParseComplete PortalSuspended ReadyForQuery
        RowDescription);
}

/// The header of a load balancer: what is accepted has the length that its start says, asks for no
/// more than that on the way, and doesn't look at what follows.
pub fn proxy_header(data: &[u8]) {
    let Ok(progress) = proxy_header::parse(data) else {
        return;
    };
    match progress {
        proxy_header::Progress::Needs(count) => {
            assert!(count > data.len() && count <= proxy_header::HEADER_MAX);
        }
        proxy_header::Progress::Whole(_, len) => {
            assert!(len <= data.len() && len <= proxy_header::HEADER_MAX);
            assert_eq!(proxy_header::parse(&data[..len]), Ok(progress));
            for cut in 0..len {
                let part = proxy_header::parse(&data[..cut]);
                let within = |count| cut < count && count <= len;
                assert!(matches!(part, Ok(proxy_header::Progress::Needs(count)) if within(count)));
            }
        }
    }
}
