//! Owns what Patroni keeps in etcd: the keys of its members and its leader, by etcd v3's JSON gateway.

mod watch;

use crate::fault::{Fault, ServiceFault, Tried};
use crate::line::PORT;
use crate::located::Found;
use crate::patroni::{self, Node, Role, Tags};
use crate::web::{Servers, refused, words};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buf::Secret;
use fetch::{Answer, Bytes, Request, Url, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

const SERVICE: &str = "etcd";

/// What keys of members begin with, below the scope.
const MEMBERS: &str = "members/";

/// A cluster that Patroni keeps in etcd.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// Its client URLs. User and password are sent to `/v3/auth/authenticate`.
    pub servers: Servers,
    /// What Patroni's keys of this cluster begin with: its `namespace` and its `scope`, as `/service/main/`.
    pub scope: String,
    /// How often it is asked.
    pub interval: Duration,
}

/// What is known from one time to the next.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Which server is asked first.
    first: usize,
    /// What it let us in with. Good for some minutes, or until etcd begins anew.
    token: Option<Secret>,
    /// The revision that the last answer was of.
    revision: Option<i64>,
}

#[derive(Deserialize)]
struct Range {
    /// Not there if there is no such key.
    #[serde(default)]
    kvs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    /// Not there if it is empty.
    #[serde(default)]
    value: String,
}

