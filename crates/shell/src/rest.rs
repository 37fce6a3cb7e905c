//! Owns a server connection as it goes from client to client: what stays with it, its reset, its rest
//! without a buffer of its own, and the look at it before somebody else gets it.
//!
//! A connection in doubt never rests: whatever is not a plain success on the way closes it.

use crate::cancel::Target;
use crate::clusters::Via;
use crate::dial::{Dialled, converse, full};
use crate::exchange::Fate;
use crate::flow::Flow;
use crate::leg::Summary;
use crate::lend;
use crate::port::{Arrived, Port};
use crate::setup::{Host, TcpOptions};
use auth::Accepted;
use buf::Plain;
use pool::Home;
use session::fault::{Fault, FaultKind, Side};
use session::lending::{self, Asked, Asking, Awaiting, Wanted};
use session::login::Welcome;
use session::relay::{self, Relayed};
use session::reset::Reset;
use session::{ClientStream, Server, Traffic};
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wire::startup::StartupMessage;

/// How soon a talk with a server that was given up ends.
const LOOK: Duration = Duration::from_millis(100);

/// How long a connection rests before another worker that takes it over asks the kernel whether something came: within
/// less, its own worker would not have noticed either.
const LONG_ENOUGH: Duration = Duration::from_millis(5);

/// What two clients must have in common to use the same connection one after the other: all that
/// its startup packet said (role, database, every parameter). RESET returns to those values.
///
/// A keyed hash: the parameters may come from clients, and are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// For tests.
    #[cfg(test)]
    pub const fn of_bytes(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    /// The key of connections that begin with this packet; `secret` is the process's own. Those that
    /// serve whole sessions and those that are shared are kept apart: a reset means another thing.
    pub fn of(startup: &StartupMessage, shared: bool, secret: &[u8; 32]) -> Result<Key, Fault> {
        let mut packet = Plain::none();
        lend::borrow_plain(&mut packet);
        full(startup.encode(&mut packet))?;
        let mut hash = openssl::sha::Sha256::new();
        hash.update(secret);
        hash.update(&[u8::from(shared)]);
        hash.update(packet.bytes());
        packet.clear();
        lend::give_back_plain(&mut packet);
        Ok(Key(hash.finish()))
    }
}

/// How long connections rest and live.
#[derive(Debug, Clone, Copy)]
pub struct RestRules {
    /// Connections of a database that may rest (`server_idle_max`); 0: none.
    pub resting_max: usize,
    /// How long one may rest (`server_idle_timeout`); `None`: without a limit.
    pub rest_max: Option<Duration>,
    /// How old one may become (`server_lifetime`); zero: it serves one client.
    pub lifetime: Duration,
    /// After how much rest it has to answer before it is lent (`server_check_delay`).
    pub check_after: Duration,
}

/// A server connection with all that goes with it from client to client.
pub struct ServerSide {
    /// Our end.
    pub port: Port,
    /// Its state.
    pub server: Server,
    /// What the server asked for at the login.
    pub accepted: Accepted,
    /// The leg in words: for the console and for the log.
    pub leg: (Box<str>, Cow<'static, str>),
    /// Where it is.
    pub host: Arc<Host>,
    /// For what in a cluster it was made, if for any.
    pub(crate) via: Option<Box<Via>>,
    /// When it was made.
    pub born: Instant,
    /// Where a cancel of what it does is to be sent; some servers have no key.
    pub target: Option<Arc<Target>>,
    /// The worker whose runtime watches its socket.
    pub home: Home,
    /// When it is too old to rest on.
    old_at: Option<Instant>,
    since: Instant,
    memory: Memory,
    /// How both sides are listened to while it is lent, if some of what comes may be a stream.
    pub(crate) flow: Option<Box<Flow>>,
}

/// What a connection at rest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// All that it needs while it works.
    Warm,
    /// It has been looked at once since it came to rest.
    Cooling,
    /// As little as possible.
    Cold,
}

impl ServerSide {
    /// A new connection, and what its server said at the login.
    pub fn new(
        mut dialled: Dialled,
        tcp: &Arc<TcpOptions>,
        home: Home,
    ) -> (Box<ServerSide>, Welcome) {
        let now = Instant::now();
        let key = dialled.server.key.take().map(|it| *it);
        let traffic = &dialled.server.traffic;
        let target =
            key.map(|key| Target::new(dialled.host.clone(), Arc::clone(tcp), (key, traffic)));
        let side = ServerSide {
            port: dialled.port,
            server: dialled.server,
            accepted: dialled.accepted,
            leg: (
                crate::console::tls(&dialled.leg).into(),
                Summary(&dialled.leg).words(),
            ),
            host: dialled.host,
            via: dialled.via.map(Box::new),
            born: now,
            target: target.map(Arc::new),
            home,
            old_at: None,
            since: now,
            memory: Memory::Warm,
            flow: None,
        };
        (Box::new(side), dialled.welcome)
    }

