//! Owns which fields of a client's messages a trace shows, and as what.

use super::Reply;
use super::line::Line;
use crate::from_client::{
    Bind, Close, CopyData, CopyDone, CopyFail, Describe, Execute, Flush, FunctionCall, GssResponse,
    Parse, PasswordMessage, Query, SaslInitialResponse, SaslResponse, Sync, Target, Terminate, tag,
};
use crate::{Int16s, Message, MessageFault};

pub(super) fn show(
    line: &mut Line,
    reply: Reply,
    tag: u8,
    body: &[u8],
) -> Result<Option<Reply>, MessageFault> {
    match tag {
        tag::QUERY => query(line, Query::decode(body)?),
        tag::PARSE => parse(line, Parse::decode(body)?),
        tag::BIND => bind(line, Bind::decode(body)?),
        tag::DESCRIBE => target(line, Describe::NAME, Describe::decode(body)?.target),
        tag::CLOSE => target(line, Close::NAME, Close::decode(body)?.target),
        tag::EXECUTE => execute(line, Execute::decode(body)?),
        tag::FUNCTION_CALL => function_call(line, FunctionCall::decode(body)?),
        tag::SYNC => bare::<Sync>(line, body)?,
        tag::FLUSH => bare::<Flush>(line, body)?,
        tag::TERMINATE => bare::<Terminate>(line, body)?,
        tag::COPY_DONE => bare::<CopyDone>(line, body)?,
        tag::COPY_DATA => {
            let message = CopyData::decode(body)?;
            line.name(CopyData::NAME);
            line.content("data", &message.data);
        }
        tag::COPY_FAIL => {
            let message = CopyFail::decode(body)?;
            line.name(CopyFail::NAME);
            line.content("reason", &message.reason);
        }
        tag::PASSWORD => password(line, reply, body)?,
        other => {
            line.tag(other);
            line.content("body", body);
        }
    }
    Ok(None)
}

/// A message without fields, for either direction.
pub(super) fn bare<'a, M: Message<'a>>(
    line: &mut Line,
    body: &'a [u8],
) -> Result<(), MessageFault> {
    M::decode(body)?;
    line.name(M::NAME);
    Ok(())
}

/// Format codes, for either direction.
pub(super) fn formats(line: &mut Line, field: &str, formats: Int16s<'_>) {
    if !formats.is_empty() {
        line.list(field, formats.iter().map(|code| code.to_string()));
    }
}

fn query(line: &mut Line, message: Query<'_>) {
    line.name(Query::NAME);
    line.content("sql", &message.sql);
}

fn parse(line: &mut Line, message: Parse<'_>) {
    line.name(Parse::NAME);
    line.label("statement", &message.statement);
    line.content("sql", &message.sql);
    if !message.types.is_empty() {
        line.list("types", message.types.iter().map(|oid| oid.to_string()));
    }
}

fn bind(line: &mut Line, message: Bind<'_>) {
    line.name(Bind::NAME);
    line.label("portal", &message.portal);
    line.label("statement", &message.statement);
    formats(line, "formats", message.formats);
    line.values("values", message.values.iter());
    formats(line, "result_formats", message.result_formats);
}

fn target(line: &mut Line, name: &str, target: Target<'_>) {
    line.name(name);
    match target {
        Target::Statement(name) => line.label("statement", &name),
        Target::Portal(name) => line.label("portal", &name),
    }
}

fn execute(line: &mut Line, message: Execute<'_>) {
    line.name(Execute::NAME);
    line.label("portal", &message.portal);
    line.shown("rows_max", message.rows_max);
}

fn function_call(line: &mut Line, message: FunctionCall<'_>) {
    line.name(FunctionCall::NAME);
    line.shown("function", message.function);
    formats(line, "formats", message.formats);
    line.values("arguments", message.arguments.iter());
    line.shown("result_format", message.result_format);
}

fn password(line: &mut Line, reply: Reply, body: &[u8]) -> Result<(), MessageFault> {
    match reply {
        Reply::Password => {
            let message = PasswordMessage::decode(body)?;
            line.name(PasswordMessage::NAME);
            line.secret("password", message.password.len());
        }
        Reply::SaslInitial => {
            let message = SaslInitialResponse::decode(body)?;
            line.name(SaslInitialResponse::NAME);
            line.label("mechanism", &message.mechanism);
            if let Some(response) = message.response {
                line.secret("response", response.len());
            }
        }
        Reply::Sasl => {
            let message = SaslResponse::decode(body)?;
            line.name(SaslResponse::NAME);
            line.secret("data", message.data.len());
        }
        Reply::Gss => {
            let message = GssResponse::decode(body)?;
            line.name(GssResponse::NAME);
            line.secret("data", message.data.len());
        }
    }
    Ok(())
}
