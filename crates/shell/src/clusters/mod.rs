//! Owns what the proxy knows of the clusters that its databases follow: for each a [`Fleet`] that sessions look at,
//! and a task on a thread of its own that asks the hosts, decides, and leads the pools.
//!
//! Takes the setup's clusters and what sessions meet at the hosts; gives views, and pools that connect to the leader
//! of now. What is decided, and why, is told in crate `cluster`: here are only the sockets and the clock.

mod ask;
mod fleet;
mod keep;
mod lead;
mod reach;
mod switchover;
mod tell;

pub(crate) use fleet::{Errand, Fleet, Pick, Seen};
pub(crate) use reach::{Via, is_of_host, to_leader, to_standby, while_usable};
pub(crate) use switchover::switchover;

use crate::aside::Aside;
use crate::chance;
use crate::context::Context;
use crate::setup::{Host, Servers, Setup};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// All clusters that are followed.
#[derive(Default)]
pub(crate) struct Clusters(Mutex<HashMap<String, Arc<Fleet>>>);

impl Clusters {
    /// The cluster of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Fleet>> {
        self.lock().get(name).map(Arc::clone)
    }

    /// Hosts that can be asked anything that all of them know, in the order to try them.
    pub(crate) fn hosts(&self, servers: &Servers) -> Vec<Arc<Host>> {
        match servers {
            Servers::Listed(hosts) => hosts.clone(),
            Servers::Of(followed) => {
                let fleet = self.find(&followed.cluster);
                fleet.map(|it| it.seen().usable()).unwrap_or_default()
            }
        }
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Fleet>> {
        let mut all: Vec<_> = self.lock().values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Fleet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread on which clusters are kept; none before there is one.
#[derive(Default)]
pub(crate) struct Keeping(Mutex<Option<Aside>>);

impl Keeping {
    /// Follows the clusters of this setup from now on, and those of before no more.
    pub(crate) fn follow(&self, context: &Arc<Context>, setup: &Setup) -> std::io::Result<()> {
        let clusters = &context.clusters;
        let is_named = |name: &str| setup.clusters.iter().any(|it| it.name == name);
        clusters.lock().retain(|name, fleet| {
            let stays = is_named(name);
            if !stays {
                fleet.tell(Errand::End);
            }
            stays
        });
        for plan in &setup.clusters {
            if let Some(fleet) = clusters.find(&plan.name) {
                fleet.tell(Errand::Setup(Box::new(plan.clone())));
                continue;
            }
            let (tell, errands) = mpsc::unbounded_channel();
            let seed = u64::from_ne_bytes(chance::bytes().map_err(std::io::Error::other)?);
            let fleet = Arc::new(Fleet::new(plan, tell, seed));
            clusters
                .lock()
                .insert(plan.name.clone(), Arc::clone(&fleet));
            let kept = keep::keep(Arc::clone(context), fleet, plan.clone(), errands);
            self.spawn(kept)?;
        }
        Ok(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        let mut thread = self.lock();
        let aside = match &mut *thread {
            Some(aside) => aside,
            none => none.insert(Aside::begin("clusters")?),
        };
        aside.spawn(task);
        Ok(())
    }

    /// Ends all of it. Blocks for a moment.
    pub(crate) fn stop(&self) {
        let thread = self.lock().take();
        if let Some(thread) = thread {
            thread.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Aside>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
