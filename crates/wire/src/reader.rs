//! Owns reading the manual's types off the front of a body, naming the field that fails.

use crate::{MessageFault, Text};

/// The unread rest of a body.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'static str, body: &'a [u8]) -> Self {
        Self {
            message,
            rest: body,
        }
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<&'a [u8], MessageFault> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(MessageFault::Short {
                message: self.message,
                field,
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MessageFault> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(MessageFault::Short {
                message: self.message,
                field,
            });
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, MessageFault> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i16(&mut self, field: &'static str) -> Result<i16, MessageFault> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, MessageFault> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, MessageFault> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, MessageFault> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<Text<'a>, MessageFault> {
        let text = Text::cut(self.rest);
        if text.len() == self.rest.len() {
            return Err(MessageFault::Unterminated {
                message: self.message,
                field,
            });
        }
        self.rest = &self.rest[text.len() + 1..];
        Ok(text)
    }

    /// An Int32 length, -1 for none, and so many bytes.
    pub(crate) fn value(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, MessageFault> {
        match self.i32(field)? {
            -1 => Ok(None),
            len if len < 0 => Err(self.bad(field, i64::from(len))),
            len => self.take(len as usize, field).map(Some),
        }
    }

    /// What lies between `self` and the later state `end` of the same reader.
    pub(crate) fn until(self, end: Self) -> &'a [u8] {
        &self.rest[..self.rest.len() - end.rest.len()]
    }

    pub(crate) fn bad(&self, field: &'static str, value: i64) -> MessageFault {
        MessageFault::Value {
            message: self.message,
            field,
            value,
        }
    }

    pub(crate) fn end(self) -> Result<(), MessageFault> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(MessageFault::Trailing {
                message: self.message,
                bytes,
            }),
        }
    }
}
