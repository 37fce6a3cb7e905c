//! Owns giving the events of one client's statements their times, and handing them on.

use super::Watched;
pub(crate) use super::activity::Waits;
use super::activity::{Activity, Running};
use super::clock::{Clock, Second};
use super::logbook::{LogRules, Logbook, Moment, Times};
use super::spans::Spans;
use crate::cancel::Target;
use crate::console;
use crate::rest::ServerSide;
use crate::setup::HostAddress;
use crate::stopwatch::{Row, Stopwatch};
use journal::{Pushed, Ticket};
use patterns::{Run, Who};
use policy::Log;
use session::Server;
use session::fault::{Fault, FaultKind, Side};
use session::inspect::{End, Event, Inspection, Inspector, Notes, Record, Refused};
use session::ledger::Status;
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::time::Sleep;

/// The server that statements go to.
struct At<'a> {
    server: &'a HostAddress,
    target: Option<&'a Target>,
}

impl At<'_> {
    fn server_pid(&self) -> u32 {
        self.target.map_or(0, Target::pid)
    }

    /// A moment of a statement that went there.
    fn moment<'m>(&'m self, record: &'m Record, at: Instant, clock: &'m Clock) -> Moment<'m> {
        Moment {
            at,
            clock,
            known: &record.known,
            protocol: Some(record.protocol),
            number: Some(record.number),
            server_pid: self.server_pid(),
            server: self.server,
            is_full: record.log == Log::Full,
        }
    }
}

/// The present moment, which is looked for once, and where somebody wants it.
struct Now<'a> {
    /// It knows it.
    stopwatch: Option<&'a Stopwatch>,
    read: Option<Instant>,
}

impl Now<'_> {
    #[inline]
    fn get(&mut self) -> Instant {
        match self.stopwatch {
            Some(stopwatch) => stopwatch.last(),
            None => *self.read.get_or_insert_with(Instant::now),
        }
    }
}

/// Where a client's statements go.
#[derive(Clone, Copy)]
pub(crate) struct Wishes<'a> {
    /// To the log.
    pub(crate) log: Option<&'a LogRules>,
    /// As spans.
    pub(crate) spans: Option<&'a trace::Sender>,
    /// Random, where there is either: which are of the sample, and the numbers of spans.
    pub(crate) seed: u64,
}

/// Follows one client's statements.
pub struct Tracker {
    worker: Arc<Watched>,
    shown: Arc<console::Client>,
    /// What is shown of its statements.
    activity: Arc<Activity>,
    who: (Arc<Who>, u64),
    /// The number of the statement that is shown as under way; 0: none is.
    shows: u64,
    /// Start records that have to be written before their statements go to the server, by the numbers of those.
    tickets: VecDeque<(u64, Ticket)>,
    /// The number of the statement that began last.
    last_started: u64,
    /// The wait for the present server connection, in microseconds, until a statement has taken it for its own.
    wait_us: u64,
    /// When the last one ended.
    last: Instant,
    second: Second,
    /// Whether the client's transaction is shown to stand still.
    stands: bool,
    log: Option<Box<Logbook>>,
    spans: Option<Box<Spans>>,
    /// Bytes of texts and of values that are kept for the log.
    keep: (usize, usize),
    /// A record found no room, and so the session must not go on.
    refused: bool,
    /// The record that waits for room is that of a start.
    full_start: bool,
    /// The start record that has to be written before anything more goes to the server; those up to the second are.
    awaits: Option<Ticket>,
    written: Option<Ticket>,
    /// Ends the wait for that, where it has an end. Kept for the next one.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Tracker {
    /// For a client that has just come in.
    pub(crate) fn new(
        worker: Arc<Watched>,
        shown: Arc<console::Client>,
        wishes: Wishes<'_>,
    ) -> Tracker {
        let Wishes { log, spans, seed } = wishes;
        let facts = &shown.facts;
        let who = Who {
            database: (*facts.database).into(),
            role: (*facts.user).into(),
            application: (*facts.application_name).into(),
        };
        let key = worker.table().key_of(&who);
        let keep = log.map_or((0, 0), Logbook::keeps);
        let log = log.map(|rules| Box::new(Logbook::new(rules.clone(), &shown, seed)));
        Tracker {
            worker,
            activity: Arc::clone(shown.activity.get_or_init(Arc::default)),
            shown,
            who: (Arc::new(who), key),
            shows: 0,
            tickets: VecDeque::new(),
            last_started: 0,
            wait_us: 0,
            last: Instant::now(),
            second: Second::default(),
            stands: false,
            log,
            spans: spans.map(|to| Box::new(Spans::new(to.clone(), seed))),
            keep,
            refused: false,
            full_start: false,
            awaits: None,
            written: None,
            patience: None,
        }
    }

