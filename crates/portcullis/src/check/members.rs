//! Owns the question who belongs to a cluster, asked once of where that is kept.

use super::CheckFault;
use crate::output::say;
use config::Cluster;
use members::{Found, Plan, Source};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than any source takes that has an answer: several servers may be tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who belongs to it now.
pub(super) fn ask(cluster: &Cluster, plan: Plan) -> Result<Found, CheckFault> {
    let fault = |cause: String| CheckFault::Members {
        cluster: cluster.name.clone(),
        cause,
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| fault(error.to_string()))?;
    let (mut source, nobody) = (Source::new(plan), Notify::new());
    let found = runtime.block_on(async { timeout(PATIENCE, source.next(&nobody)).await });
    let found = found.map_err(|_| fault("no answer in time".to_owned()))?;
    let found = found.map_err(|why| fault(why.to_string()))?;
    let names: Vec<_> = found.members.iter().map(|it| it.key().as_str()).collect();
    let leader = found.leader.as_ref();
    let leader = leader.map_or_else(String::new, |it| format!("; {it} is named as the primary"));
    say(&format!(
        "\nserver leg: cluster {:?} has {}{leader}",
        cluster.name,
        names.join(", ")
    ));
    Ok(found)
}
