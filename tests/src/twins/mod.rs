//! A client twice: once through the proxy, once on a connection of its own to the same server. Both send
//! the same script and must read the same, whatever other clients of the proxy do. What is the other
//! client's can't be seen through the proxy without being missed on the direct connection.

mod chance;
mod message;
mod script;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use testkit::peer::message::startup;
use testkit::{Frame, Peer};

use crate::drivers::Endpoint;
use crate::scripted::prove;
use crate::stage::Stage;

pub use chance::Chance;
pub use message::{ME, Message};
pub use script::{Author, PREPARATION, Sort};

/// Parameters that both can't have in common, or that a standby's state decides.
const NOT_COMPARED: [&str; 1] = ["in_hot_standby"];

/// How long an answer may take: on a loaded machine clients may wait long for their turn.
const PATIENCE: Duration = Duration::from_secs(100);

/// Where twins connect, and with what startup parameters beside user and database.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// The proxy.
    pub stage: &'a Stage,
    /// The server's Unix-domain socket, which has to trust the role.
    pub socket: &'a Path,
    /// Role and database.
    pub endpoint: &'a Endpoint,
}

/// One of the two.
pub struct Side {
    /// The connection.
    pub peer: Peer,
    /// BackendKeyData.
    pub key: Frame,
    /// The name of what it makes.
    me: String,
    parameters: BTreeMap<String, String>,
    /// Of the last ReadyForQuery.
    pub status: u8,
}

/// Both.
pub struct Twins {
    /// Through the proxy.
    pub proxied: Side,
    /// Past it.
    pub direct: Side,
}

impl Twins {
    /// Logs in twice.
    #[track_caller]
    pub fn log_in(places: Places<'_>, name: &str, parameters: &[(String, String)]) -> Twins {
        let tls = places.stage.client_tls();
        let peer = Peer::tls(places.stage.proxy.address(), &tls).with_limit(PATIENCE);
        let proxied = Side::log_in(
            peer,
            places.endpoint,
            true,
            (&format!("p_{name}"), parameters),
        );
        let peer = Peer::unix(places.socket).with_limit(PATIENCE);
        let direct = Side::log_in(
            peer,
            places.endpoint,
            false,
            (&format!("d_{name}"), parameters),
        );
        Twins { proxied, direct }
    }

    /// Lets both send these messages and read all answers; an error says where these differ.
    #[track_caller]
    pub fn run(&mut self, messages: &[Message]) -> Result<(), String> {
        self.exchange(messages)?;
        if self.report().is_ok() {
            return Ok(());
        }
        // What RESET leads back to is put in front of the next request, and reported then.
        self.exchange(&[Message::query("SELECT 'settled'")])?;
        self.report()
    }

    #[track_caller]
    fn exchange(&mut self, messages: &[Message]) -> Result<(), String> {
        self.proxied.send(messages);
        self.direct.send(messages);
        let direct = self.direct.answers(messages);
        let proxied = self.proxied.answers(messages);
        if proxied == direct {
            return Ok(());
        }
        let at = (proxied.iter().zip(&direct)).take_while(|(one, other)| one == other);
        let at = at.count();
        Err(format!(
            "  after {:?}:\n    {}\n  on a connection of its own:\n    {}",
            &direct[..at].iter().map(|it| cut(it, 0)).collect::<Vec<_>>(),
            said(&proxied, &direct, at),
            said(&direct, &proxied, at),
        ))
    }

    /// What the servers reported of their parameters.
    fn report(&self) -> Result<(), String> {
        let (of_proxied, of_direct) = (&self.proxied.parameters, &self.direct.parameters);
        for (name, value) in of_direct {
            let seen = of_proxied.get(name);
            if seen != Some(value) && !NOT_COMPARED.contains(&&**name) {
                return Err(format!(
                    "  parameter {name} is reported as {seen:?}, on a connection of its own as {value:?}"
                ));
            }
        }
        Ok(())
    }
}

