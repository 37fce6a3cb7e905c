//! Owns hearing of a change of Patroni's keys when it happens: etcd's watch, from the revision on that was told last,
//! so that nothing between the two is missed. Says only that it is time to ask; what fails here is left to the next
//! question.

use super::{Etcd, MEMBERS, Session, admitted, decoded, ends, prefix};
use fetch::{Request, header};
use serde::Deserialize;

/// A line of a watch.
#[derive(Deserialize)]
struct Line {
    result: Told,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    events: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    /// `DELETE`; not there for a key that was written.
    #[serde(default, rename = "type")]
    kind: String,
    kv: Key,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    #[serde(default)]
    create_revision: String,
    #[serde(default)]
    mod_revision: String,
}

#[derive(Deserialize)]
struct Range {
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    revision: String,
}

/// The revision that an answer to a range is of.
pub(super) fn revision(body: &[u8]) -> Option<i64> {
    let range: Range = serde_json::from_slice(body).ok()?;
    range.header.revision.parse().ok()
}

/// Whether a line tells of another leader, or of a member that came or went. Each member writes its key anew all the
/// time, to say how much of the log it has; that is no news.
fn is_news(line: &[u8], scope: &str) -> bool {
    let Ok(line) = serde_json::from_slice::<Line>(line) else {
        return false;
    };
    let members = format!("{}{MEMBERS}", prefix(scope));
    line.result.events.iter().any(|it| {
        let is_new = it.kv.create_revision == it.kv.mod_revision;
        let is_leader = decoded(&it.kv.key).is_ok_and(|key| !key.starts_with(&members));
        it.kind == "DELETE" || is_new || is_leader
    })
}

impl Etcd {
    /// Is over when something has changed since the last answer; false if that can't be heard of.
    pub(crate) async fn has_changed(&self, session: &Session) -> bool {
        let (Some(url), Some(revision)) = (self.servers.urls.get(session.first), session.revision)
        else {
            return false;
        };
        let (from, to) = ends(&self.scope);
        let wanted = serde_json::json!({ "create_request": {
            "key": from, "range_end": to, "start_revision": (revision + 1).to_string(),
        }});
        let request = Request::post(wanted.to_string());
        let request = request.with(header::CONTENT_TYPE, b"application/json", false);
        let Some(Ok(request)) = request.map(|it| admitted(it, session.token.as_ref())) else {
            return false;
        };
        let is_it = |line: &[u8]| is_news(line, &self.scope);
        let heard = self.servers.await_line(url, "/v3/watch", request, is_it);
        heard.await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    /// A line of etcd 3.5.
    fn line(kind: Option<&str>, key: &str, (created, changed): (&str, &str)) -> String {
        let key = BASE64_STANDARD.encode(format!("/service/main/{key}"));
        let mut event = serde_json::json!({
            "kv": {"key": key, "mod_revision": changed, "value": "YQ=="}
        });
        if kind.is_none() {
            event["kv"]["create_revision"] = created.into();
        }
        if let Some(kind) = kind {
            event["type"] = kind.into();
        }
        let result = serde_json::json!({"header": {"revision": changed}, "events": [event]});
        serde_json::json!({ "result": result }).to_string()
    }

    #[test]
    fn a_member_that_says_how_far_it_is_is_no_news() {
        let created = r#"{"result":{"header":{"revision":"9"},"created":true}}"#.to_owned();
        for (line, wanted) in [
            (created, false),
            (String::new(), false),
            ("{\"error\":{}}".to_owned(), false),
            (line(None, "members/db1", ("3", "9")), false),
            (line(None, "members/db3", ("9", "9")), true),
            (line(Some("DELETE"), "members/db1", ("", "9")), true),
            (line(Some("DELETE"), "leader", ("", "9")), true),
            (line(None, "leader", ("3", "9")), true),
        ] {
            assert_eq!(is_news(line.as_bytes(), "/service/main"), wanted, "{line}");
        }
    }

    #[test]
    fn the_revision_of_an_answer() {
        let body = br#"{"header":{"cluster_id":"1","revision":"842"},"kvs":[]}"#;
        assert_eq!(revision(body), Some(842));
        assert_eq!(revision(b"{}"), None);
    }
}
