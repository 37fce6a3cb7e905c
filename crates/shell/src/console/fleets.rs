//! Owns the orders about clusters: DRAIN, UNDRAIN and SWITCHOVER.

use super::clusters::parts;
use crate::clusters::{Errand, Fleet, switchover as switch};
use crate::context::Context;
use admin::Refusal;
use cluster::{Key, View};
use std::sync::Arc;
use tokio::sync::oneshot;

/// DRAIN, or UNDRAIN.
pub(super) async fn drain(
    context: &Context,
    (cluster, host): (&str, &str),
    drained: bool,
) -> Result<(), Refusal> {
    let fleet = find(context, cluster)?;
    let seen = fleet.seen();
    let key = find_host(&seen.view, cluster, host)?;
    if drained && seen.view.leader.key() == Some(&key) {
        return Err(Refusal::HostLeads {
            cluster: cluster.to_owned(),
            host: key.to_string(),
        });
    }
    let (done, is_done) = oneshot::channel();
    fleet.tell(Errand::Drain(key, drained, done));
    match is_done.await {
        Ok(true) => {}
        Ok(false) => return Err(no_such_host(cluster, host)),
        Err(_) => return Err(Refusal::NoSuchCluster(cluster.to_owned())),
    }
    // Whoever picks a host from here on sees it.
    let (done, is_shown) = oneshot::channel();
    fleet.tell(Errand::Lead(done));
    let _ = is_shown.await;
    Ok(())
}

/// SWITCHOVER.
pub(super) async fn switchover(
    context: &Context,
    cluster: &str,
    to: Option<&str>,
) -> Result<(), Refusal> {
    let fleet = find(context, cluster)?;
    let to = to
        .map(|host| find_host(&fleet.seen().view, cluster, host))
        .transpose()?;
    let switched = switch(context, cluster, to.as_ref().map(Key::as_str)).await;
    let switched = switched.map(drop);
    switched.map_err(|why| Refusal::Switchover(why.to_string()))
}

fn find(context: &Context, cluster: &str) -> Result<Arc<Fleet>, Refusal> {
    let found = context.clusters.find(cluster);
    found.ok_or_else(|| Refusal::NoSuchCluster(cluster.to_owned()))
}

fn no_such_host(cluster: &str, host: &str) -> Refusal {
    Refusal::NoSuchHost {
        cluster: cluster.to_owned(),
        host: host.to_owned(),
    }
}

/// The host that is written so: with its port, or without it where there is but one.
fn find_host(view: &View, cluster: &str, written: &str) -> Result<Key, Refusal> {
    let keys = || view.hosts.iter().map(|it| &it.key);
    if let Some(key) = keys().find(|it| it.as_str().eq_ignore_ascii_case(written)) {
        return Ok(key.clone());
    }
    let bare = written
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'));
    let bare = bare.unwrap_or(written);
    let mut found = keys().filter(|it| parts(it).0.eq_ignore_ascii_case(bare));
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key.clone()),
        (Some(_), Some(_)) => Err(Refusal::SeveralHosts {
            cluster: cluster.to_owned(),
            host: written.to_owned(),
        }),
        (None, _) => Err(no_such_host(cluster, written)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::{Cluster, Member, Rules};
    use std::time::Duration;

    fn key(host: &str, port: u16) -> Key {
        Key::new(host, port)
    }

    #[test]
    fn hosts_are_found_by_what_is_written() {
        let mut cluster = Cluster::new(Rules::default());
        let members = [key("db1", 5432), key("db1", 5433), key("::1", 5432)];
        let members = members.map(Member::plain).to_vec();
        cluster.set_members(members, None, Duration::ZERO);
        let view = cluster.view();
        let several = Refusal::SeveralHosts {
            cluster: "main".to_owned(),
            host: "db1".to_owned(),
        };
        for (written, wanted) in [
            ("db1:5433", Ok(key("db1", 5433))),
            ("DB1:5432", Ok(key("db1", 5432))),
            ("db1", Err(several)),
            ("::1", Ok(key("::1", 5432))),
            ("[::1]", Ok(key("::1", 5432))),
            ("[::1]:5432", Ok(key("::1", 5432))),
            ("db1:5434", Err(no_such_host("main", "db1:5434"))),
            ("db", Err(no_such_host("main", "db"))),
        ] {
            assert_eq!(find_host(&view, "main", written), wanted, "{written}");
        }
    }
}