impl Side {
    #[track_caller]
    fn log_in(
        mut peer: Peer,
        endpoint: &Endpoint,
        proof: bool,
        (me, parameters): (&str, &[(String, String)]),
    ) -> Side {
        let own = [
            ("user", endpoint.user.clone()),
            ("database", endpoint.database.clone()),
        ];
        let more = parameters.iter().map(|(name, value)| (&**name, value));
        let all: Vec<(&str, String)> = own
            .iter()
            .map(|(name, value)| (*name, value))
            .chain(more)
            .map(|(name, value)| (name, value.replace(ME, me)))
            .collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, &**value)).collect();
        peer.send(&startup(&all));
        if proof {
            prove(&mut peer, &endpoint.password);
        }
        let mut side = Side {
            peer,
            key: Frame {
                tag: b'K',
                body: Vec::new(),
            },
            me: me.to_owned(),
            parameters: BTreeMap::new(),
            status: b'I',
        };
        for frame in side.peer.until_ready() {
            match frame.tag {
                b'K' => side.key = frame,
                b'S' => side.report(&frame.body),
                _ => {}
            }
        }
        side
    }

    /// Sends the script's messages at once.
    #[track_caller]
    pub fn send(&mut self, messages: &[Message]) {
        let bytes: Vec<u8> = messages.iter().flat_map(|it| it.encode(&self.me)).collect();
        self.peer.send(&bytes);
    }

    /// What answers these messages, one line for each.
    #[track_caller]
    pub fn answers(&mut self, messages: &[Message]) -> Vec<String> {
        let rounds = messages.iter().filter(|it| it.ends_a_round()).count();
        let mut lines = Vec::new();
        let mut ready = 0;
        while ready < rounds {
            let frame = self.peer.frame();
            ready += usize::from(frame.tag == b'Z');
            lines.extend(self.line(&frame));
        }
        lines
    }

    /// What a frame says that both sides must have in common; nothing of what may come at any time.
    fn line(&mut self, frame: &Frame) -> Option<String> {
        let tag = char::from(frame.tag);
        match frame.tag {
            b'S' => {
                self.report(&frame.body);
                None
            }
            b'N' => None,
            b'A' => {
                // The process that notified is whichever the proxy had.
                Some(format!("A {}", self.anonymous(&frame.body[4..])))
            }
            b'E' => {
                let text = frame.error_text().replace(&self.me, ME);
                let state = text.split(' ').next().unwrap_or_default().to_owned();
                Some(format!("E {state}"))
            }
            b'T' => Some(format!("T {}", columns(&frame.body))),
            b'Z' => {
                self.status = frame.body[0];
                Some(format!("Z {}", char::from(self.status)))
            }
            _ => Some(format!("{tag} {}", self.anonymous(&frame.body))),
        }
    }

    fn anonymous(&self, bytes: &[u8]) -> String {
        bytes.escape_ascii().to_string().replace(&self.me, ME)
    }

    fn report(&mut self, body: &[u8]) {
        let mut parts = body.split(|&byte| byte == 0);
        let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let (name, value) = (part(), part());
        self.parameters.insert(name, value.replace(&self.me, ME));
    }
}

/// What one side said from line `at` on, long lines from where they differ.
fn said(lines: &[String], others: &[String], at: usize) -> String {
    let text = lines.iter().enumerate().skip(at).map(|(at, line)| {
        let other = others.get(at).map_or("", |it| &**it);
        let same = line.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
        let from = same.count().saturating_sub(60);
        cut(line, from)
    });
    text.collect::<Vec<_>>().join("\n    ")
}

fn cut(line: &str, from: usize) -> String {
    line.chars().skip(from).take(200).collect()
}

/// RowDescription without the tables' numbers: name and type of each column.
fn columns(body: &[u8]) -> String {
    let mut said = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let (name, tail) = rest.split_at(end);
        // Behind the name: its end, table, attribute, type, size, modifier, format.
        said.push(format!(
            "{} {:?}",
            String::from_utf8_lossy(name),
            &tail[7..19]
        ));
        rest = &tail[19..];
    }
    said.join(", ")
}
