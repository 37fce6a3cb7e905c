//! What is encoded decodes to the same message, and no frame depends on how its bytes were chopped.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use proptest::collection::vec;
use proptest::prelude::*;
use wire::frame;
use wire::from_client as client;
use wire::from_server as server;
use wire::startup::{self, CancelRequest, Packet, StartupMessage};
use wire::{
    CancelKey, Column, Columns, Fields, Int16s, Int32s, Message, Payload, ProtocolVersion, Strings,
    Text, Values,
};

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=u8::MAX, 0..40)
}
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..60)
}
fn values() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    vec(proptest::option::of(bytes()), 0..8)
}
fn t(bytes: &[u8]) -> Text<'_> {
    Text::new(bytes).unwrap()
}
fn packed<'a>(items: &[Option<Vec<u8>>], scratch: &'a mut Vec<u8>) -> Values<'a> {
    Values::pack(items.iter().map(|item| item.as_deref()), scratch).unwrap()
}

/// Encodes into a vector and into a capped buffer, decodes, compares.
macro_rules! same {
    ($name:ty, $message:expr) => {{
        let message: $name = $message;
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        let whole = frame::whole(&frame, |_| u32::MAX).unwrap().unwrap();
        prop_assert_eq!(whole.tag, <$name>::TAG);
        prop_assert_eq!(whole.total, frame.len());
        prop_assert_eq!(&<$name>::decode(whole.body).unwrap(), &message);
        let mut capped = buf::Plain::with_capacity(frame.len());
        message.encode(&mut capped).unwrap();
        prop_assert_eq!(capped.bytes(), &frame[..]);
        let mut tight = buf::Plain::with_capacity(frame.len() - 1);
        prop_assert_eq!(message.encode(&mut tight).unwrap_err().offered, frame.len());
        prop_assert!(tight.is_empty(), "half a frame was written");
    }};
}