    /// How the client's statements are to be looked at.
    pub(crate) fn inspection(&self) -> Inspection {
        Inspection {
            recogniser: self.worker.recogniser.clone(),
            keep_text: self.keep.0,
            keep_values: self.keep.1,
            traces: self.spans.is_some(),
        }
    }

    /// A server connection was lent after a wait of so many microseconds.
    pub(crate) fn lent(&mut self, wait_us: u64) {
        self.wait_us = wait_us;
    }

    /// Bytes have passed in either direction; `stopwatch` has been told.
    #[inline]
    pub(crate) fn moved(&mut self, side: &mut ServerSide, stopwatch: &Stopwatch) {
        let Some(inspector) = &mut side.server.inspector else {
            return;
        };
        if inspector.has_events() {
            self.drain(side, stopwatch);
        } else if let Some(progress) = inspector.progress() {
            self.activity.passed(progress);
        }
    }

    /// True if a record found no room, where the session must not go on then (`on_full = "refuse"`).
    #[inline]
    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    /// True if nothing may go to the server before [`poll_held`](Self::poll_held) is ready.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.awaits.is_some() || self.is_full()
    }

    /// True if statements lie there that the server must never get: their start records are not written.
    pub(crate) fn withholds(&self) -> bool {
        self.awaits.is_some()
    }

    /// True if no statement is to begin at present.
    pub(crate) fn log_refuses(&self) -> bool {
        self.log.as_ref().is_some_and(|it| it.refuses())
    }

    /// Ready once all records have found room, and start records that are waited for are written.
    pub(crate) fn poll_held(
        &mut self,
        cx: &mut Context<'_>,
        side: &mut ServerSide,
        stopwatch: &Stopwatch,
    ) -> Poll<Result<(), Fault>> {
        ready!(self.poll_room(cx, side, stopwatch));
        let fault = |kind| Poll::Ready(Err(Fault::new(Side::Proxy, kind)));
        if self.refused {
            return fault(FaultKind::LogFull);
        }
        let (Some(ticket), Some(log)) = (self.awaits, &mut self.log) else {
            return Poll::Ready(Ok(()));
        };
        match log.poll_written(ticket, cx) {
            Poll::Ready(Ok(())) => {
                (self.awaits, self.written) = (None, Some(ticket));
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(_)) => fault(FaultKind::Unlogged),
            Poll::Pending => match self.patience.as_mut().map(|it| it.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => fault(FaultKind::Unlogged),
                _ => Poll::Pending,
            },
        }
    }

    /// Ready once all records of what has happened have found room, or are lost.
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        side: &mut ServerSide,
        stopwatch: &Stopwatch,
    ) -> Poll<()> {
        while let Some(log) = self.log.as_mut().filter(|it| it.is_pending()) {
            let pushed = ready!(log.poll_room(cx));
            self.pushed(pushed, self.full_start);
            self.moved(side, stopwatch);
        }
        Poll::Ready(())
    }

    /// A record waits for room, and with it whatever comes after.
    #[inline]
    fn is_full(&self) -> bool {
        self.log.as_ref().is_some_and(|it| it.is_pending())
    }

    /// What became of a record, which may be that of a statement's start.
    fn pushed(&mut self, pushed: Pushed, is_start: bool) {
        match pushed {
            Pushed::Refused => self.refused = true,
            Pushed::Full => self.full_start = is_start,
            Pushed::Taken(ticket) if is_start => self.begins(ticket),
            Pushed::Taken(_) | Pushed::Dropped => {}
        }
    }

    /// A start record was handed over, which the statement has to wait for where that is wanted.
    fn waits_for(&mut self, ticket: Ticket) {
        let Some(before) = self.log.as_ref().and_then(|it| it.before()) else {
            return;
        };
        if let (None, Some(limit)) = (self.awaits, before.patience) {
            let end = tokio::time::Instant::now() + limit;
            match &mut self.patience {
                Some(sleep) => sleep.as_mut().reset(end),
                none => *none = Some(Box::pin(tokio::time::sleep_until(end))),
            }
        }
        self.awaits = Some(ticket);
    }

    /// The session has nothing to do until this has happened.
    #[inline]
    pub(crate) fn sleeps(&mut self, waits: Waits, server: &Server) {
        self.activity.waits(waits);
        let is_idle = |it: &Inspector| it.running() == 0;
        let stands =
            server.status != Status::Idle && server.inspector.as_deref().is_none_or(is_idle);
        if stands != self.stands {
            self.stands = stands;
            let since_us = match stands {
                true => self.shown.at_us(self.last),
                false => 0,
            };
            self.activity.stands(since_us);
        }
    }

    /// The client has no server connection any more; whatever was under way there is lost. Waits for room for the
    /// records that tell so, where records wait for room.
    pub(crate) async fn ends(&mut self, side: &mut ServerSide, stopwatch: &Stopwatch) {
        if let Some(inspector) = &mut side.server.inspector {
            inspector.lost();
        }
        self.moved(side, stopwatch);
        if self.is_held() {
            poll_fn(|cx| self.poll_room(cx, side, stopwatch)).await;
        }
        self.awaits = None;
        self.tickets.clear();
        (self.shows, self.stands) = (0, false);
        self.activity.stands(0);
        self.activity.ends();
    }

    fn drain(&mut self, side: &mut ServerSide, stopwatch: &Stopwatch) {
        let Server {
            inspector: Some(inspector),
            ledger,
            ..
        } = &mut side.server
        else {
            return;
        };
        let at = At {
            server: &side.host.address,
            target: side.target.as_deref(),
        };
        let mut now = Now {
            // It has just looked at the clock where an answer is complete, or a request new.
            stopwatch: ledger.is_settled().then_some(stopwatch),
            read: None,
        };
        while !self.is_full()
            && let Some(event) = inspector.next_event()
        {
            match event {
                Event::Refused(refused) => {
                    self.denied(&refused, stopwatch.last(), &at);
                }
                Event::Started(record) => {
                    let begun = stopwatch.since().unwrap_or_else(|| stopwatch.last());
                    self.started(record, begun, &at);
                }
                Event::FirstRow(record) => record.notes.first_row = Some(now.get()),
                Event::Completed(record) => {
                    self.completed(record, (now.get(), stopwatch.row()), &at);
                }
            }
        }
        let progress = inspector.progress().unwrap_or_default();
        self.activity.passed(progress);
        self.show(inspector);
    }

    /// A rule refused something, and wants that to be logged.
    #[cold]
    fn denied(&mut self, refused: &Refused, now: Instant, at: &At<'_>) {
        let Some(log) = &mut self.log else {
            return;
        };
        let moment = Moment {
            at: now,
            clock: &self.worker.clock,
            known: &refused.known,
            protocol: None,
            number: None,
            server_pid: at.server_pid(),
            server: at.server,
            is_full: refused.log == Log::Full,
        };
        let pushed = log.denied(&moment, refused.rule.as_deref());
        self.pushed(pushed, false);
    }

    #[inline]
    fn started(&mut self, started: &mut Record, begun: Instant, at: &At<'_>) {
        if self.stands {
            self.stands = false;
            self.activity.stands(0);
        }
        let sampled = match &mut self.log {
            Some(log) => log.sampled() || started.log != Log::Default,
            None => false,
        };
        started.notes = Notes {
            // In a pipeline the server turns to it when it has done what was before.
            since: Some(begun),
            first_row: None,
            wait_us: std::mem::take(&mut self.wait_us),
            sampled,
        };
        self.last_started = started.number;
        if sampled {
            self.log_start(started, begun, at);
        }
    }

    #[cold]
    fn log_start(&mut self, started: &Record, begun: Instant, at: &At<'_>) {
        let Some(log) = &mut self.log else {
            return;
        };
        let pushed = log.started(&at.moment(started, begun, &self.worker.clock));
        if let Some(pushed) = pushed {
            self.pushed(pushed, true);
        }
    }

    /// The start record of the statement that began last was taken.
    fn begins(&mut self, ticket: Ticket) {
        self.tickets.push_back((self.last_started, ticket));
        self.waits_for(ticket);
    }

    /// A statement ended now; `row` is the row of requests that the stopwatch has timed last.
    #[inline]
    fn completed(&mut self, completed: &Record, (now, row): (Instant, &Row), at: &At<'_>) {
        let notes = completed.notes;
        let begun = notes.since.unwrap_or(now).max(self.last).min(now);
        self.last = now;
        let ticket = match self.tickets.is_empty() {
            true => None,
            false => self.ticket_of(completed.number),
        };
        if completed.end == End::Withdrawn {
            self.wait_us = notes.wait_us;
            return;
        }
        let run = Run {
            wait_us: notes.wait_us,
            server_us: row.between(begun, now),
            rows: completed.rows(),
            bytes_in: completed.bytes_in,
            bytes_out: completed.bytes_out,
            sqlstate: completed.sqlstate,
        };
        if let Some(log) = &self.log
            && log.wants(completed, &run)
        {
            let times = Times {
                wait_us: run.wait_us,
                server_us: run.server_us,
                begun,
                // A row that comes with its statement's end needs no look at the clock of its own.
                first_row: completed.begins.then_some(now).or(notes.first_row),
            };
            self.log_end(completed, (now, &times, ticket), at);
        }
        // What the server never looked at was not called.
        if completed.end != End::Skipped {
            if self.spans.is_some() {
                self.trace(completed, &run, (now, at));
            }
            let now_s = self.second.of(now, &self.worker.clock);
            let (who, key) = &self.who;
            let mut table = self.worker.table();
            table.note(&completed.known.pattern, (who, *key), &run, now_s);
        }
    }

    #[cold]
    fn log_end(
        &mut self,
        completed: &Record,
        (now, times, ticket): (Instant, &Times, Option<Ticket>),
        at: &At<'_>,
    ) {
        let Some(log) = &mut self.log else {
            return;
        };
        let moment = at.moment(completed, now, &self.worker.clock);
        // It never went to the server, as its start record could not be written.
        let is_withheld = self.awaits.is_some() && ticket > self.written;
        let pushed = log.completed(&moment, completed, times, is_withheld);
        self.pushed(pushed, false);
    }

    #[cold]
    fn trace(&mut self, completed: &Record, run: &Run, (now, at): (Instant, &At<'_>)) {
        if let Some(spans) = &mut self.spans {
            let day = self.worker.clock.since_1970(now);
            spans.note(completed, run, (&self.who.0, at.server), day);
        }
    }

    /// The ticket of a statement's start record, if it has one; those of statements before it are not needed any more.
    fn ticket_of(&mut self, number: u64) -> Option<Ticket> {
        while let Some((of, ticket)) = self.tickets.front().copied()
            && of <= number
        {
            self.tickets.pop_front();
            if of == number {
                return Some(ticket);
            }
        }
        None
    }

    /// Shows what is under way now, if that has changed.
    fn show(&mut self, inspector: &Inspector) {
        let running = inspector.running();
        let oldest = inspector.oldest();
        let number = oldest.map_or(0, |it| it.number);
        if number == self.shows && running <= 1 {
            return;
        }
        self.shows = number;
        let Some((oldest, since)) = oldest.and_then(|it| Some((it, it.notes.since?))) else {
            return self.activity.ends();
        };
        self.activity.runs(Running {
            pattern: Arc::clone(&oldest.known.pattern),
            // In a pipeline the server turns to it when it has done what was before.
            since: since.max(self.last),
            queued: running - 1,
        });
    }
}
