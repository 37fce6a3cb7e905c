//! Owns the leading of pools by what is known of a cluster: the pools of the leader connect to the one of now, and
//! connections to hosts that are not what they were taken for any more are given up.

use super::fleet::{Fleet, Seen};
use super::reach::Via;
use crate::context::Context;
use crate::setup::Servers;
use cluster::{Key, Role};

/// Has every pool that follows this cluster connect to where it now belongs. Sessions see the new view already: who
/// dials from here on finds the new leader, and who has dialled finds that its pool's generation is over. `led` is the
/// version of the view that this was last done for.
pub(super) fn pools(context: &Context, fleet: &Fleet, led: &mut u64) {
    let setup = context.live.snapshot();
    let seen = fleet.seen();
    let leader = fleet.leader(&seen).map(|(key, _)| key);
    let follows = |servers: &Servers| match servers {
        Servers::Of(followed) => followed.cluster == fleet.name,
        Servers::Listed(_) => false,
    };
    let mut was_led = false;
    for database in setup.databases.iter().filter(|it| follows(&it.servers)) {
        let place = context.exchange.place(database, setup.timeouts.query_wait);
        if let Some(closed) = place.follow(leader.clone()) {
            was_led = true;
            drop(closed);
        }
    }
    // Nothing else is looked at while all stays as it is.
    if was_led || *led != seen.view.version {
        *led = seen.view.version;
        give_up(context, &fleet.name, &seen);
        // Hosts come and go for as long as the proxy runs; their pools are not to pile up.
        let led_here = setup.databases.iter().filter(|it| follows(&it.servers));
        let names: Vec<_> = led_here.map(|it| &it.name).collect();
        let is_left = |name: &Option<String>, key: &Key| {
            names.contains(&name) && seen.view.host(key).is_none()
        };
        drop(context.exchange.leave(is_left));
    }
}

/// Cuts the connections to hosts that are no more what they were made for, and wakes those who have them.
fn give_up(context: &Context, cluster: &str, seen: &Seen) {
    let is_over = |via: &Via| &*via.cluster == cluster && is_over(seen, via);
    for number in context.console.servers.cut(is_over) {
        if let Some(client) = context.console.clients.find(number) {
            client.wake();
        }
    }
}

/// True if a connection that was made by this way must not be used any more.
pub(super) fn is_over(seen: &Seen, via: &Via) -> bool {
    match via {
        Via {
            leads: true, key, ..
        } => seen.view.leader.key() != Some(key),
        Via { key, .. } => !is_read_from(seen, key),
    }
}

/// A standby that was promoted may be read from as it was; one that is refused or dead may not.
fn is_read_from(seen: &Seen, key: &Key) -> bool {
    let host = seen.view.host(key);
    host.is_some_and(|it| it.health.is_up() && !matches!(it.role, Role::Refused(_)))
}