/// A member's key, as Patroni writes it.
#[derive(Deserialize)]
struct RawNode {
    conn_url: Option<String>,
    #[serde(default)]
    role: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    timeline: Value,
    #[serde(default)]
    tags: Map<String, Value>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    name: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

fn unfit(what: impl ToString) -> ServiceFault {
    ServiceFault::Unfit(what.to_string())
}

/// The nodes of an answer to a range over this scope; or what is wrong with it. The one that is named as the leader
/// has its role; unless it leads a cluster that follows another one, by its own word.
pub fn parse_range(body: &[u8], scope: &str) -> Result<Vec<Node>, ServiceFault> {
    let range: Range = serde_json::from_slice(body).map_err(unfit)?;
    let mut leader = None;
    let mut nodes = Vec::new();
    for pair in range.kvs {
        let key = decoded(&pair.key)?;
        let value = decoded(&pair.value)?;
        let Some(rest) = key.strip_prefix(&prefix(scope)) else {
            return Err(unfit("it holds keys that were not asked for"));
        };
        match rest.strip_prefix(MEMBERS) {
            Some(name) => nodes.push(node(name, &value)?),
            None if rest == "leader" => leader = Some(value),
            None => {}
        }
    }
    for node in &mut nodes {
        let is_leader = leader.as_ref() == Some(&node.name);
        node.role = match std::mem::replace(&mut node.role, Role::Replica) {
            Role::Leader | Role::Replica if is_leader => Role::Leader,
            // Its own word is older than the leader's key.
            Role::Leader => Role::Replica,
            Role::StandbyLeader if !is_leader => Role::Replica,
            other => other,
        };
    }
    Ok(nodes)
}

fn node(name: &str, value: &str) -> Result<Node, ServiceFault> {
    let raw: RawNode = serde_json::from_str(value)
        .map_err(|it| unfit(format!("member {}: {it}", words(name.as_bytes()))))?;
    let place = match &raw.conn_url {
        None => None,
        Some(url) => Some(place(url).ok_or_else(|| {
            let name = words(name.as_bytes());
            unfit(format!("member {name} has a conn_url that is none"))
        })?),
    };
    let tags = Tags::of(&raw.tags);
    Ok(Node {
        name: name.to_owned(),
        role: Role::of(&raw.role),
        state: raw.state,
        place,
        timeline: raw.timeline.as_u64().and_then(|it| it.try_into().ok()),
        lag_bytes: None,
        no_failover: tags.no_failover,
        no_load_balance: tags.no_load_balance,
        zone: tags.zone,
    })
}

/// Host and port of `postgres://[user[:password]@]host[:port][/database]`.
fn place(url: &str) -> Option<(String, u16)> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))?;
    let authority = rest.split(['/', '?']).next()?;
    let (_, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port.parse().ok()?,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn decoded(text: &str) -> Result<String, ServiceFault> {
    let bytes = BASE64_STANDARD.decode(text).map_err(unfit)?;
    String::from_utf8(bytes).map_err(|_| unfit("it holds keys or values that are no text"))
}

/// With a slash at the end, so that `main` is not `main2`.
fn prefix(scope: &str) -> String {
    format!("{}/", scope.trim_end_matches('/'))
}

/// One range for the leader's key and those of all members, so that both are of the same moment: they follow each
/// other in the order of keys.
fn range(scope: &str) -> String {
    let (from, to) = ends(scope);
    serde_json::json!({ "key": from, "range_end": to }).to_string()
}

/// The first key, and the one behind the last.
fn ends(scope: &str) -> (String, String) {
    let prefix = prefix(scope);
    let encoded = |rest| BASE64_STANDARD.encode(format!("{prefix}{rest}"));
    // The character behind a slash is a zero.
    (encoded("leader"), encoded("members0"))
}

/// What etcd said: the message of its error, if it is one of its own.
fn said(answer: &Answer) -> String {
    let error: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = |name: &str| Some(error.as_ref()?.get(name)?.as_str()?.to_owned());
    match text("message").or_else(|| text("error")) {
        Some(text) => words(text.as_bytes()),
        None => words(&answer.body),
    }
}

/// The same with a token, if there is one.
fn admitted(request: Request, token: Option<&Secret>) -> Result<Request, ServiceFault> {
    match token {
        None => Ok(request),
        Some(token) => request
            .with(header::AUTHORIZATION, token.expose(), true)
            .ok_or_else(|| unfit("its token is none for a header")),
    }
}

impl Etcd {
    pub(crate) async fn ask(&self, session: &mut Session) -> Result<Found, Fault> {
        let from = format!("etcd below {}", prefix(&self.scope));
        let mut tried = Vec::new();
        session.revision = None;
        for (place, url) in self.servers.from(session.first) {
            let body = self.body(url, &mut session.token).await;
            let found = body.and_then(|body| {
                session.revision = watch::revision(&body);
                patroni::found(&parse_range(&body, &self.scope)?, &from)
            });
            match found {
                Ok(found) => {
                    session.first = place;
                    return Ok(found);
                }
                Err(why) => tried.push(Tried::new(url, why)),
            }
        }
        let service = SERVICE;
        Err(Fault::Service { service, tried })
    }

    /// Asks one server, with the token that there is; where that doesn't work, with a new one.
    async fn body(&self, url: &Url, token: &mut Option<Secret>) -> Result<Bytes, ServiceFault> {
        if let Some(held) = token.as_ref() {
            // Of a token that is too old some versions say so, others break off: in doubt there is a new one.
            match self.range(url, Some(held)).await {
                Err(
                    ServiceFault::Refused { .. }
                    | ServiceFault::Denied { .. }
                    | ServiceFault::Unanswered(_),
                ) => *token = None,
                other => return other,
            }
        }
        *token = self.authenticate(url).await?;
        self.range(url, token.as_ref()).await
    }

    async fn range(&self, url: &Url, token: Option<&Secret>) -> Result<Bytes, ServiceFault> {
        let request = admitted(Request::post(range(&self.scope)), token)?;
        let answer = self.post(url, "/v3/kv/range", request).await?;
        match answer.status {
            200 => Ok(answer.body),
            _ => Err(refused(&answer, said(&answer))),
        }
    }

    /// A token, if there is a user, and etcd wants one.
    async fn authenticate(&self, url: &Url) -> Result<Option<Secret>, ServiceFault> {
        let Some(login) = &self.servers.login else {
            return Ok(None);
        };
        let password = std::str::from_utf8(login.password.expose())
            .map_err(|_| ServiceFault::BadLogin("the password is no UTF-8 text"))?;
        let body = serde_json::to_vec(&Credentials {
            name: &login.user,
            password,
        });
        let request = Request::post(body.map_err(unfit)?);
        let answer = self.post(url, "/v3/auth/authenticate", request).await?;
        if answer.status != 200 {
            let said = said(&answer);
            return match said.contains("authentication is not enabled") {
                true => Ok(None),
                // What is wrong here is user or password, whatever the status.
                false => Err(ServiceFault::Denied {
                    status: answer.status,
                    words: said,
                }),
            };
        }
        let token: Token = serde_json::from_slice(&answer.body)
            .map_err(|_| unfit("there is no token in its answer to user and password"))?;
        Ok(Some(Secret::from_vec(token.token.into_bytes())))
    }

    async fn post(&self, url: &Url, path: &str, request: Request) -> Result<Answer, ServiceFault> {
        let request = request
            .with(header::CONTENT_TYPE, b"application/json", false)
            .ok_or_else(|| unfit("no header"))?;
        let answer = self.servers.ask(url, path, request).await;
        answer.map_err(|it| ServiceFault::Unanswered(it.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of etcd 3.5 with these keys below the scope.
    fn answer(pairs: &[(&str, &str)]) -> String {
        let pair = |(key, value): &(&str, &str)| {
            serde_json::json!({
                "key": BASE64_STANDARD.encode(format!("/service/main/{key}")),
                "create_revision": "11", "mod_revision": "842", "version": "300",
                "value": BASE64_STANDARD.encode(value), "lease": "7587862072894428932",
            })
        };
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        serde_json::json!({
            "header": {"cluster_id": "14841639068965178418", "member_id": "10276657743932975437",
                       "revision": "842", "raft_term": "2"},
            "count": pairs.len().to_string(), "kvs": pairs,
        })
        .to_string()
    }

    const DB1: &str = r#"{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"https://10.0.0.1:8008/patroni",
        "state":"running","role":"master","version":"3.0.2","xlog_location":67109184,"timeline":2}"#;
    const DB2: &str = r#"{"conn_url":"postgres://[2001:db8::2]:6432/postgres","api_url":"https://db2:8008/patroni",
        "state":"running","role":"replica","version":"4.0.4","replication_state":"streaming",
        "tags":{"noloadbalance":true,"zone":"a"},"receive_lsn":67109184,"replay_lsn":67109184,"timeline":2}"#;

    #[test]
    fn keys_of_patroni_are_read() {
        let body = answer(&[
            ("leader", "db1"),
            ("members/db1", DB1),
            ("members/db2", DB2),
        ]);
        let nodes = parse_range(body.as_bytes(), "/service/main").unwrap();
        let found = patroni::found(&nodes, "x").unwrap();
        let members: Vec<_> = found
            .members
            .iter()
            .map(|it| (it.key().as_str(), it.title.as_str(), it.member.weight))
            .collect();
        assert_eq!(
            members,
            [
                ("10.0.0.1:5432", "db1", 100),
                ("[2001:db8::2]:6432", "db2", 0)
            ]
        );
        assert_eq!(found.members[1].member.zone, "a");
        assert_eq!(found.leader.unwrap().as_str(), "10.0.0.1:5432");
        assert_eq!(nodes[0].timeline, Some(2));
    }

    #[test]
    fn the_key_of_the_leader_names_it_and_not_what_a_member_says() {
        let standby = DB1.replace("master", "standby_leader");
        let primary = DB1.replace("master", "primary");
        let replica = DB1.replace("master", "replica");
        for (leader, member, wanted) in [
            (Some("db1"), DB1, Role::Leader),
            (Some("db1"), primary.as_str(), Role::Leader),
            (Some("db1"), replica.as_str(), Role::Leader),
            (Some("db1"), standby.as_str(), Role::StandbyLeader),
            (Some("db2"), DB1, Role::Replica),
            (Some("db2"), standby.as_str(), Role::Replica),
            (None, DB1, Role::Replica),
        ] {
            let mut pairs = vec![("members/db1", member)];
            pairs.extend(leader.map(|it| ("leader", it)));
            let nodes = parse_range(answer(&pairs).as_bytes(), "/service/main/").unwrap();
            assert_eq!(nodes[0].role, wanted, "{leader:?} {member}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let no_key = r#"{"kvs": [{"value": "YQ=="}]}"#.to_owned();
        let no_base64 = r#"{"kvs": [{"key": "%"}]}"#.to_owned();
        let no_text = r#"{"kvs": [{"key": "/w=="}]}"#.to_owned();
        for body in [
            String::new(),
            "[]x".to_owned(),
            no_key,
            no_base64,
            no_text,
            answer(&[("members/db1", "not json")]),
            answer(&[("members/db1", "")]),
            answer(&[("members/db1", r#"{"conn_url":"mysql://a"}"#)]),
        ] {
            let parsed = parse_range(body.as_bytes(), "/service/main/");
            assert!(matches!(parsed, Err(ServiceFault::Unfit(_))), "{body}");
        }
        let other = parse_range(answer(&[("leader", "x")]).as_bytes(), "/service/main2/");
        assert!(other.is_err());
        // No such keys at all: etcd leaves the list out.
        let nodes = parse_range(br#"{"header": {}}"#, "/service/main/").unwrap();
        assert!(patroni::found(&nodes, "x").is_err());
    }

    #[test]
    fn a_range_is_of_one_scope() {
        let wanted = format!(
            r#"{{"key":"{}","range_end":"{}"}}"#,
            BASE64_STANDARD.encode("/service/main/leader"),
            BASE64_STANDARD.encode("/service/main/members0"),
        );
        assert_eq!(range("/service/main"), wanted);
        assert_eq!(range("/service/main/"), wanted);
    }

    #[test]
    fn places_are_found_in_urls() {
        for (url, wanted) in [
            ("postgres://a:1/postgres", Some(("a", 1))),
            ("postgresql://a.example/db?x=y", Some(("a.example", 5432))),
            ("postgres://u:p@w@a:6000", Some(("a", 6000))),
            ("postgres://[::1]:6000/x", Some(("::1", 6000))),
            ("postgres://[::1]/x", Some(("::1", 5432))),
            ("postgres://[::1/x", None),
            ("postgres://a:b/x", None),
            ("postgres:///x", None),
            ("http://a/", None),
            ("", None),
        ] {
            let found = place(url);
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, wanted, "{url}");
        }
    }
}
