//! Owns the errors and notices that Portcullis writes itself: fields S, V, C and M always, D and H
//! where there is something to say (manual, "Error and Notice Message Fields").

use crate::message::begin;
use crate::sink::{Measure, Sink, SinkExt};
use crate::{Sqlstate, Text, from_server};
use buf::Full;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The command failed; the session goes on.
    Error,
    /// The session ends.
    Fatal,
    /// All sessions end.
    Panic,
    /// A notice of a likely mistake.
    Warning,
    /// A notice.
    Notice,
    /// What the user asked to be told.
    Info,
    /// For the operator.
    Log,
    /// For developers.
    Debug,
}

impl Severity {
    /// The word that stands in the message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Log => "LOG",
            Self::Debug => "DEBUG",
        }
    }
}

/// An error or notice to be sent to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// How bad it is: `S` and `V`.
    pub severity: Severity,
    /// The error code: `C`.
    pub sqlstate: Sqlstate,
    /// What happened: `M`.
    pub message: Text<'a>,
    /// More about it: `D`.
    pub detail: Option<Text<'a>>,
    /// What to do: `H`.
    pub hint: Option<Text<'a>>,
}

impl<'a> Report<'a> {
    /// A report without detail and hint. A NUL in `message` would end it there.
    pub fn new(severity: Severity, sqlstate: Sqlstate, message: &'a str) -> Self {
        Self {
            severity,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// The same with more about it.
    pub fn detail(self, text: &'a str) -> Self {
        Self {
            detail: Some(text.into()),
            ..self
        }
    }

    /// The same with what to do.
    pub fn hint(self, text: &'a str) -> Self {
        Self {
            hint: Some(text.into()),
            ..self
        }
    }

    /// Appends an ErrorResponse, or nothing.
    pub fn encode_error<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.encode(from_server::tag::ERROR_RESPONSE, out)
    }

    /// Appends a NoticeResponse, or nothing.
    pub fn encode_notice<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.encode(from_server::tag::NOTICE_RESPONSE, out)
    }

    fn encode<S: Sink>(&self, tag: u8, out: &mut S) -> Result<(), Full> {
        let mut measure = Measure::default();
        self.body(&mut measure)?;
        begin(tag, measure.0, out)?;
        self.body(out)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        let severity = self.severity.as_str().into();
        let fields = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(self.sqlstate.text())),
            (b'M', Some(self.message)),
            (b'D', self.detail),
            (b'H', self.hint),
        ];
        for (code, text) in fields {
            if let Some(text) = text {
                out.byte(code)?;
                out.text(text)?;
            }
        }
        out.byte(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::from_server::ErrorResponse;

    #[test]
    fn a_report_reads_back_as_an_error() {
        let mut out = Vec::new();
        Report::new(
            Severity::Fatal,
            Sqlstate::TOO_MANY_CONNECTIONS,
            "sorry\0Mnot this",
        )
        .hint("come back")
        .encode_error(&mut out)
        .unwrap();
        let error = ErrorResponse::decode(&out[5..]).unwrap();
        let fields: Vec<_> = error
            .fields
            .iter()
            .map(|(code, text)| (code, text.bytes()))
            .collect();
        let expected: [(u8, &[u8]); 5] = [
            (b'S', b"FATAL"),
            (b'V', b"FATAL"),
            (b'C', b"53300"),
            (b'M', b"sorry"),
            (b'H', b"come back"),
        ];
        assert_eq!(fields, expected);
        assert!(error.fields.is_fatal());
    }
}
