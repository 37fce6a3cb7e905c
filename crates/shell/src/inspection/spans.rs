//! Owns handing one client's statements on as spans.

use crate::setup::HostAddress;
use patterns::{Run, Who};
use session::inspect::{End, Record};
use std::sync::Arc;
use std::time::Duration;
use trace::{Ids, Place, Sender, Span};

/// Where a client's statements go as spans.
pub(super) struct Spans {
    to: Sender,
    ids: Ids,
    /// The server that was last used.
    place: Option<(HostAddress, Arc<Place>)>,
}

impl Spans {
    pub(super) fn new(to: Sender, seed: u64) -> Spans {
        Spans {
            to,
            ids: Ids::from_seed(seed),
            place: None,
        }
    }

    /// A statement ended at `day`, since 1970.
    pub(super) fn note(
        &mut self,
        completed: &Record,
        run: &Run,
        (who, server): (&Arc<Who>, &HostAddress),
        day: Duration,
    ) {
        let known = &completed.known;
        let parent = known.parent.as_deref().copied();
        let ended_us = u64::try_from(day.as_micros()).unwrap_or(u64::MAX);
        let returns = matches!(completed.command.as_str(), "SELECT" | "FETCH");
        let place = self.place(server);
        self.to.push(Span {
            parent,
            trace_id: match parent {
                Some(parent) => parent.trace_id,
                None => self.ids.trace(),
            },
            span_id: self.ids.span(),
            began_us: ended_us.saturating_sub(run.wait_us.saturating_add(run.server_us)),
            ended_us,
            pattern: Arc::clone(&known.pattern),
            who: Arc::clone(who),
            place,
            operation: completed.command.as_str().into(),
            sqlstate: completed.sqlstate,
            returned_rows: returns.then_some(completed.rows()),
            is_lost: completed.end == End::Lost,
        });
    }

    fn place(&mut self, server: &HostAddress) -> Arc<Place> {
        match &self.place {
            Some((known, place)) if known == server => Arc::clone(place),
            _ => {
                let place = Arc::new(match server {
                    HostAddress::Tcp(host, port) => Place {
                        host: host.as_str().into(),
                        port: Some(*port),
                    },
                    HostAddress::Unix(path) => Place {
                        host: path.display().to_string().into(),
                        port: None,
                    },
                });
                self.place = Some((server.clone(), Arc::clone(&place)));
                place
            }
        }
    }
}
