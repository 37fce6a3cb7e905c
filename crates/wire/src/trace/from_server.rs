//! Owns which fields of a server's messages a trace shows, and as what.

use super::Reply;
use super::from_client::{bare, formats};
use super::line::{Line, quoted};
use crate::from_server::{
    Authentication, BackendKeyData, BindComplete, CloseComplete, CommandComplete, CopyBothResponse,
    CopyData, CopyDone, CopyInResponse, CopyOutResponse, DataRow, EmptyQueryResponse,
    ErrorResponse, FunctionCallResponse, NegotiateProtocolVersion, NoData, NoticeResponse,
    NotificationResponse, ParameterDescription, ParameterStatus, ParseComplete, PortalSuspended,
    ReadyForQuery, RowDescription, tag,
};
use crate::{Fields, Int16s, Message, MessageFault};

pub(super) fn show(line: &mut Line, tag: u8, body: &[u8]) -> Result<Option<Reply>, MessageFault> {
    match tag {
        tag::AUTHENTICATION => {
            let message = Authentication::decode(body)?;
            authentication(line, &message);
            return Ok(Some(Reply::to(&message)));
        }
        tag::BIND_COMPLETE => bare::<BindComplete>(line, body)?,
        tag::CLOSE_COMPLETE => bare::<CloseComplete>(line, body)?,
        tag::PARSE_COMPLETE => bare::<ParseComplete>(line, body)?,
        tag::EMPTY_QUERY_RESPONSE => bare::<EmptyQueryResponse>(line, body)?,
        tag::NO_DATA => bare::<NoData>(line, body)?,
        tag::PORTAL_SUSPENDED => bare::<PortalSuspended>(line, body)?,
        tag::COPY_DONE => bare::<CopyDone>(line, body)?,
        tag::ERROR_RESPONSE => fields(
            line,
            ErrorResponse::NAME,
            ErrorResponse::decode(body)?.fields,
        ),
        tag::NOTICE_RESPONSE => fields(
            line,
            NoticeResponse::NAME,
            NoticeResponse::decode(body)?.fields,
        ),
        tag::COPY_IN_RESPONSE => {
            let message = CopyInResponse::decode(body)?;
            copy(line, CopyInResponse::NAME, message.format, message.columns);
        }
        tag::COPY_OUT_RESPONSE => {
            let message = CopyOutResponse::decode(body)?;
            copy(line, CopyOutResponse::NAME, message.format, message.columns);
        }
        tag::COPY_BOTH_RESPONSE => {
            let message = CopyBothResponse::decode(body)?;
            copy(
                line,
                CopyBothResponse::NAME,
                message.format,
                message.columns,
            );
        }
        tag::BACKEND_KEY_DATA | tag::NEGOTIATE_PROTOCOL_VERSION | tag::PARAMETER_STATUS => {
            opening(line, tag, body)?;
        }
        _ => result(line, tag, body)?,
    }
    Ok(None)
}

fn authentication(line: &mut Line, message: &Authentication<'_>) {
    line.name(message.name());
    match message {
        Authentication::Sasl(mechanisms) => {
            line.list("mechanisms", mechanisms.iter().map(|name| quoted(&name)));
        }
        Authentication::Md5Password { salt } => line.content("salt", salt),
        Authentication::GssContinue(data)
        | Authentication::SaslContinue(data)
        | Authentication::SaslFinal(data) => line.secret("data", data.len()),
        _ => {}
    }
}

fn opening(line: &mut Line, tag: u8, body: &[u8]) -> Result<(), MessageFault> {
    match tag {
        tag::BACKEND_KEY_DATA => {
            let message = BackendKeyData::decode(body)?;
            line.name(BackendKeyData::NAME);
            line.shown("pid", message.pid);
            line.secret("key", message.key.expose().len());
        }
        tag::NEGOTIATE_PROTOCOL_VERSION => {
            let message = NegotiateProtocolVersion::decode(body)?;
            line.name(NegotiateProtocolVersion::NAME);
            line.shown("version", message.version);
            line.list("options", message.options.iter().map(|name| quoted(&name)));
        }
        _ => {
            let message = ParameterStatus::decode(body)?;
            line.name(ParameterStatus::NAME);
            line.pair(&message.name, &message.value);
        }
    }
    Ok(())
}

fn result(line: &mut Line, tag: u8, body: &[u8]) -> Result<(), MessageFault> {
    match tag {
        tag::ROW_DESCRIPTION => row_description(line, RowDescription::decode(body)?),
        tag::DATA_ROW => {
            let message = DataRow::decode(body)?;
            line.name(DataRow::NAME);
            line.values("values", message.values.iter());
        }
        tag::COMMAND_COMPLETE => {
            let message = CommandComplete::decode(body)?;
            line.name(CommandComplete::NAME);
            line.label("command", &message.command);
        }
        tag::READY_FOR_QUERY => {
            let message = ReadyForQuery::decode(body)?;
            line.name(ReadyForQuery::NAME);
            line.shown("status", format_args!("{:?}", message.status));
        }
        tag::PARAMETER_DESCRIPTION => {
            let message = ParameterDescription::decode(body)?;
            line.name(ParameterDescription::NAME);
            line.list("types", message.types.iter().map(|oid| oid.to_string()));
        }
        tag::NOTIFICATION_RESPONSE => {
            let message = NotificationResponse::decode(body)?;
            line.name(NotificationResponse::NAME);
            line.shown("pid", message.pid);
            line.label("channel", &message.channel);
            line.content("payload", &message.payload);
        }
        tag::FUNCTION_CALL_RESPONSE => {
            let message = FunctionCallResponse::decode(body)?;
            line.name(FunctionCallResponse::NAME);
            let value = line.value(message.result.as_deref());
            line.shown("result", value);
        }
        tag::COPY_DATA => {
            let message = CopyData::decode(body)?;
            line.name(CopyData::NAME);
            line.content("data", &message.data);
        }
        other => {
            line.tag(other);
            line.content("body", body);
        }
    }
    Ok(())
}

fn row_description(line: &mut Line, message: RowDescription<'_>) {
    line.name(RowDescription::NAME);
    let columns: Vec<_> = message
        .columns
        .iter()
        .map(|column| format!("{}:{}", line.redacted(&column.name), column.type_oid))
        .collect();
    line.list("columns", columns.into_iter());
}

fn copy(line: &mut Line, name: &str, format: u8, columns: Int16s<'_>) {
    line.name(name);
    line.shown("format", format);
    formats(line, "columns", columns);
}

/// Severity, code and place in the server's source say nothing about content; all else may quote
/// rows and queries.
fn fields(line: &mut Line, name: &str, fields: Fields<'_>) {
    line.name(name);
    for (code, text) in fields.iter() {
        let field = code.escape_ascii().to_string();
        match code {
            b'S' | b'V' | b'C' | b'F' | b'L' | b'R' => line.label(&field, &text),
            _ => line.content(&field, &text),
        }
    }
}
