//! Owns a planned switchover: nothing new goes to the primary, what is under way there ends, somebody promotes the
//! other host, and everything goes on there. Where a step takes too long, the primary of before goes on.
//!
//! No statement fails for it: who has a transaction finishes it, and who wants the next one waits in the queue.

use super::fleet::{Errand, Fleet, Seen};
use crate::context::Context;
use crate::happenings::now_ms;
use crate::setup::Promotion;
use cluster::{Host, Key, Role};
use events::{Event, Kind, Phase};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often it is looked whether a step is done.
const LOOK: Duration = Duration::from_millis(10);

/// Why a switchover was not done. The primary of before goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSwitched {
    /// No cluster has this name.
    #[error("there is no cluster {0:?}: see SHOW CLUSTERS")]
    NoCluster(String),
    /// No host of the cluster has this name.
    #[error("the cluster {cluster} has no host {host:?}: see SHOW HOSTS")]
    NoHost {
        /// The cluster.
        cluster: String,
        /// The host.
        host: String,
    },
    /// There is nothing to switch from.
    #[error("the cluster has no primary now: {0}")]
    NoLeader(String),
    /// It is the primary already.
    #[error("{0} is the primary already")]
    LeadsAlready(Key),
    /// It is nothing that could become the primary.
    #[error("{key} can't be promoted: it is {what}")]
    Unfit {
        /// The host.
        key: Key,
        /// What it is, or how it does.
        what: String,
    },
    /// Another one is under way.
    #[error("another switchover of this cluster is under way")]
    UnderWay,
    /// Transactions went on for too long.
    #[error(
        "{count} server connections were still in use after {waited:?} (switchover_timeout): clients that keep theirs \
         (pool_mode = \"session\", pinned ones) have to leave first, or see SHOW CLIENTS for long transactions"
    )]
    NotDrained {
        /// How many.
        count: usize,
        /// How long was waited.
        waited: Duration,
    },
    /// Nobody promoted it.
    #[error("{key} did not become the primary within {waited:?} (switchover_timeout)")]
    NotPromoted {
        /// The host.
        key: Key,
        /// How long was waited.
        waited: Duration,
    },
    /// Whoever was to promote it could not.
    #[error("{key} could not be promoted: {cause}")]
    PromotionFailed {
        /// The host.
        key: Key,
        /// What they said.
        cause: String,
    },
}

/// Ends the standstill of a fleet, however the switchover ends.
struct Standstill<'a>(&'a Fleet);

impl<'a> Standstill<'a> {
    fn begin(fleet: &'a Fleet) -> Result<Standstill<'a>, NotSwitched> {
        match fleet.stand_still(true) {
            true => Ok(Standstill(fleet)),
            false => Err(NotSwitched::UnderWay),
        }
    }
}

impl Drop for Standstill<'_> {
    fn drop(&mut self) {
        self.0.stand_still(false);
        let (done, _) = oneshot::channel();
        self.0.tell(Errand::Hurry(false));
        self.0.tell(Errand::Lead(done));
    }
}

/// Switches a cluster over to a host, or to the standby that has the most of the log. Gives the new primary.
pub(crate) async fn switchover(
    context: &Context,
    cluster: &str,
    to: Option<&str>,
) -> Result<Key, NotSwitched> {
    let found = context.clusters.find(cluster);
    let fleet = found.ok_or_else(|| NotSwitched::NoCluster(cluster.to_owned()))?;
    let seen = fleet.seen();
    let from = match seen.view.leader.key() {
        Some(from) => from.clone(),
        None => return Err(NotSwitched::NoLeader(seen.view.leader.to_string())),
    };
    let to = target(&seen, cluster, to)?;
    if to == from {
        return Err(NotSwitched::LeadsAlready(to));
    }
    let standstill = Standstill::begin(&fleet)?;
    let began = Instant::now();
    let limit = seen.switchover.timeout;
    tracing::info!(
        target: "portcullis::clusters",
        cluster, from = from.as_str(), to = to.as_str(),
        "a planned switchover begins: nothing new goes to the primary"
    );
    let facts = Facts {
        cluster,
        from: &from,
        to: &to,
    };
    facts.post(context, Phase::Began, None);
    lead(&fleet).await;
    let done = async {
        drained(context, &fleet, limit).await?;
        tracing::info!(
            target: "portcullis::clusters",
            cluster, after = ?began.elapsed(), to = to.as_str(),
            "the primary has nothing more to do: the other host is to be promoted now"
        );
        // From now on everybody waits for nothing but the promotion.
        fleet.tell(Errand::Hurry(true));
        let left = limit.saturating_sub(began.elapsed());
        let promotion = tokio::time::timeout(left, promote(&seen, &from, &to)).await;
        promotion.unwrap_or(Ok(()))?;
        promoted(&fleet, &to, limit.saturating_sub(began.elapsed())).await
    }
    .await;
    drop(standstill);
    facts.post(context, Phase::Ended, Some(&done));
    match &done {
        Ok(()) => tracing::info!(
            target: "portcullis::clusters",
            cluster, took = ?began.elapsed(), to = to.as_str(), "switched over"
        ),
        Err(fault) => {
            tracing::warn!(target: "portcullis::clusters", cluster, "not switched over: {fault}")
        }
    }
    done.map(|()| to)
}

