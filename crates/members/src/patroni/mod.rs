//! Owns what Patroni says of its cluster (`GET /cluster`): its nodes, and the members that they are.

mod switchover;

use crate::fault::{Fault, ServiceFault, Tried};
use crate::line::{PORT, is_zone};
use crate::located::{Found, Located, distinct, is_host};
use crate::web::{Servers, refused, words};
use fetch::{Request, Url};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

const SERVICE: &str = "Patroni";

/// A cluster that Patroni keeps, by its REST API.
#[derive(Debug, Clone)]
pub struct Patroni {
    /// Its REST APIs: any of them answers for all. User and password are sent with a switchover only.
    pub servers: Servers,
    /// How often they are asked.
    pub interval: Duration,
}

/// What a node is, by Patroni's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It holds the leader's key, and takes writes.
    Leader,
    /// It holds the leader's key of a cluster that follows another one, and takes none.
    StandbyLeader,
    /// It has to confirm what the leader writes.
    SyncStandby,
    /// It is one of those of which some have to confirm what the leader writes.
    QuorumStandby,
    /// It follows.
    Replica,
    /// Another one.
    Other(String),
}

impl Role {
    pub(crate) fn of(word: &str) -> Role {
        match word {
            // Patroni before 4 says master, and so do its keys; since then they say primary.
            "leader" | "master" | "primary" => Role::Leader,
            "standby_leader" => Role::StandbyLeader,
            "sync_standby" => Role::SyncStandby,
            "quorum_standby" => Role::QuorumStandby,
            "replica" => Role::Replica,
            other => Role::Other(other.to_owned()),
        }
    }
}

/// One node, as Patroni has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What Patroni calls it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What its PostgreSQL does, such as running or streaming.
    pub state: String,
    /// Where it listens; `None` until it has told.
    pub place: Option<(String, u16)>,
    /// The timeline that it is on.
    pub timeline: Option<u32>,
    /// How much it has yet to replay, in bytes; `None` if that isn't known.
    pub lag_bytes: Option<u64>,
    /// It must not become the leader.
    pub no_failover: bool,
    /// It is to do nothing that others can.
    pub no_load_balance: bool,
    /// Where it stands, by a tag `zone`; empty if it has none.
    pub zone: String,
}

#[derive(Deserialize)]
struct Body {
    members: Vec<RawNode>,
}

#[derive(Deserialize)]
struct RawNode {
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    state: String,
    host: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    timeline: Value,
    #[serde(default)]
    lag: Value,
    #[serde(default)]
    tags: Map<String, Value>,
}

/// The nodes of an answer to `GET /cluster`; or what is wrong with it.
pub fn parse_cluster(body: &[u8]) -> Result<Vec<Node>, ServiceFault> {
    let body: Body =
        serde_json::from_slice(body).map_err(|it| ServiceFault::Unfit(it.to_string()))?;
    let node = |raw: RawNode| {
        let place = raw.host.map(|host| (host, raw.port.unwrap_or(PORT)));
        let tags = Tags::of(&raw.tags);
        Node {
            role: Role::of(&raw.role),
            state: raw.state,
            place,
            timeline: raw.timeline.as_u64().and_then(|it| it.try_into().ok()),
            lag_bytes: raw.lag.as_u64(),
            no_failover: tags.no_failover,
            no_load_balance: tags.no_load_balance,
            zone: tags.zone,
            name: raw.name,
        }
    };
    Ok(body.members.into_iter().map(node).collect())
}

/// The tags that matter here.
pub(crate) struct Tags {
    pub(crate) no_failover: bool,
    pub(crate) no_load_balance: bool,
    pub(crate) zone: String,
}

impl Tags {
    pub(crate) fn of(tags: &Map<String, Value>) -> Tags {
        let is_set = |name| match tags.get(name) {
            Some(Value::Bool(is_set)) => *is_set,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(word)) => {
                ["true", "yes", "on", "1"].contains(&word.to_ascii_lowercase().as_str())
            }
            _ => false,
        };
        let zone = tags.get("zone").and_then(Value::as_str);
        Tags {
            no_failover: is_set("nofailover"),
            no_load_balance: is_set("noloadbalance"),
            zone: zone.filter(|it| is_zone(it)).unwrap_or_default().to_owned(),
        }
    }
}

