//! A proxy that looks at statements, with pages and a console to see them.

use e2e::drivers::Endpoint;
use e2e::observed::address;
use e2e::scripted::Session;
use e2e::twins::Message;
use e2e::{Stage, StagePlan};
use serde_json::{Map, Value};
use testkit::{Cluster, Frame, Peer};

/// A literal that must not be shown anywhere.
pub const MARKER: &str = "zqliteralqz";
/// Own server connections, and shared ones.
pub const POOL_MODES: [&str; 2] = ["session", "transaction"];

const TOKEN: &str = "the token of the pages";
const ADMIN: (&str, &str) = ("inspection_admin", "the admin's password");

pub fn role(name: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), name)
}

/// A proxy that looks at the statements of this role.
pub fn plan(role: &Endpoint, mode: &str) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .user_with(ADMIN.0, ADMIN.1)
        .set("pool", "pool_mode", &format!("\"{mode}\""))
        .set("inspection", "statements", "true")
        .file("pages.token", TOKEN)
        .more(&format!(
            "[metrics]\naddress = '127.0.0.1:0'\ntoken_file = 'pages.token'\n\
             [admin]\nadmin_users = '{}'\n",
            ADMIN.0
        ))
}

/// A page as JSON.
#[track_caller]
pub fn pages(stage: &Stage, path: &str) -> Value {
    serde_json::from_str(&text(stage, path)).expect("JSON")
}

/// A page's text.
#[track_caller]
pub fn text(stage: &Stage, path: &str) -> String {
    let mut peer = Peer::tcp(address(stage));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    peer.send(request.as_bytes());
    let answer = String::from_utf8(peer.drain().0).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    body.to_owned()
}

pub fn send(session: &mut Session, messages: &[Message]) {
    let bytes: Vec<u8> = messages.iter().flat_map(|it| it.encode("")).collect();
    session.peer.send(&bytes);
}

/// Reads to the next ReadyForQuery, whatever comes before it.
#[track_caller]
pub fn answered(session: &mut Session) {
    while session.peer.frame().tag != b'Z' {}
}

/// Parse, Bind and Execute without names.
pub fn run(text: &str) -> [Message; 3] {
    [
        Message::Parse(String::new(), text.to_owned()),
        Message::Bind(String::new(), String::new(), Vec::new()),
        Message::Execute(String::new(), 0),
    ]
}

/// An administrator in the console.
pub struct Scene(Session);

impl Scene {
    #[track_caller]
    pub fn console(stage: &Stage) -> Scene {
        let endpoint = Endpoint {
            host: "localhost".to_owned(),
            port: stage.proxy.port(),
            ca_file: stage.ca_file.clone(),
            user: ADMIN.0.to_owned(),
            password: ADMIN.1.to_owned(),
            database: "portcullis".to_owned(),
        };
        Scene(Session::through(stage, &endpoint))
    }

    #[track_caller]
    pub fn order(&mut self, command: &str) {
        self.0.query(command);
    }

    /// The rows of a table, by column, as texts.
    #[track_caller]
    pub fn shown(&mut self, table: &str) -> Vec<Map<String, Value>> {
        let frames = self.0.query(&format!("SHOW {table}"));
        let names = columns(&frames);
        let data = frames.iter().filter(|frame| frame.tag == b'D');
        data.map(|frame| {
            let mut rest = &frame.body[2..];
            let value = |name: &String| {
                let (len, tail) = rest.split_first_chunk().expect("a length");
                let len = usize::try_from(i32::from_be_bytes(*len)).ok();
                let (value, tail) = tail.split_at(len.unwrap_or(0));
                rest = tail;
                let value = len.map(|_| String::from_utf8_lossy(value).into_owned());
                (name.clone(), value.map_or(Value::Null, Value::String))
            };
            names.iter().map(value).collect()
        })
        .collect()
    }
}

fn columns(frames: &[Frame]) -> Vec<String> {
    let described = frames.iter().find(|frame| frame.tag == b'T');
    let mut rest = &described.expect("columns").body[2..];
    let mut names = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = &rest[end + 19..];
    }
    names
}
