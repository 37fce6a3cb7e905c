//! Owns what becomes of a server connection between two clients: it is reset, parked without a
//! thread or buffer of its own, and looked at before somebody else gets it.
//!
//! A connection in doubt never rests: whatever is not a plain success on the way closes it.

use crate::dial::{Dialled, converse, full};
use crate::lend;
use crate::port::{Arrived, Parked, Port};
use crate::setup::Host;
use auth::{Accepted, LegFacts};
use buf::Plain;
use session::Server;
use session::fault::{Fault, FaultKind, Side};
use session::login::Welcome;
use session::reset::Reset;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wire::startup::StartupMessage;

/// What two clients must have in common to use the same connection one after the other: all that
/// its startup packet said (role, database, every parameter). RESET returns to those values.
///
/// A keyed hash: the parameters may come from clients, and are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// For tests.
    #[cfg(test)]
    pub const fn of_bytes(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    /// The key of connections that begin with this packet; `secret` is the process's own.
    pub fn of(startup: &StartupMessage, secret: &[u8; 32]) -> Result<Key, Fault> {
        let mut packet = Plain::none();
        lend::borrow_plain(&mut packet);
        full(startup.encode(&mut packet))?;
        let mut hash = openssl::sha::Sha256::new();
        hash.update(secret);
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

/// A server connection that nobody uses.
pub struct Resting {
    port: Parked,
    server: Server,
    accepted: Accepted,
    leg: LegFacts,
    host: Arc<Host>,
    born: Instant,
    since: Instant,
}

/// What stays with a connection while clients come and go.
pub struct Kept {
    /// What the server asked for at the login.
    pub accepted: Accepted,
    /// The leg's facts.
    pub leg: LegFacts,
    /// Where it is.
    pub host: Arc<Host>,
    /// When it was made.
    pub born: Instant,
}

impl Resting {
    /// Resets a connection and parks it; the caller holds the deadline.
    pub async fn after_reset(
        mut port: Port,
        mut server: Server,
        kept: Kept,
    ) -> Result<Resting, Fault> {
        let mut reset = {
            let mut begun = None;
            let begin = Reset::begin(&mut server, port.room());
            full(begin.map(|reset| begun = Some(reset)))?;
            begun.unwrap_or_default()
        };
        converse(&mut port, |input, _| reset.step(&mut server, input)).await?;
        port.hibernate();
        let Kept {
            accepted,
            leg,
            host,
            born,
        } = kept;
        Ok(Resting {
            port: port.park()?,
            server,
            accepted,
            leg,
            host,
            born,
            since: Instant::now(),
        })
    }

    /// True if the peer has hung up.
    pub fn is_gone(&self) -> bool {
        self.port.hung_up()
    }

    /// Makes it ready for a client on this worker, or says why it can't be used; the caller holds
    /// the deadline.
    pub async fn wake(self, check_after: Duration) -> Result<(Dialled, Instant), Fault> {
        let Resting {
            port,
            mut server,
            accepted,
            leg,
            host,
            born,
            since,
        } = self;
        let has_news = port.has_news();
        let mut port = port.wake()?;
        if has_news {
            news(&mut port, &mut server).await?;
        }
        if since.elapsed() >= check_after {
            let mut check = Reset::check(&mut server, port.room()).map_err(|_| lost())?;
            converse(&mut port, |input, _| check.step(&mut server, input)).await?;
        }
        let mut welcome = Plain::none();
        lend::borrow_plain(&mut welcome);
        full(server.reported.put(&mut welcome))?;
        let dialled = Dialled {
            port,
            server,
            welcome: Welcome(welcome),
            accepted,
            leg,
            host,
        };
        Ok((dialled, born))
    }

    /// Says goodbye; the caller holds the deadline.
    pub async fn close(self) {
        if let Ok(mut port) = self.port.wake() {
            let _ = port.room().push(session::farewell::TERMINATE);
            port.close().await;
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

fn lost() -> Fault {
    Fault::new(Side::Server, FaultKind::Lost { truncated: false })
}