/// What events of a switchover tell.
struct Facts<'a> {
    cluster: &'a str,
    from: &'a Key,
    to: &'a Key,
}

impl Facts<'_> {
    fn post(&self, context: &Context, phase: Phase, done: Option<&Result<(), NotSwitched>>) {
        let subject = format!("cluster {}", self.cluster);
        let event = Event::new(now_ms(), Kind::Switchover, phase, &subject)
            .with("cluster", self.cluster)
            .with("from", self.from.as_str())
            .with("to", self.to.as_str());
        context.events.post(match done {
            None => event,
            Some(Ok(())) => event.with("outcome", "switched over"),
            Some(Err(fault)) => event
                .with("outcome", "not switched over")
                .with("why", fault.to_string().as_str()),
        });
    }
}

/// The host to promote.
fn target(seen: &Seen, cluster: &str, to: Option<&str>) -> Result<Key, NotSwitched> {
    let leader = seen.view.leader.key();
    let hosts = || seen.view.hosts.iter();
    let Some(name) = to else {
        let standbys = hosts().filter(|it| unfit(it).is_none() && Some(&it.key) != leader);
        let best = standbys.max_by_key(|it| it.lsn());
        return best
            .map(|it| it.key.clone())
            .ok_or_else(|| NotSwitched::NoHost {
                cluster: cluster.to_owned(),
                host: "any standby that is up".to_owned(),
            });
    };
    let is_named = |it: &&Host| {
        let key = it.key.as_str();
        key == name || key.rsplit_once(':').is_some_and(|(host, _)| host == name)
    };
    let mut named = hosts().filter(is_named);
    match (named.next(), named.next()) {
        (Some(host), None) if Some(&host.key) == leader => Ok(host.key.clone()),
        (Some(host), None) => match unfit(host) {
            None => Ok(host.key.clone()),
            Some(what) => Err(NotSwitched::Unfit {
                key: host.key.clone(),
                what,
            }),
        },
        _ => Err(NotSwitched::NoHost {
            cluster: cluster.to_owned(),
            host: name.to_owned(),
        }),
    }
}

/// Why a host can't become the primary, if so.
fn unfit(host: &Host) -> Option<String> {
    match (host.health.is_up(), host.role) {
        (true, Role::Standby) => None,
        (true, role) => Some(role.word().to_owned()),
        (false, _) => Some(host.health.word().to_owned()),
    }
}

/// Has the pools led by what goes now.
async fn lead(fleet: &Fleet) {
    let (done, led) = oneshot::channel();
    fleet.tell(Errand::Lead(done));
    let _ = led.await;
}

/// Waits until nobody has a connection to the leader.
async fn drained(context: &Context, fleet: &Fleet, limit: Duration) -> Result<(), NotSwitched> {
    let end = Instant::now() + limit;
    loop {
        let count = context
            .console
            .servers
            .count(|via| via.leads && *via.cluster == *fleet.name);
        if count == 0 {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(NotSwitched::NotDrained {
                count,
                waited: limit,
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Has it promoted, where somebody is known who does that.
async fn promote(seen: &Seen, from: &Key, to: &Key) -> Result<(), NotSwitched> {
    let Promotion::By(promoter) = &seen.switchover.by else {
        return Ok(());
    };
    let located = |key: &Key| seen.hosts.get(key).map(|it| &it.located);
    let (Some(from), Some(next)) = (located(from), located(to)) else {
        return Ok(());
    };
    promoter
        .promote(from, next)
        .await
        .map_err(|cause| NotSwitched::PromotionFailed {
            key: to.clone(),
            cause,
        })
}

/// Waits until that host is the leader.
async fn promoted(fleet: &Arc<Fleet>, to: &Key, limit: Duration) -> Result<(), NotSwitched> {
    let mut changes = fleet.changes();
    let arrived = async {
        while changes.borrow_and_update().view.leader.key() != Some(to) {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let arrived = tokio::time::timeout(limit, arrived).await;
    arrived.map_err(|_| NotSwitched::NotPromoted {
        key: to.clone(),
        waited: limit,
    })
}
