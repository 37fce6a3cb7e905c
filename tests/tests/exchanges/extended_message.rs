//! Messages of the extended protocol, by the manual ("Message Formats").

use super::*;

pub(super) fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(
        b'P',
        &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat(),
    )
}

/// Text parameters, text results.
pub(super) fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Vec<u8> {
    let count = u16::try_from(parameters.len()).expect("few parameters");
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend(count.to_be_bytes());
    for value in parameters {
        body.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

pub(super) fn describe(kind: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub(super) fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(
        b'E',
        &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat(),
    )
}

pub(super) fn close(kind: u8, name: &str) -> Vec<u8> {
    frame(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// Parse, Bind, Execute of the unnamed statement and portal.
pub(super) fn run(sql: &str, parameters: &[&str]) -> Vec<u8> {
    [parse("", sql), bind("", "", parameters), execute("", 0)].concat()
}

pub(super) fn sync() -> Vec<u8> {
    message::SYNC.to_vec()
}

pub(super) fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

pub(super) fn copy_data(text: &str) -> Vec<u8> {
    frame(b'd', text.as_bytes())
}

pub(super) fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

pub(super) fn copy_fail(reason: &str) -> Vec<u8> {
    frame(b'f', &[reason.as_bytes(), b"\0"].concat())
}

/// FunctionCall with one binary argument, for a binary result.
pub(super) fn call(function: u32, argument: &[u8]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1, 0, 1]);
    body.extend(u32::try_from(argument.len()).expect("short").to_be_bytes());
    body.extend(argument);
    body.extend([0, 1]);
    frame(b'F', &body)
}

/// `int4abs` and `int4div` by their numbers in pg_proc.dat.
pub(super) const INT4ABS: u32 = 1251;
pub(super) const INT4DIV: u32 = 154;
