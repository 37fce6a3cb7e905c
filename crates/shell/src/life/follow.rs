//! Owns where in a cluster a client gets its server connections: from the pool of the leader, or from the pool of the
//! standby that its database's wish leads to now. Waits where there is none.

use super::Life;
use super::member::Member;
use super::waiting::{LOOK, Meanwhile, Waiting, cancelled};
use crate::client::{ClientSide, Ending};
use crate::clusters::{Fleet, Pick, Seen, is_of_host};
use crate::console::Client;
use crate::exchange::{Leased, Place};
use crate::pump::unix_now_s;
use crate::rest::ServerSide;
use crate::setup::{Database, Servers, StatementRouting, WithoutPrimary};
use crate::socket::Socket;
use cluster::{Key, Wish};
use session::fault::{Fault, FaultKind, Side};
use session::routing::{self, Hint, Led, Route, Router, ToPrimary};
use session::wishes::Wishes;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How soon another host is tried where one could not be reached.
const AGAIN: Duration = Duration::from_millis(50);

/// What is waited for where none of the hosts will do.
const NO_HOST: &str = "waiting for a server of the cluster to connect to: no host that the database's target leads to \
                       can be used now (see SHOW HOSTS)";

/// A client whose server is found anew each time.
pub(super) struct Follows {
    fleet: Arc<Fleet>,
    wish: Wish,
    /// Looks at each request, where statements that only read may go to standbys.
    statements: Option<Box<Statements>>,
    /// Pools of standbys that it was led to, in this version of the cluster's view.
    visited: (u64, Vec<(Key, Where)>),
}

/// Where a client's statements go.
struct Statements {
    router: Router,
    led: Led,
    /// When it was last answered something that may have written.
    wrote: Option<Duration>,
    /// The request that is under way may write.
    may_write: bool,
}

impl Follows {
    /// Whether a request at a time has to be looked at.
    pub(super) fn looks_at_statements(&self) -> bool {
        self.statements.is_some()
    }

    /// Looks at the request at the front of what the client has sent: where it may go.
    pub(super) fn look(&mut self, client: &mut ClientSide, settings: &Wishes) {
        let Some(statements) = &mut self.statements else {
            return;
        };
        // Also takes the rules of now.
        if let Some(governor) = client.stream.governor()
            && governor.wants_time()
        {
            governor.tell_time(unix_now_s());
        }
        let hint = settings.value(routing::SETTING).and_then(Hint::parse);
        let input = client.port.plain_in.bytes();
        let route = match client.stream.statements() {
            Some(pooled) => statements
                .router
                .route(input, pooled, (hint, statements.led)),
            None => Route::Primary(ToPrimary::NotSeen),
        };
        statements.may_write = matches!(route, Route::Primary(_));
        self.wish = match route {
            Route::Primary(_) => Wish::Primary,
            Route::Standby(_) => Wish::PreferStandby,
        };
    }

    /// Its transaction is over, at a time of the clock of the views.
    pub(super) fn answered(&mut self, now: impl FnOnce() -> Duration) {
        if let Some(statements) = &mut self.statements
            && statements.may_write
        {
            statements.wrote = Some(now());
        }
    }

    /// The pool that its wish leads to now, if that is the leader's or one that it was led to before.
    /// Else the standby that it leads to, if any: so that its turn is not lost.
    pub(super) fn known_place(&mut self, leaders: &Where) -> Result<Where, Option<Pick>> {
        let seen = self.fleet.seen();
        match self.pick(&seen) {
            Pick::Leader => Ok(Arc::clone(leaders)),
            Pick::Standby(key) => {
                let is_known = self.visited.0 == seen.view.version;
                let mut visited = self.visited.1.iter().filter(|_| is_known);
                match visited.find(|it| it.0 == key) {
                    Some((_, place)) => Ok(Arc::clone(place)),
                    None => Err(Some(Pick::Standby(key))),
                }
            }
            Pick::Nobody => Err(None),
        }
    }

    fn visit(&mut self, version: u64, key: Key, place: &Where) {
        if self.visited.0 != version {
            self.visited = (version, Vec::new());
        }
        let visited = &mut self.visited.1;
        if !visited.iter().any(|it| it.0 == key) {
            visited.push((key, Arc::clone(place)));
        }
    }

    /// Where the wish leads now. Who has written reads where that has arrived: what the leader has written by the
    /// first answer that it gave to a question asked since is enough, and before there is one, only the leader will do.
    fn pick(&self, seen: &Seen) -> Pick {
        let wrote = self.statements.as_ref().and_then(|it| it.wrote);
        let Some(wrote) = wrote.filter(|_| self.wish != Wish::Primary) else {
            return self.fleet.pick(seen, self.wish, None);
        };
        let leader = seen.view.leader.key().and_then(|it| seen.view.host(it));
        match leader.and_then(|it| it.report.as_ref()) {
            Some((report, asked)) if *asked > wrote => {
                self.fleet.pick(seen, self.wish, Some(report.lsn))
            }
            _ => self.fleet.pick(seen, Wish::Primary, None),
        }
    }
}

/// Where a client gets a connection.
type Where = Arc<Place<Box<ServerSide>>>;