/// Members by nodes. One that has not told where it listens is none yet; one whose PostgreSQL is down is one all
/// the same.
pub(crate) fn found(nodes: &[Node], from: &str) -> Result<Found, ServiceFault> {
    let unfit = |fault: Fault| ServiceFault::Unfit(fault.to_string());
    let mut members = Vec::new();
    let mut leader = None;
    for node in nodes {
        let Some((host, port)) = &node.place else {
            continue;
        };
        if !is_host(host) || *port == 0 {
            let words = words(format!("{}: {host}:{port}", node.name).as_bytes());
            return Err(ServiceFault::Unfit(format!(
                "{words} is no host with a port"
            )));
        }
        let mut located = Located::named(host, *port);
        located.title = node.name.clone();
        located.member.zone = node.zone.clone();
        if node.no_load_balance {
            located.member.weight = 0;
        }
        if node.role == Role::Leader {
            leader = Some(located.key().clone());
        }
        members.push(located);
    }
    let members = distinct(members, from).map_err(unfit)?;
    Ok(Found { members, leader })
}

impl Patroni {
    /// The members of the cluster, by the server that worked last or another one.
    pub(crate) async fn ask(&self, first: &mut usize) -> Result<Found, Fault> {
        let mut tried = Vec::new();
        for (place, url) in self.servers.from(*first) {
            match self.ask_one(url).await {
                Ok(found) => {
                    *first = place;
                    return Ok(found);
                }
                Err(why) => tried.push(Tried::new(url, why)),
            }
        }
        let service = SERVICE;
        Err(Fault::Service { service, tried })
    }

    async fn ask_one(&self, url: &Url) -> Result<Found, ServiceFault> {
        let answer = self.servers.ask(url, "/cluster", Request::get()).await;
        let answer = answer.map_err(|it| ServiceFault::Unanswered(it.to_string()))?;
        match answer.status {
            200 => found(&parse_cluster(&answer.body)?, "the cluster of this Patroni"),
            _ => Err(refused(&answer, words(&answer.body))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, role: Role, host: &str) -> Node {
        Node {
            name: name.to_owned(),
            role,
            state: "running".to_owned(),
            place: Some((host.to_owned(), 5432)),
            timeline: Some(3),
            lag_bytes: None,
            no_failover: false,
            no_load_balance: false,
            zone: String::new(),
        }
    }

    /// Of Patroni 3.0 with a synchronous standby, a replica for backups, and one that begins.
    const THREE: &str = r#"{"members": [
        {"name": "db1", "role": "leader", "state": "running", "api_url": "https://10.0.0.1:8008/patroni",
         "host": "10.0.0.1", "port": 5432, "timeline": 3, "pending_restart": true},
        {"name": "db2", "role": "sync_standby", "state": "running", "api_url": "https://10.0.0.2:8008/patroni",
         "host": "10.0.0.2", "port": 5432, "timeline": 3, "lag": 0},
        {"name": "db3", "role": "replica", "state": "running", "api_url": "https://10.0.0.3:8008/patroni",
         "host": "10.0.0.3", "port": 5432, "timeline": 3,
         "tags": {"nofailover": true, "noloadbalance": true, "zone": "b", "clonefrom": false}, "lag": 16777216},
        {"name": "db4", "role": "replica", "state": "creating replica", "api_url": "https://10.0.0.4:8008/patroni",
         "lag": "unknown"}],
        "pause": true, "scheduled_switchover": {"at": "2026-01-01T00:00:00+00:00", "from": "db1"}}"#;

