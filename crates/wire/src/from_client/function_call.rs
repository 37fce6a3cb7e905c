//! Owns FunctionCall.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Int16s, Message, MessageFault, Sink, Values};
use buf::Full;

/// Calls a function by its oid (manual, "FunctionCall"); libpq's large objects use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// Oid of the function.
    pub function: u32,
    /// Format codes of the arguments: none, one for all, or one each.
    pub formats: Int16s<'a>,
    /// The arguments.
    pub arguments: Values<'a>,
    /// Format code of the result.
    pub result_format: i16,
}

impl<'a> Message<'a> for FunctionCall<'a> {
    const TAG: u8 = tag::FUNCTION_CALL;
    const NAME: &'static str = "FunctionCall";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            function: reader.u32("function oid")?,
            formats: Int16s::read(&mut reader, "argument formats")?,
            arguments: Values::read(&mut reader, "arguments")?,
            result_format: reader.i16("result format")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u32(self.function)?;
        self.formats.write(out)?;
        self.arguments.write(out)?;
        out.i16(self.result_format)
    }
}