    /// The server process; 0 if it has not said.
    pub fn pid(&self) -> u32 {
        self.target.as_ref().map_or(0, |it| it.pid())
    }

    /// Makes it as it was after its login; the caller holds the deadline.
    pub async fn reset(&mut self) -> Result<(), Fault> {
        let mut reset = {
            let mut begun = None;
            let begin = Reset::begin(&mut self.server, self.port.room());
            full(begin.map(|reset| begun = Some(reset)))?;
            begun.unwrap_or_default()
        };
        let traffic = Arc::clone(&self.server.traffic);
        let server = &mut self.server;
        server.traffic.set_tested(true);
        let asked = converse(&mut self.port, |input, _| reset.step(server, input));
        let done = unless_cut(&traffic, asked).await;
        self.server.traffic.set_tested(false);
        done?;
        match self.port.is_quiet() {
            true => Ok(()),
            false => Err(lost()),
        }
    }

    /// To be called when its client is done with it; how old it may become.
    pub fn rest(&mut self, now: Instant, lifetime: Duration) {
        debug_assert!(self.flow.is_none(), "its socket may ring for parts alone");
        self.old_at = self.born.checked_add(lifetime);
        let age = now.saturating_duration_since(self.born).as_secs();
        let age_s = u32::try_from(age).unwrap_or(u32::MAX);
        self.server.traffic.freed(age_s);
        self.server.traffic.holds(self.server.statements.len());
        self.port.rest();
        self.since = now;
        self.memory = Memory::Warm;
    }

    /// Whether the peer has hung up, or nobody may get it any more, or it is too old. One that has been asked before hands
    /// back its memory.
    pub fn fate(&mut self, now: Instant) -> Fate {
        self.memory = match self.memory {
            Memory::Warm => Memory::Cooling,
            Memory::Cooling | Memory::Cold => {
                if self.memory == Memory::Cooling {
                    self.port.hibernate();
                }
                Memory::Cold
            }
        };
        if self.server.traffic.close_needed() || self.port.socket.hung_up() {
            return Fate::IsGone;
        }
        match self.old_at.is_some_and(|old_at| now >= old_at) {
            true => Fate::IsOld,
            false => Fate::Rests,
        }
    }

    /// True if it can be lent on worker `home` at `now` as it is.
    pub fn is_ready(&mut self, home: Home, check_after: Duration, now: Instant) -> bool {
        self.home == home
            && !self.port.has_news()
            && now.saturating_duration_since(self.since) < check_after
    }

    /// Makes it ready for a client on worker `home`, or says why it can't be used; the caller holds
    /// the deadline. A connection that comes from another worker costs two system calls, and a third one if it has
    /// rested for a while.
    pub async fn wake(
        mut self: Box<Self>,
        home: Home,
        check_after: Duration,
    ) -> Result<Box<ServerSide>, Fault> {
        if self.server.traffic.close_needed() {
            return Err(lost());
        }
        // The runtime has noted what came, without a question to the kernel. Another worker's may be held up.
        let is_elsewhere = self.home != home;
        let is_long = || self.since.elapsed() >= LONG_ENOUGH;
        let has_news =
            self.port.has_news() || is_elsewhere && is_long() && self.port.socket.is_readable();
        if is_elsewhere {
            self.port = self.port.move_here()?;
            self.home = home;
        }
        if has_news {
            news(&mut self.port, &mut self.server).await?;
        }
        if !check_after.is_zero() && self.since.elapsed() < check_after {
            return Ok(self);
        }
        self.check().await?;
        Ok(self)
    }

    /// Asks the server for an answer, nothing else; the caller holds the deadline. A cancel request
    /// that it had not noticed yet finds nothing to cancel then.
    pub async fn check(&mut self) -> Result<(), Fault> {
        let mut check = Reset::check(&mut self.server, self.port.room()).map_err(|_| lost())?;
        let traffic = Arc::clone(&self.server.traffic);
        let server = &mut self.server;
        server.traffic.set_tested(true);
        let asked = converse(&mut self.port, |input, _| check.step(server, input));
        let done = unless_cut(&traffic, asked).await;
        self.server.traffic.set_tested(false);
        done
    }

    /// Brings it to where a client wants it whose wishes nobody has tried yet; the server may refuse
    /// them, and is then as it was. The caller holds the deadline.
    pub async fn try_on(&mut self, wanted: &Wanted) -> Result<(), Fault> {
        let before = self.server.standing.clone();
        let begun = lending::try_on(&mut self.server, wanted, self.port.room());
        if full_of(begun)?
            && let Err(fault) = self.settle().await
        {
            self.server.standing = before;
            return Err(fault);
        }
        Ok(())
    }

