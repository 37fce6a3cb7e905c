//! What the tests of the console share: its users, and tables as they are read there.

use std::collections::HashMap;

use testkit::peer::message;
use testkit::{Cluster, Frame};

use crate::drivers::Endpoint;
use crate::scripted::Session;
use crate::{Stage, StagePlan};

/// Users of the console alone: PostgreSQL doesn't know them.
pub const ADMIN: (&str, &str) = ("console_admin", "the admin's password");
/// Who may look.
pub const WATCHER: (&str, &str) = ("console_watcher", "the watcher's password");

/// A proxy with a console for both.
pub fn plan(role: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .user_with(ADMIN.0, ADMIN.1)
        .user_with(WATCHER.0, WATCHER.1)
        .more(&format!(
            "[admin]\nadmin_users = '{}'\nstats_users = ['{}']\n",
            ADMIN.0, WATCHER.0
        ))
}

/// An endpoint of the console, or of another database.
pub fn endpoint(stage: &Stage, (user, password): (&str, &str), database: &str) -> Endpoint {
    Endpoint {
        host: "localhost".to_owned(),
        port: stage.proxy.port(),
        ca_file: stage.ca_file.clone(),
        user: user.to_owned(),
        password: password.to_owned(),
        database: database.to_owned(),
    }
}

/// A session with the console.
pub fn console(stage: &Stage, user: (&str, &str)) -> Session {
    Session::through(stage, &endpoint(stage, user, "pgbouncer"))
}

/// What a table's row says, by column.
pub type Row = HashMap<String, Option<String>>;

/// All rows of an answer.
pub fn rows(frames: &[Frame]) -> Vec<Row> {
    let names = columns(frames);
    let values = |frame: &Frame| {
        let mut rest = &frame.body[2..];
        names
            .iter()
            .map(|(name, _)| {
                let (len, tail) = rest.split_first_chunk().expect("a length");
                let len = usize::try_from(i32::from_be_bytes(*len)).ok();
                let (value, tail) = tail.split_at(len.unwrap_or(0));
                rest = tail;
                let value = len.map(|_| String::from_utf8_lossy(value).into_owned());
                (name.clone(), value)
            })
            .collect()
    };
    let data = frames.iter().filter(|frame| frame.tag == b'D');
    data.map(values).collect()
}

/// Names and type oids.
pub fn columns(frames: &[Frame]) -> Vec<(String, u32)> {
    let described = frames.iter().find(|frame| frame.tag == b'T');
    let mut rest = &described.expect("columns").body[2..];
    let mut names = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let oid = &rest[end + 7..end + 11];
        names.push((name, u32::from_be_bytes(oid.try_into().expect("an oid"))));
        rest = &rest[end + 19..];
    }
    names
}

/// All rows of a table.
pub fn show(session: &mut Session, table: &str) -> Vec<Row> {
    rows(&session.query(&format!("SHOW {table};")))
}

/// A column's value; empty for NULL.
pub fn text<'r>(row: &'r Row, column: &str) -> &'r str {
    row[column].as_deref().unwrap_or_default()
}

/// A column's value as a number.
pub fn number(row: &Row, column: &str) -> u64 {
    text(row, column).parse().expect(column)
}

/// The row of a role in a table.
pub fn of<'r>(rows: &'r [Row], column: &str, value: &str) -> &'r Row {
    let found = rows.iter().find(|row| text(row, column) == value);
    found.unwrap_or_else(|| panic!("no {column} = {value} in {rows:?}"))
}

/// What an order that is refused reads.
pub fn refused(session: &mut Session, order: &str) -> (String, String) {
    session.peer.send(&message::query(order));
    let error = session.peer.expect_frame(b'E');
    session.peer.until_ready();
    let field = |code| error.field(code).unwrap_or_default();
    (field(b'C'), field(b'M'))
}
