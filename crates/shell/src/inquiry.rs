//! Owns a small client that stays: it logs in once and asks one question after the other, for commands
//! that watch a proxy. Never for the data path.
//!
//! Takes a [`Host`](crate::setup::Host) and what proves a user, as a [`Probe`] does; gives
//! [`Listing`]s, the other side's [`Words`], or the fault that ended the connection. Each call blocks
//! until it is over, at most until its deadline.

use crate::chance;
use crate::derive::Deriver;
use crate::dial::{Dialled, ServerLogin, converse, dial, full};
use crate::port::Port;
use crate::probe::{Leg, Login, Probe, block_on, look, runtime, startup};
use crate::setup::TcpOptions;
use auth::{Acceptance, ServerUser};
use buf::Secret;
use session::farewell::TERMINATE;
use session::fault::Fault;
use session::listing::{Listing, Reading, Words};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Saying goodbye may take this long.
const CLOSE: Duration = Duration::from_millis(200);

/// A login that stays.
pub struct Inquiry {
    runtime: Runtime,
    port: Option<Port>,
    timeout: Duration,
    /// The leg.
    pub leg: Leg,
    /// What the other side asked for before it let us in.
    pub accepted: Acceptance,
}

impl Inquiry {
    /// Connects and logs in, under this `application_name`.
    pub fn open(probe: &Probe<'_>, login: Login<'_>, name: &str) -> Result<Inquiry, Fault> {
        let runtime = runtime()?;
        let startup = startup(&login, name)?;
        let user = ServerUser::configured(login.user);
        let hosts = [Arc::new(probe.host.clone())];
        let secret = Secret::new(&chance::bytes::<32>()?);
        let deriver = Deriver::new(1, secret, Arc::default());
        let options = TcpOptions::default();
        let login = ServerLogin {
            user: &user,
            credential: login.credential,
            startup: &startup,
        };
        let dialled = dial(&hosts, &options, &deriver, login);
        let Dialled { port, accepted, .. } = block_on(&runtime, probe.timeout, dialled)?;
        let leg = look(&port);
        Ok(Inquiry {
            runtime,
            port: Some(port),
            timeout: probe.timeout,
            leg,
            accepted: accepted.how(),
        })
    }

    /// Asks one question. After a fault the connection is gone.
    pub fn ask(&mut self, sql: &str) -> Result<Result<Listing, Words>, Fault> {
        let Some(mut port) = self.port.take() else {
            return Err(Fault::new(
                session::fault::Side::Server,
                session::fault::FaultKind::Lost { truncated: false },
            ));
        };
        let asked = block_on(&self.runtime, self.timeout, async {
            let mut reading = Reading::default();
            full(Reading::ask(sql, port.room()).map(|it| reading = it))?;
            converse(&mut port, |input, _| reading.step(input)).await
        })?;
        self.port = Some(port);
        Ok(asked)
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        let Some(mut port) = self.port.take() else {
            return;
        };
        self.runtime.block_on(async {
            // What the other side makes of a goodbye is not ours to know.
            let _ = port.room().push(TERMINATE);
            let _ = tokio::time::timeout(CLOSE, port.close()).await;
        });
    }
}
