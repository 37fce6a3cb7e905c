//! Owns the looking up of clusters' members beside the proxy, and who promotes hosts: what the shell is told of
//! clusters whose members are not in the configuration.
//!
//! A thread of its own asks each source. What was found stays when a source fails, also across a reload.

use crate::material::{Attendant, CommandFault};
use crate::setup::cluster::located;
use config::{Config, Promotion};
use members::{Plan, Source};
use shell::setup::{self, Feed, Found, Located, MembersPlan, Promoted, Promoter, Setup};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

/// The sources that are asked now, and who runs the programs that promote hosts.
#[derive(Clone, Default)]
pub(crate) struct Feeds {
    asked: Arc<Mutex<Asked>>,
    attendant: Option<Arc<Mutex<Attendant>>>,
}

#[derive(Default)]
struct Asked {
    thread: Option<Thread>,
    by_cluster: HashMap<String, Asking>,
}

/// One source.
struct Asking {
    found: watch::Receiver<Option<Found>>,
    task: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The thread on which sources are asked.
struct Thread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    fn start() -> io::Result<Thread> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("members".to_owned())
            .spawn(move || drop(runtime.block_on(stopped)))?;
        Ok(Thread {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Feeds {
    /// With a process of its own for the switchover commands of this configuration, if it has any. While this process
    /// may still run programs, and has one thread.
    pub(crate) fn prepare(config: &Config) -> io::Result<Feeds> {
        let programs: Vec<_> = config
            .clusters
            .iter()
            .filter_map(|it| match &it.switchover.by {
                Promotion::Command(words) => Some(words.clone()),
                Promotion::Operator | Promotion::Patroni => None,
            })
            .collect();
        let attendant = match programs.is_empty() {
            true => None,
            false => Some(Arc::new(Mutex::new(Attendant::start(programs)?))),
        };
        Ok(Feeds {
            attendant,
            ..Feeds::default()
        })
    }

    /// Has the sources of this configuration asked from now on, and those of before no more; the setup learns where
    /// to hear of them, and who promotes hosts. `plans` are those of its clusters, in order.
    pub(crate) fn attach(
        &self,
        config: &Config,
        plans: Vec<Plan>,
        setup: &mut Setup,
    ) -> io::Result<()> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut asked.by_cluster);
        let clusters = config.clusters.iter().zip(plans);
        for ((entry, plan), told) in clusters.zip(&mut setup.clusters) {
            if let (Promotion::Patroni, Plan::Patroni(patroni)) = (&entry.switchover.by, &plan) {
                let promoter = Arc::new(ByPatroni(patroni.clone()));
                told.switchover.by = setup::Promotion::By(promoter);
            }
            if let Promotion::Command(words) = &entry.switchover.by {
                let promoter = Arc::new(ByCommand {
                    cluster: entry.name.clone(),
                    words: words.clone(),
                    timeout: entry.switchover.timeout,
                    attendant: self.attendant.clone(),
                });
                told.switchover.by = setup::Promotion::By(promoter);
            }
            if matches!(plan, Plan::Static(_)) {
                continue;
            }
            if asked.thread.is_none() {
                asked.thread = Some(Thread::start()?);
            }
            let Some(thread) = &asked.thread else {
                continue;
            };
            let known = before.remove(&entry.name);
            let known = known.and_then(|it| it.found.borrow().clone());
            let (tell, found) = watch::channel(known);
            let hurry = Arc::new(Notify::new());
            let asking = ask(entry.name.clone(), plan, tell, Arc::clone(&hurry));
            let task = thread.handle.spawn(asking).abort_handle();
            told.members = MembersPlan::Fed(Feed {
                found: found.clone(),
                hurry,
            });
            asked
                .by_cluster
                .insert(entry.name.clone(), Asking { found, task });
        }
        Ok(())
    }
}

/// Asks a source for as long as anybody hears of it.
async fn ask(cluster: String, plan: Plan, tell: watch::Sender<Option<Found>>, hurry: Arc<Notify>) {
    let mut source = Source::new(plan);
    let mut failed = false;
    loop {
        match source.next(&hurry).await {
            Ok(found) => {
                if std::mem::take(&mut failed) {
                    tracing::info!(target: "portcullis::clusters", cluster, "its members are known again");
                }
                let found = Found {
                    members: found.members.into_iter().map(located).collect(),
                    leader: found.leader,
                };
                tell.send_if_modified(|known| {
                    let is_news = known.as_ref() != Some(&found);
                    *known = Some(found);
                    is_news
                });
            }
            Err(fault) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(
                        target: "portcullis::clusters",
                        cluster,
                        "its members can't be looked up, those that were known stay: {fault}"
                    );
                }
            }
        }
    }
}

/// A program of the operator's.
struct ByCommand {
    cluster: String,
    words: Vec<String>,
    timeout: Duration,
    attendant: Option<Arc<Mutex<Attendant>>>,
}

impl Promoter for ByCommand {
    fn promote(&self, from: &Located, to: &Located) -> Promoted {
        let key = |it: &Located| it.member.key.as_str().to_owned();
        let values = [self.cluster.clone(), key(from), key(to)];
        let (words, timeout) = (self.words.clone(), self.timeout);
        let attendant = self.attendant.clone();
        let (done, ended) = oneshot::channel();
        // It waits for the program; the session that asked for it has others beside it on its thread.
        let started = std::thread::Builder::new()
            .name("switchover".to_owned())
            .spawn(move || {
                let run = attendant.ok_or(CommandFault::NotAtStart).and_then(|it| {
                    let mut attendant = it.lock().unwrap_or_else(PoisonError::into_inner);
                    let values: Vec<_> = values.iter().map(String::as_str).collect();
                    attendant.run_told(&words, timeout, &values).map(drop)
                });
                let _ = done.send(run);
            });
        Box::pin(async move {
            started.map_err(|error| error.to_string())?;
            let ended = ended.await.unwrap_or(Err(CommandFault::Unattended));
            ended.map_err(|fault| format!("switchover_command: {fault}"))
        })
    }
}

/// Patroni's API.
struct ByPatroni(members::Patroni);

impl Promoter for ByPatroni {
    fn promote(&self, from: &Located, to: &Located) -> Promoted {
        let patroni = self.0.clone();
        let (from, to) = (from.title.clone(), to.title.clone());
        Box::pin(async move {
            let promoted = patroni.switchover(&from, &to).await;
            promoted.map(drop).map_err(|fault| fault.to_string())
        })
    }
}
