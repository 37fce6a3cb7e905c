//! Owns Bind.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Int16s, Message, MessageFault, Sink, Text, Values};
use buf::Full;

/// Makes a portal of a statement and values (manual, "Bind").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Name of the portal to make; empty for the unnamed one.
    pub portal: Text<'a>,
    /// Name of the statement; empty for the unnamed one.
    pub statement: Text<'a>,
    /// Format codes of the values: none, one for all, or one each.
    pub formats: Int16s<'a>,
    /// The values of the parameters.
    pub values: Values<'a>,
    /// Format codes of the result's columns: none, one for all, or one each.
    pub result_formats: Int16s<'a>,
}

impl<'a> Message<'a> for Bind<'a> {
    const TAG: u8 = tag::BIND;
    const NAME: &'static str = "Bind";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            portal: reader.text("portal name")?,
            statement: reader.text("statement name")?,
            formats: Int16s::read(&mut reader, "parameter formats")?,
            values: Values::read(&mut reader, "parameters")?,
            result_formats: Int16s::read(&mut reader, "result formats")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.portal)?;
        out.text(self.statement)?;
        self.formats.write(out)?;
        self.values.write(out)?;
        self.result_formats.write(out)
    }
}

/// The names at the front of a Bind whose body may be a gigabyte and is not here in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindFront<'a> {
    /// Name of the portal to make.
    pub portal: Text<'a>,
    /// Name of the statement.
    pub statement: Text<'a>,
    /// Bytes of the body that both take, NULs included.
    pub len: usize,
}

impl<'a> BindFront<'a> {
    /// Reads the front of a body; nothing if the names have not come in full.
    pub fn decode(front: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(Bind::NAME, front);
        let portal = reader.text("portal name").ok()?;
        let statement = reader.text("statement name").ok()?;
        Some(Self {
            portal,
            statement,
            len: front.len() - reader.rest().len(),
        })
    }
}