impl<'a> Life<'a> {
    /// How a client of this database finds its server; `None` if always in the same pool.
    /// `wish`: the session's own, which goes before the database's.
    pub(super) fn follows(&self, database: &Database, wish: Option<Wish>) -> Option<Follows> {
        let Servers::Of(followed) = &database.servers else {
            return None;
        };
        let fleet = self.context.clusters.find(&followed.cluster)?;
        let wish = wish.unwrap_or(followed.wish);
        let may_degrade = fleet.seen().without_primary == WithoutPrimary::ReadOnly;
        let led = match followed.reads {
            StatementRouting::Off => None,
            StatementRouting::Replicas => Some(Led::Reads),
            StatementRouting::Asked => Some(Led::Asked),
        };
        // Who wants others has chosen where all of its statements go.
        let led = led.filter(|_| wish == Wish::Primary);
        let statements = led.map(|led| {
            Box::new(Statements {
                router: Router::default(),
                led,
                wrote: None,
                may_write: false,
            })
        });
        let finds = wish != Wish::Primary || may_degrade || statements.is_some();
        finds.then_some(Follows {
            fleet,
            wish,
            statements,
            visited: (0, Vec::new()),
        })
    }

    /// The pool that a wish leads to now, if it leads anywhere; `picked`: what was found out about that already.
    pub(super) fn place_by_wish(
        &self,
        (follows, picked): (&mut Follows, Option<Pick>),
        database: &Database,
    ) -> Option<Where> {
        let (seen, patience) = (follows.fleet.seen(), self.setup.timeouts.query_wait);
        let exchange = &self.context.exchange;
        match picked.unwrap_or_else(|| follows.pick(&seen)) {
            Pick::Leader => Some(exchange.place(database, patience)),
            Pick::Standby(key) => {
                let reached = seen.hosts.get(&key)?;
                let place = exchange.place_at(database, (&key, &reached.busy), patience);
                follows.visit(seen.view.version, key, &place);
                Some(place)
            }
            Pick::Nobody => None,
        }
    }

    /// A server connection for the client's next transaction, wherever its wish leads. A host that can't be reached is
    /// left for another one: nothing of the client's was sent to it.
    pub(super) async fn acquire_by_wish(
        &self,
        member: &Member<'a>,
        (follows, mut picked): (&mut Follows, Option<Pick>),
        client: &mut ClientSide,
    ) -> Result<(Leased<Box<ServerSide>>, Box<ServerSide>), Ending> {
        let end = Instant::now() + self.setup.timeouts.query_wait;
        let since_us = self.context.console.now_us();
        let setup = self.context.live.snapshot();
        let Some(database) = setup.database(&member.way.database) else {
            let name = member.way.database.clone();
            let kind = FaultKind::UnknownDatabase { name };
            return Err(Ending::Fault(Fault::new(Side::Client, kind)));
        };
        loop {
            let mut changes = follows.fleet.changes();
            let place = self.place_by_wish((follows, picked.take()), database);
            let pause = match &place {
                Some(place) => {
                    match Box::pin(self.acquire_at(member, place, client)).await {
                        Err(Ending::Fault(fault)) if is_of_host(&fault) && Instant::now() < end => {
                        }
                        acquired => return acquired,
                    }
                    AGAIN
                }
                None => LOOK,
            };
            if Instant::now() >= end {
                return Err(Ending::Fault(no_host()));
            }
            let changed = async {
                let _ = tokio::time::timeout(pause, changes.changed()).await;
            };
            member.shown.waits(since_us);
            self.attend(member, client, changed).await?;
        }
    }

    /// The same for a client that logs in: what `connect` makes of the pool that its wish leads to.
    pub(super) async fn connect_by_wish<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        (shown, database, wish): (&Client, &Database, Option<Wish>),
        connect: impl Fn(Where) -> F,
    ) -> Result<T, Fault> {
        let patience = self.setup.timeouts.query_wait;
        let Some(mut follows) = self.follows(database, wish) else {
            return connect(self.context.exchange.place(database, patience)).await;
        };
        let end = Instant::now() + patience;
        let since_us = self.context.console.now_us();
        loop {
            let mut changes = follows.fleet.changes();
            let place = self.place_by_wish((&mut follows, None), database);
            let pause = match place {
                Some(place) => {
                    match Box::pin(connect(place)).await {
                        Err(fault) if is_of_host(&fault) && Instant::now() < end => {}
                        connected => return connected,
                    }
                    AGAIN
                }
                None => LOOK,
            };
            if Instant::now() >= end {
                return Err(no_host());
            }
            shown.waits(since_us);
            let _ = tokio::time::timeout(pause, changes.changed()).await;
        }
    }

    /// Waits for `done` as long as the client that logs in has not hung up.
    pub(super) async fn while_there<T>(
        &self,
        socket: &Socket,
        done: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let gone = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if socket.hung_up() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            done = done => done,
            () = gone => {
                let kind = FaultKind::Lost { truncated: true };
                Err(Fault::new(Side::Client, kind))
            }
        }
    }

    /// Waits for `done` as long as the client does: it may leave, cancel, or have to go.
    pub(super) async fn attend<T>(
        &self,
        member: &Member<'a>,
        client: &mut ClientSide,
        done: impl Future<Output = T>,
    ) -> Result<T, Ending> {
        let mut done = pin!(done);
        let mut waiting = Waiting::begin(member, client, self.control);
        client.watch.waits(true);
        let ended = poll_fn(|cx| {
            if let Poll::Ready(done) = done.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            match waiting.happened(cx, client) {
                Meanwhile::Nothing | Meanwhile::Second => Poll::Pending,
                Meanwhile::Cancelled => Poll::Ready(Err(cancelled())),
                Meanwhile::End(ending) => Poll::Ready(Err(ending)),
            }
        });
        let ended = ended.await;
        client.watch.waits(false);
        waiting.end(client);
        if ended.is_err() {
            member.shown.unlinked();
        }
        ended
    }
}

fn no_host() -> Fault {
    let setting = "query_wait_timeout";
    let phase = NO_HOST;
    Fault::new(Side::Proxy, FaultKind::Timeout { setting, phase })
}