    /// Of Patroni 4.0 with quorum commit, names of DNS and IPv6.
    const FOUR: &str = r#"{"members": [
        {"name": "pg-0", "role": "leader", "state": "running", "api_url": "https://pg-0.pg:8008/patroni",
         "host": "pg-0.pg", "port": 6432, "timeline": 12, "lsn": "0/5000148"},
        {"name": "pg-1", "role": "quorum_standby", "state": "streaming", "api_url": "https://pg-1.pg:8008/patroni",
         "host": "2001:db8::1", "timeline": 12, "receive_lag": 0, "replay_lag": 8, "lag": 8,
         "receive_lsn": "0/5000148", "replay_lsn": "0/5000140", "lsn": "0/5000148"},
        {"name": "pg-2", "role": "replica", "state": "stopped", "api_url": "https://pg-2.pg:8008/patroni",
         "host": "pg-2.pg", "port": 5432, "lag": "unknown", "receive_lag": "unknown"}],
        "scope": "main"}"#;

    #[test]
    fn clusters_of_patroni_are_read() {
        let db3 = Node {
            lag_bytes: Some(16_777_216),
            no_failover: true,
            no_load_balance: true,
            zone: "b".to_owned(),
            ..node("db3", Role::Replica, "10.0.0.3")
        };
        let db4 = Node {
            state: "creating replica".to_owned(),
            place: None,
            timeline: None,
            ..node("db4", Role::Replica, "")
        };
        let db2 = Node {
            lag_bytes: Some(0),
            ..node("db2", Role::SyncStandby, "10.0.0.2")
        };
        let wanted = [node("db1", Role::Leader, "10.0.0.1"), db2, db3, db4];
        let nodes = parse_cluster(THREE.as_bytes()).unwrap();
        assert_eq!(nodes, wanted);
        let found = found(&nodes, "x").unwrap();
        let members: Vec<_> = found
            .members
            .iter()
            .map(|it| {
                let weight = it.member.weight;
                (
                    it.key().as_str(),
                    it.title.as_str(),
                    weight,
                    it.member.zone.as_str(),
                )
            })
            .collect();
        assert_eq!(
            members,
            [
                ("10.0.0.1:5432", "db1", 100, ""),
                ("10.0.0.2:5432", "db2", 100, ""),
                ("10.0.0.3:5432", "db3", 0, "b"),
            ]
        );
        assert_eq!(found.leader.unwrap().as_str(), "10.0.0.1:5432");
    }

    #[test]
    fn newer_patroni_says_more_and_is_read_too() {
        let nodes = parse_cluster(FOUR.as_bytes()).unwrap();
        let roles: Vec<_> = nodes.iter().map(|it| &it.role).collect();
        assert_eq!(roles, [&Role::Leader, &Role::QuorumStandby, &Role::Replica]);
        assert_eq!(nodes[1].lag_bytes, Some(8));
        let found = found(&nodes, "x").unwrap();
        let keys: Vec<_> = found.members.iter().map(|it| it.key().as_str()).collect();
        assert_eq!(keys, ["pg-0.pg:6432", "[2001:db8::1]:5432", "pg-2.pg:5432"]);
        assert_eq!(found.leader.unwrap().as_str(), "pg-0.pg:6432");
    }

    #[test]
    fn only_a_leader_that_takes_writes_is_named() {
        for (role, has_leader) in [
            ("leader", true),
            ("standby_leader", false),
            ("replica", false),
            ("", false),
            ("new_in_5", false),
        ] {
            let body =
                format!(r#"{{"members": [{{"name": "a", "role": "{role}", "host": "a"}}]}}"#);
            let nodes = parse_cluster(body.as_bytes()).unwrap();
            let found = found(&nodes, "x").unwrap();
            assert_eq!(found.leader.is_some(), has_leader, "{role}");
        }
    }

    #[test]
    fn tags_are_set_as_in_yaml() {
        for (text, wanted) in [
            ("true", true),
            ("1", true),
            (r#""Yes""#, true),
            ("false", false),
            ("0", false),
            (r#""false""#, false),
            ("null", false),
            ("[]", false),
        ] {
            let tags = format!(r#"{{"noloadbalance": {text}, "zone": 7}}"#);
            let tags = Tags::of(&serde_json::from_str(&tags).unwrap());
            assert_eq!(tags.no_load_balance, wanted, "{text}");
            assert_eq!(tags.zone, "");
        }
    }

    #[test]
    fn what_is_no_cluster_is_refused() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"members": 1}"#,
            r#"{"members": [{}]}"#,
            r#"{"members": [{"name": "a", "host": 1}]}"#,
            r#"{"members": [{"name": "a", "host": "a", "port": 65536}]}"#,
            r#"{"members": [{"name": "a", "host": "a", "tags": []}]}"#,
            "<html>",
            &deep,
            &THREE[..200],
        ] {
            assert!(parse_cluster(body.as_bytes()).is_err(), "{body:.60}");
        }
        for body in [
            r#"{"members": []}"#,
            r#"{"members": [{"name": "a"}]}"#,
            r#"{"members": [{"name": "a", "host": "a b"}]}"#,
            r#"{"members": [{"name": "a", "host": "/run/postgresql"}]}"#,
            r#"{"members": [{"name": "a", "host": "a", "port": 0}]}"#,
        ] {
            let nodes = parse_cluster(body.as_bytes()).unwrap();
            let found = found(&nodes, "x");
            assert!(matches!(found, Err(ServiceFault::Unfit(_))), "{body}");
        }
    }
}