    /// Takes in the answers to what was put in front of a client's messages.
    pub async fn settle(&mut self) -> Result<(), Fault> {
        let mut awaiting = Awaiting::default();
        let traffic = Arc::clone(&self.server.traffic);
        let server = &mut self.server;
        let answers = converse(&mut self.port, |input, _| awaiting.step(server, input));
        unless_cut(&traffic, answers).await
    }

    /// Asks what became of the session's parameters; the caller holds the deadline.
    pub async fn ask(&mut self, wanted: &mut Wanted) -> Result<Asked, Fault> {
        let begun = Asking::begin(&mut self.server, wanted, self.port.room());
        let Some(mut asking) = full_of(begun)? else {
            return Ok(Asked::Known);
        };
        let traffic = Arc::clone(&self.server.traffic);
        let server = &mut self.server;
        let answer = converse(&mut self.port, |input, _| asking.step(server, input));
        match unless_cut(&traffic, answer).await? {
            Asked::Known => Ok(asking.finish(&mut self.server, wanted)),
            Asked::Unknown => Ok(Asked::Unknown),
        }
    }

    /// Applies the wishes of the client that has it again, where a RESET led elsewhere; the caller holds
    /// the deadline. True if there was something to do.
    pub async fn restore(&mut self, wanted: &Wanted) -> Result<bool, Fault> {
        let put = lending::restore(&mut self.server, wanted, self.port.room());
        let put = full_of(put)?;
        if put {
            self.settle().await?;
        }
        Ok(put)
    }

    /// Takes in, and throws away, what the server still says to a client that is gone, until it waits for
    /// that client; the caller holds the deadline, and may call it again after it.
    pub async fn drain(&mut self, stream: &mut ClientStream) -> Result<(), Fault> {
        const BYTES_MAX: u64 = 8 << 20;
        let most = self.port.bytes_in + BYTES_MAX;
        let mut scrap = Plain::none();
        loop {
            lend::borrow_plain(&mut scrap);
            lend::borrow_plain(&mut self.port.plain_in);
            let input = &mut self.port.plain_in;
            let relayed = relay::to_client(stream, &mut self.server, input, &mut scrap);
            scrap.clear();
            lend::give_back_plain(&mut scrap);
            self.port.rest();
            if relayed? == Relayed::ServerEnding || self.port.bytes_in > most {
                return Err(lost());
            }
            if self.server.ledger.awaits_client() && self.server.between_frames() {
                return Ok(());
            }
            self.port.send().await?;
            if let Arrived::End(_) = self.port.receive().await? {
                return Err(lost());
            }
        }
    }

    /// What a client is to be told that gets this connection after somebody else.
    pub fn welcome(&self) -> Result<Welcome, Fault> {
        let mut welcome = Plain::none();
        lend::borrow_plain(&mut welcome);
        full(self.server.reported.put(&mut welcome))?;
        Ok(Welcome(welcome))
    }

    /// Says goodbye; the caller holds the deadline.
    pub async fn close(self) {
        if let Ok(mut port) = self.port.move_here() {
            let _ = port.room().push(session::farewell::TERMINATE);
            port.close().await;
        }
    }
}

/// What is talked with a server, until that is given up as one of a cluster: it may hang, or the network hide it, and
/// whoever waits could go on elsewhere.
async fn unless_cut<T>(
    traffic: &Traffic,
    talk: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut talk = pin!(talk);
    loop {
        match tokio::time::timeout(LOOK, &mut talk).await {
            Ok(done) => return done,
            Err(_) if traffic.is_cut() => return Err(lost()),
            Err(_) => {}
        }
    }
}

/// Takes in what has come while it rested: the first read is worth waiting for, as the kernel says
/// that there is something; then whatever else is there.
async fn news(port: &mut Port, server: &mut Server) -> Result<(), Fault> {
    let mut arrived = Some(port.receive().await);
    while let Some(news) = arrived {
        match news? {
            Arrived::Bytes => server.rested(&mut port.plain_in)?,
            Arrived::End(_) => return Err(lost()),
        }
        port.rest();
        arrived = poll_fn(|cx| match port.poll_receive(cx) {
            Poll::Ready(arrived) => Poll::Ready(Some(arrived)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
    }
    Ok(())
}

fn full_of<T>(result: Result<T, buf::Full>) -> Result<T, Fault> {
    result.map_err(|_| {
        let kind = FaultKind::NotRestored;
        Fault::new(Side::Proxy, kind)
    })
}

fn lost() -> Fault {
    Fault::new(Side::Server, FaultKind::Lost { truncated: false })
}