proptest! {
    #[test]
    fn simple_messages_of_a_client(a in text(), data in bytes(), number: i32, some: bool) {
        same!(client::Query<'_>, client::Query { sql: t(&a) });
        same!(client::CopyFail<'_>, client::CopyFail { reason: t(&a) });
        same!(client::PasswordMessage<'_>, client::PasswordMessage { password: t(&a) });
        same!(client::Execute<'_>, client::Execute { portal: t(&a), rows_max: number });
        let target = match some {
            true => client::Target::Statement(t(&a)),
            false => client::Target::Portal(t(&a)),
        };
        same!(client::Describe<'_>, client::Describe { target });
        same!(client::Close<'_>, client::Close { target });
        let data = Payload(&data);
        same!(client::CopyData<'_>, client::CopyData { data });
        same!(client::SaslResponse<'_>, client::SaslResponse { data });
        same!(client::GssResponse<'_>, client::GssResponse { data });
        let response = some.then_some(data);
        same!(client::SaslInitialResponse<'_>, client::SaslInitialResponse { mechanism: t(&a), response });
    }

    #[test]
    fn extended_messages_of_a_client(
        a in text(), b in text(), codes in vec(any::<i16>(), 0..5), oids in vec(any::<u32>(), 0..5),
        items in values(), results in vec(any::<i16>(), 0..5), function: u32, result_format: i16,
    ) {
        let mut scratch: [Vec<u8>; 4] = Default::default();
        let [one, two, three, four] = &mut scratch;
        let result_formats = Int16s::pack(&results, four).unwrap();
        let types = Int32s::pack(&oids, one).unwrap();
        let formats = Int16s::pack(&codes, two).unwrap();
        let values = packed(&items, three);
        prop_assert_eq!(types.iter().collect::<Vec<_>>(), oids.clone());
        prop_assert_eq!(values.iter().map(|v| v.map(<[u8]>::to_vec)).collect::<Vec<_>>(), items.clone());
        same!(client::Parse<'_>, client::Parse { statement: t(&a), sql: t(&b), types });
        same!(client::Bind<'_>, client::Bind {
            portal: t(&a), statement: t(&b), formats, values, result_formats,
        });
        same!(client::FunctionCall<'_>, client::FunctionCall { function, formats, arguments: values, result_format });
    }

    #[test]
    fn opening_messages_of_a_server(
        names in vec(vec(1..=u8::MAX, 1..20), 0..4), a in text(), b in text(), data in bytes(),
        salt: [u8; 4], pid: u32, code: u32, key in vec(any::<u8>(), 4..=256),
    ) {
        let mut scratch = Vec::new();
        let list = Strings::pack(names.iter().map(|name| t(name)), &mut scratch);
        prop_assert_eq!(list.iter().map(|name| name.to_vec()).collect::<Vec<_>>(), names.clone());
        for message in [
            server::Authentication::Ok, server::Authentication::KerberosV5,
            server::Authentication::CleartextPassword, server::Authentication::Md5Password { salt },
            server::Authentication::Gss, server::Authentication::GssContinue(Payload(&data)),
            server::Authentication::Sspi, server::Authentication::Sasl(list),
            server::Authentication::SaslContinue(Payload(&data)),
            server::Authentication::SaslFinal(Payload(&data)),
        ] {
            same!(server::Authentication<'_>, message);
        }
        let version = ProtocolVersion::from_code(code);
        same!(server::NegotiateProtocolVersion<'_>, server::NegotiateProtocolVersion { version, options: list });
        same!(server::ParameterStatus<'_>, server::ParameterStatus { name: t(&a), value: t(&b) });
        let key = CancelKey::new(&key).unwrap();
        same!(server::BackendKeyData, server::BackendKeyData { pid, key });
    }

    #[test]
    fn results_of_a_server(
        items in values(), a in text(), b in text(), oids in vec(any::<u32>(), 0..5),
        codes in vec(any::<i16>(), 0..5), number: u32, some: bool, format: u8,
        fields in vec((1..=u8::MAX, text()), 0..6),
    ) {
        let mut scratch: [Vec<u8>; 5] = Default::default();
        let [one, two, three, four, five] = &mut scratch;
        same!(server::DataRow<'_>, server::DataRow { values: packed(&items, one) });
        let types = Int32s::pack(&oids, two).unwrap();
        same!(server::ParameterDescription<'_>, server::ParameterDescription { types });
        let columns = Int16s::pack(&codes, three).unwrap();
        same!(server::CopyInResponse<'_>, server::CopyInResponse { format, columns });
        same!(server::CopyOutResponse<'_>, server::CopyOutResponse { format, columns });
        same!(server::CopyBothResponse<'_>, server::CopyBothResponse { format, columns });
        let described: Vec<_> = oids.iter().map(|oid| Column { type_oid: *oid, ..Column::text(t(&a)) }).collect();
        let columns = Columns::pack(described.iter().copied(), four).unwrap();
        prop_assert_eq!(columns.iter().collect::<Vec<_>>(), described);
        same!(server::RowDescription<'_>, server::RowDescription { columns });
        let list = Fields::pack(fields.iter().map(|(code, text)| (*code, t(text))), five).unwrap();
        prop_assert_eq!(list.iter().map(|(code, text)| (code, text.to_vec())).collect::<Vec<_>>(), fields);
        same!(server::ErrorResponse<'_>, server::ErrorResponse { fields: list });
        same!(server::NoticeResponse<'_>, server::NoticeResponse { fields: list });
        same!(server::CommandComplete<'_>, server::CommandComplete { command: t(&a) });
        same!(server::NotificationResponse<'_>, server::NotificationResponse {
            pid: number, channel: t(&a), payload: t(&b),
        });
        same!(server::FunctionCallResponse<'_>, server::FunctionCallResponse { result: some.then_some(Payload(&b)) });
        same!(server::CopyData<'_>, server::CopyData { data: Payload(&b) });
    }

    #[test]
    fn untagged_packets(
        pairs in vec((vec(1..=u8::MAX, 1..20), text()), 0..6), minor: u16, pid: u32,
        key in vec(any::<u8>(), 4..=256),
    ) {
        let version = ProtocolVersion::new(3, minor);
        let message = StartupMessage::new(version, pairs.iter().map(|(n, v)| (&n[..], &v[..]))).unwrap();
        let found: Vec<_> = message.parameters().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        prop_assert_eq!(&found, &pairs);
        let request = CancelRequest { pid, key: CancelKey::new(&key).unwrap() };
        let mut out = Vec::new();
        message.encode(&mut out).unwrap();
        let middle = out.len();
        request.encode(&mut out).unwrap();
        for cut in 0..middle {
            prop_assert_eq!(startup::first(&out[..cut]), Ok(None));
        }
        prop_assert_eq!(startup::first(&out), Ok(Some((Packet::Startup(message), middle))));
        let rest = out.len() - middle;
        prop_assert_eq!(startup::first(&out[middle..]), Ok(Some((Packet::Cancel(request), rest))));
    }

    /// Bytes arrive in pieces of any size; the frames found are those of the whole.
    #[test]
    fn any_chopping_gives_the_same_frames(
        bodies in vec((any::<u8>(), bytes()), 0..12), cuts in vec(1usize..40, 1..40),
    ) {
        let mut stream = Vec::new();
        for (tag, body) in &bodies {
            stream.push(*tag);
            stream.extend((body.len() as u32 + 4).to_be_bytes());
            stream.extend(body);
        }
        let mut queue = buf::Plain::with_capacity(stream.len() + 1);
        let mut found = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            queue.push(piece).unwrap();
            rest = after;
            while let Some(frame) = frame::whole(queue.bytes(), |_| 1000).unwrap() {
                found.push((frame.tag, frame.body.to_vec()));
                let total = frame.total;
                queue.consume(total);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(queue.is_empty());
        prop_assert_eq!(found, bodies);
    }

    /// The fast scanner finds exactly what frame by frame would.
    #[test]
    fn a_run_is_its_frames(lens in vec(0usize..20, 0..20), cut in 0usize..400, other in 0usize..25) {
        let mut stream = Vec::new();
        for (at, len) in lens.iter().enumerate() {
            stream.push(if at == other { b'C' } else { b'D' });
            stream.extend((*len as u32 + 4).to_be_bytes());
            stream.extend(vec![b'D'; *len]);
        }
        stream.truncate(cut);
        let (mut bytes, mut frames) = (0, 0);
        while let Ok(Some(frame)) = frame::whole(&stream[bytes..], |tag| u32::from(tag == b'D') * 1000) {
            bytes += frame.total;
            frames += 1;
        }
        prop_assert_eq!(wire::run::bulk(&stream, b'D'), wire::run::Run { bytes, frames });
    }

    #[test]
    fn arbitrary_bytes_panic_nobody(data in vec(any::<u8>(), 0..300)) {
        wire::fuzzing::framer(&data);
        wire::fuzzing::startup(&data);
        wire::fuzzing::from_client(&data);
        wire::fuzzing::from_server(&data);
    }
}

/// Every body that is one byte short or one byte long is refused, unless the message ends in
/// bytes of no inner rule.
#[test]
fn bodies_are_exact() {
    fn check<'a, M: Message<'a>>(body: &'static [u8]) {
        assert!(M::decode(body).is_ok(), "{} is refused", M::NAME);
        for cut in 0..body.len() {
            assert!(M::decode(&body[..cut]).is_err(), "{} cut at {cut}", M::NAME);
        }
        let long: &'static [u8] = [body, b"\0"].concat().leak();
        assert!(
            M::decode(long).is_err(),
            "{} with a byte behind it",
            M::NAME
        );
    }
    check::<client::Query<'_>>(b"q\0");
    check::<client::Parse<'_>>(b"s\0q\0\0\x01\0\0\0\x17");
    check::<client::Bind<'_>>(b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01v\xff\xff\xff\xff\0\x01\0\0");
    check::<client::Describe<'_>>(b"Ss\0");
    check::<client::Close<'_>>(b"Pp\0");
    check::<client::Execute<'_>>(b"p\0\0\0\0\x05");
    check::<client::FunctionCall<'_>>(b"\0\0\0\x07\0\x01\0\x01\0\x01\0\0\0\x01v\0\x01");
    check::<client::CopyFail<'_>>(b"why\0");
    check::<client::PasswordMessage<'_>>(b"pw\0");
    check::<client::SaslInitialResponse<'_>>(b"M\0\0\0\0\x01x");
    check::<client::SaslInitialResponse<'_>>(b"M\0\xff\xff\xff\xff");
    check::<client::Sync>(b"");
    check::<client::Terminate>(b"");
    check::<server::Authentication<'_>>(b"\0\0\0\0");
    check::<server::Authentication<'_>>(b"\0\0\0\x05salt");
    check::<server::Authentication<'_>>(b"\0\0\0\x0aA\0B\0\0");
    check::<server::NegotiateProtocolVersion<'_>>(b"\0\x03\0\0\0\0\0\x01o\0");
    check::<server::ParameterStatus<'_>>(b"n\0v\0");
    check::<server::ReadyForQuery>(b"I");
    check::<server::RowDescription<'_>>(
        b"\0\x01c\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    );
    check::<server::DataRow<'_>>(b"\0\x02\0\0\0\x01v\xff\xff\xff\xff");
    check::<server::CommandComplete<'_>>(b"SELECT 1\0");
    check::<server::ParameterDescription<'_>>(b"\0\x01\0\0\0\x17");
    check::<server::ErrorResponse<'_>>(b"SERROR\0C42601\0\0");
    check::<server::NoticeResponse<'_>>(b"SNOTICE\0\0");
    check::<server::NotificationResponse<'_>>(b"\0\0\0\x07c\0p\0");
    check::<server::FunctionCallResponse<'_>>(b"\0\0\0\x01v");
    check::<server::CopyInResponse<'_>>(b"\0\0\x01\0\0");
    check::<server::NoData>(b"");
}

/// Values that no peer may send.
#[test]
fn unknown_codes_are_refused() {
    for code in [1u32, 4, 6, 13, 0x8000_0000, u32::MAX] {
        assert!(
            server::Authentication::decode(&code.to_be_bytes()).is_err(),
            "{code}"
        );
    }
    assert!(server::ReadyForQuery::decode(b"X").is_err());
    assert!(client::Describe::decode(b"Xs\0").is_err());
    assert!(client::SaslInitialResponse::decode(b"M\0\xff\xff\xff\xfe").is_err());
    assert!(server::FunctionCallResponse::decode(b"\x80\0\0\0").is_err());
}

#[test]
fn debug_of_a_message_shows_no_content() {
    let mut scratch = Vec::new();
    let values = Values::pack([Some(&b"hunter2"[..])], &mut scratch).unwrap();
    let shown = [
        format!(
            "{:?}",
            client::PasswordMessage {
                password: "hunter2".into()
            }
        ),
        format!(
            "{:?}",
            client::Query {
                sql: "hunter2".into()
            }
        ),
        format!("{:?}", server::DataRow { values }),
        format!(
            "{:?}",
            server::ParameterStatus {
                name: "hunter2".into(),
                value: "hunter2".into()
            }
        ),
        format!(
            "{:?}",
            server::ErrorResponse::decode(b"Mhunter2\0\0").unwrap()
        ),
        format!(
            "{:?}",
            server::Authentication::SaslFinal(Payload(b"hunter2"))
        ),
        format!(
            "{:?}",
            server::BackendKeyData::decode(b"\0\0\0\x01hunter2").unwrap()
        ),
        format!(
            "{:?}",
            StartupMessage::new(ProtocolVersion::V3_0, [(&b"options"[..], &b"hunter2"[..])])
        ),
        format!("{:?}", startup::options("-c a=hunter2".into())),
        format!(
            "{:?}",
            frame::whole(b"Q\0\0\0\x0chunter2\0", |_| 99).unwrap()
        ),
    ];
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
        // Nor as a list of numbers.
        assert!(!text.contains("104, 117"), "{text}");
    }
}
