//! Owns what a client's statements are judged with: the rules in force, and what is known of the client.

use super::Life;
use crate::cancel::Aim;
use crate::console;
use crate::control::Sleeper;
use crate::hold::Hold;
use crate::pump::unix_now_s;
use policy::throttle::Tried;
use policy::views::Sight;
use policy::{Context, Mode, Moment, Tls};
use session::ClientStream;
use session::fault::{Fault, FaultKind, Side};
use session::govern::Governor;
use session::statements::{self, Pooled};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

impl Life<'_> {
    /// Who judges the client's statements; `None` if there are no rules.
    pub(super) fn governor(&self, shown: &console::Client) -> Option<Governor> {
        let policy = self.setup.policy.as_ref()?;
        let rules = Arc::clone(&self.context.rules);
        let mut governor = Governor::new(rules, facts(shown), policy.message_bytes_max);
        let database = &shown.facts.database;
        if let Some(views) = self.context.catalogs.views(self.setup, database) {
            governor.watch(views);
        }
        Some(governor)
    }

    /// Lets a client that has proved who it is go on, in time, or says why not.
    pub(super) async fn may_connect(&self, shown: &console::Client) -> Result<(), Fault> {
        let (Some(rules), _) = self.context.rules.rules() else {
            return Ok(());
        };
        let context = facts(shown);
        for index in rules.on_connections(&context, Moment::of(unix_now_s())) {
            let (Some(rule), Some(lanes)) = (rules.rule(index), rules.lanes(index)) else {
                continue;
            };
            rules.count(&[index]);
            let key = lanes.throttle().per.key(&context, None);
            let wants = [0, 0, 0, 0, 1];
            let mut hold = self.hold(None);
            if rule.mode != Mode::Enforce || rules.learned().is_some() {
                drop(lanes.observe(&key, wants, hold.now_us()));
                continue;
            }
            let now_us = hold.now_us();
            let tried = poll_fn(|cx| Poll::Ready(lanes.enter(&key, wants, (now_us, cx.waker()))));
            let goes = match tried.await {
                Tried::Go(_) => true,
                Tried::Refused => false,
                Tried::Wait(mut waiting) => poll_fn(|cx| hold.poll_turn(cx, &mut waiting)).await,
            };
            if !goes {
                let name = &rule.name;
                let message = match rule.message.is_empty() {
                    true => format!("too many connections at once: refused by throttle \"{name}\""),
                    false => rule.message.clone(),
                };
                let rule = name.clone();
                return Err(Fault::new(
                    Side::Proxy,
                    FaultKind::Throttled { rule, message },
                ));
            }
        }
        Ok(())
    }
}

/// What rules may ask about a client.
fn facts(shown: &console::Client) -> Context {
    let facts = &shown.facts;
    Context {
        user: facts.user.clone(),
        role: facts.pool_user.clone(),
        database: facts.asked_for.clone(),
        application: facts.application_name.clone(),
        address: shown.at.peer.map(|it| it.ip()),
        tls: match &*facts.tls {
            "" => Tls::None,
            tls if tls.starts_with("TLSv1.3") => Tls::V1_3,
            _ => Tls::V1_2,
        },
        client_certificate: facts.has_certificate,
        views: Sight::Names,
    }
}

impl Life<'_> {
    /// What keeps the time for a governed client.
    pub(super) fn hold(&self, aim: Option<(Arc<Aim>, Arc<Sleeper>)>) -> Box<Hold> {
        let deadline = self.setup.timeouts.cancel;
        Box::new(Hold::new(self.context.born, aim, deadline))
    }

    /// The stream of a client that keeps its server connection, if its statements are judged: the names of its
    /// prepared statements are ours then, as in a pool, so that it is known what is executed.
    pub(super) fn governed_alone(&self, shown: &console::Client) -> Option<ClientStream> {
        let mut governor = self.governor(shown)?;
        governor.stays_alone();
        let interner = self.control.statements.clone();
        let limits = self.setup.sharing.statements;
        let mut pooled = Pooled::new(interner, limits, statements::Mode::Transaction);
        pooled.govern(governor);
        Some(ClientStream::pooled(self.setup.limits.pipeline_max, pooled))
    }
}
