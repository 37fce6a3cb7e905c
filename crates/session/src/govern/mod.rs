//! Owns the judgement of what one client sends: what is known of its statements, portals and names, and the
//! rules in force.
//!
//! Takes texts, names and values out of the relay's hands before they pass; gives a refusal or nothing. It never
//! touches a buffer, and reads no clock: the shell tells it the time, where a rule asks for it.

mod familiar;
mod hold;
mod in_force;
mod known;
mod learn;
mod logged;
mod open;
mod portals;
mod prepared;
mod views;

pub(crate) use hold::Admitted;
pub use in_force::{Denial, RulesInForce};
pub(crate) use known::{Known, Shapes};
pub(crate) use logged::Denied;
pub(crate) use open::Rows;

use crate::routing::Leading;
use crate::statements::{Instead, Refusal};
use familiar::Familiar;
use hold::Hold;
use known::executes;
use logged::Logged;
use open::{Open, Stop};
use policy::{
    Context, Decision, Held, Log, Moment, ParameterState, Rules as RuleList, Subject, Verdict, Why,
};
use portals::{NAME_MAX, Portal};
use prepared::Prepared;
use sql::{Lexing, Plain, Unsure};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use views::Watched;

/// What else a verdict on a statement is good for.
#[derive(Debug, Clone, Copy)]
enum Like<'a> {
    Nothing,
    /// The same statement, when it comes again.
    Itself(&'a Arc<Known>),
    /// All texts of this template.
    Texts(&'a [u8]),
}

/// Judges one client's statements.
#[derive(Debug)]
pub struct Governor {
    in_force: Arc<RulesInForce>,
    rules: Option<Arc<RuleList>>,
    generation: u64,
    context: Context,
    views: Option<Box<Watched>>,
    now: Moment,
    unix_s: u64,
    unnamed: Option<Portal>,
    portals: HashMap<Box<[u8]>, Portal>,
    prepared: Prepared,
    familiar: Familiar,
    notices: Vec<String>,
    /// Messages that may be judged have at most so many bytes.
    message_max: usize,
    is_alone: bool,
    logged: Logged,
    /// What the last verdict says of delays, limits and throttles.
    held: Vec<Held>,
    hold: Hold,
    /// The statement that was judged last will be judged again: it waited.
    judges_again: bool,
    open: Option<Box<Open>>,
    stop: Stop,
    failure: Option<Instead>,
    /// Since whatever all sessions share.
    now_us: u64,
    /// Wakes the session.
    waker: Waker,
}

/// Notices that wait for their place in the stream; more are left out.
const NOTICES_MAX: usize = 16;
/// An EXECUTE of more bytes isn't taken for one whose arguments are all known.
const EXECUTE_BYTES_MAX: usize = 1024;

impl Governor {
    /// For a client. `message_max`: bytes of a message that may be judged.
    pub fn new(in_force: Arc<RulesInForce>, context: Context, message_max: usize) -> Governor {
        let (rules, generation) = in_force.rules();
        Governor {
            in_force,
            rules,
            generation,
            context,
            views: None,
            now: Moment::default(),
            unix_s: 0,
            unnamed: None,
            portals: HashMap::new(),
            prepared: Prepared::default(),
            familiar: Familiar::default(),
            notices: Vec::new(),
            message_max,
            is_alone: false,
            logged: Logged::default(),
            held: Vec::new(),
            hold: Hold::None,
            judges_again: false,
            open: None,
            stop: Stop::None,
            failure: None,
            now_us: 0,
            waker: Waker::noop().clone(),
        }
    }

    /// The client keeps one server connection from its start to its end.
    pub fn stays_alone(&mut self) {
        self.is_alone = true;
    }

    /// True if it does.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// True if a rule asks for the time.
    #[inline]
    pub fn wants_time(&mut self) -> bool {
        self.refresh();
        let wants = |it: &Arc<RuleList>| !it.is_timeless() || it.learned().is_some();
        self.rules.as_ref().is_some_and(wants)
    }

    /// The time, in seconds since 1970.
    pub fn tell_time(&mut self, unix_s: u64) {
        self.now = Moment::of(unix_s);
        self.unix_s = unix_s;
    }

    /// The rules of the last look, if some of them lead statements somewhere, and whom they are asked about.
    pub(crate) fn leading(&self) -> Option<Leading<'_>> {
        let rules = self.rules.as_deref().filter(|it| it.leads())?;
        Some(Leading {
            rules,
            context: &self.context,
            now: self.now,
        })
    }

    /// Bytes of a message that may be judged.
    pub(crate) fn message_max(&self) -> usize {
        self.message_max
    }

    /// True if nothing waits, is counted or is to fail, and what is judged hangs on neither the time nor values.
    #[inline]
    pub(crate) fn is_calm(&mut self) -> bool {
        self.refresh();
        let hangs = |it: &Arc<RuleList>| !it.is_plain() || it.wants_clock();
        matches!(self.hold, Hold::None)
            && self.open.is_none()
            && self.stop == Stop::None
            && self.failure.is_none()
            && !self.rules.as_ref().is_some_and(hangs)
    }

    /// True if no rows are counted, and no notice waits.
    #[inline]
    pub(crate) fn passes_plainly(&self) -> bool {
        !self.counts() && self.notices.is_empty()
    }

    /// Takes the text of a notice that the client is to get.
    #[inline]
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        match self.notices.is_empty() {
            true => None,
            false => Some(self.notices.remove(0)),
        }
    }

    /// Judges a text that is to be prepared.
    pub(crate) fn parse(&mut self, known: &Arc<Known>) -> Option<Refusal> {
        self.refresh();
        self.learn(known, 0);
        self.judge_known(known, ParameterState::Later)
    }

    /// Judges a Query. What it prepares by SQL is known from now on. Of a text with a template the verdict is kept for those
    /// that have it, too.
    pub(crate) fn query(&mut self, known: Known, template: Option<&[u8]>) -> Option<Refusal> {
        self.refresh();
        self.learn(&known, 1);
        let like = template.map_or(Like::Nothing, Like::Texts);
        let refusal = self.judge(Some(&known), ParameterState::None, like);
        if refusal.is_none() {
            self.prepared.note(&Arc::new(known));
        }
        refusal
    }

    /// What is known of all texts of the template that a Query's text has, and what those do, if that template was
    /// expected, and passes as it passed before.
    #[inline]
    pub(crate) fn passes_as_expected(
        &mut self,
        text: &[u8],
        lexing: Lexing,
    ) -> Option<(Arc<Known>, Plain)> {
        self.refresh();
        let (known, plain) = self.familiar.expected(text, lexing)?;
        self.passes_again(&known).then_some((known, plain))
    }

    /// What is known of all texts of this template, if a Query with one of them passes, as one passed before.
    pub(crate) fn passes_like(&mut self, template: &[u8]) -> Option<Arc<Known>> {
        self.refresh();
        let known = self.familiar.like(template)?;
        self.passes_again(&known).then_some(known)
    }

    /// Judges a message whose text isn't in sight.
    pub(crate) fn unread(&mut self, unsure: Unsure, bytes: usize) -> Option<Refusal> {
        self.refresh();
        self.overlook();
        let rules = Arc::clone(self.rules.as_ref()?);
        let verdict = rules.judge(
            (&self.context, self.now),
            [Subject::Unread { unsure, bytes }],
            ParameterState::None,
        );
        self.logged.note(&rules, None, &verdict);
        self.carry_out(&rules, verdict)
    }

    /// What is to be found out of a text that is judged now and never again.
    pub(crate) fn wants_shapes(&mut self) -> Shapes {
        self.refresh();
        let wants = |it: &Arc<RuleList>| it.wants_shapes() || it.learned().is_some();
        match self.rules.as_ref().is_some_and(wants) {
            true => Shapes::Told,
            false => Shapes::Untold,
        }
    }

    /// True if the values of a Bind have to be in sight.
    pub(crate) fn wants_values(&mut self) -> bool {
        self.refresh();
        self.rules.as_ref().is_some_and(|it| it.wants_parameters())
    }

    /// A statement that SQL prepared under this name, if it is surely the only one.
    pub(crate) fn prepared_by_sql(&self, name: &[u8]) -> Option<Arc<Known>> {
        self.prepared.only(name)
    }

    /// What would delay and throttle a text that is to be executed, unless it is refused.
    pub(crate) fn foresee(&mut self, known: Option<&Known>) -> bool {
        self.refresh();
        let asks = |it: &Arc<RuleList>| it.wants_clock() && it.learned().is_none();
        let Some(rules) = self.rules.clone().filter(asks) else {
            return false;
        };
        self.overlook();
        let verdict = self.verdict(&rules, known, ParameterState::Later);
        let passes = !matches!(verdict.decision, Decision::Deny(_));
        self.held = if passes { verdict.held } else { Vec::new() };
        !self.held.is_empty()
    }

    /// True if nothing was asked for the next statement.
    #[inline]
    pub(crate) fn may_foresee(&self) -> bool {
        matches!(self.hold, Hold::None) && self.rules.as_ref().is_some_and(|it| it.wants_clock())
    }

    #[inline(always)]
    fn refresh(&mut self) {
        let is_outdated = self.in_force.generation() != self.generation;
        let views = self.views.as_ref();
        if is_outdated || views.is_some_and(|it| it.shared.generation() != it.generation) {
            self.renew(is_outdated);
        }
    }

    /// Takes the rules in force, and what is known of views.
    #[cold]
    fn renew(&mut self, is_outdated: bool) {
        if is_outdated {
            (self.rules, self.generation) = self.in_force.rules();
        }
        if let Some(views) = &self.views {
            let shared = Arc::clone(&views.shared);
            let generation = self.see(&shared);
            if let Some(views) = &mut self.views {
                views.generation = generation;
            }
        }
    }

    /// Judges by the rules of the last look.
    fn judge(
        &mut self,
        known: Option<&Known>,
        parameters: ParameterState,
        like: Like<'_>,
    ) -> Option<Refusal> {
        let rules = Arc::clone(self.rules.as_ref()?);
        match known {
            Some(known) => self.look_at(known),
            None => self.overlook(),
        }
        let verdict = self.verdict(&rules, known, parameters);
        self.logged.note(&rules, known, &verdict);
        let passes = verdict.decision == Decision::Allow
            && verdict.notices.is_empty()
            && verdict.held.is_empty();
        if passes
            && rules.is_plain()
            && let Some(known) = known.filter(|it| !it.executes())
        {
            self.keep_verdict(&rules, known, like, &verdict.matched);
        }
        self.carry_out(&rules, verdict)
    }

    /// Keeps the verdict on a statement that passes.
    fn keep_verdict(&mut self, rules: &RuleList, known: &Known, like: Like<'_>, matched: &[usize]) {
        let by = (self.generation, self.views_generation());
        let verdict = (matched, self.logged.wish);
        match like {
            Like::Nothing => {}
            Like::Itself(known) => self.familiar.keep(by, known, verdict),
            // Texts of one template are of different lengths.
            Like::Texts(_) if rules.wants_lengths() => {}
            Like::Texts(template) => {
                let dialect = (known.lexing, known.is_utf8);
                let known = self
                    .familiar
                    .like(template)
                    .unwrap_or_else(|| Arc::new(Known::read_template(template, dialect)));
                self.familiar.keep(by, &known, verdict);
                self.familiar.keep_like(&known);
            }
        }
    }

    /// The same of one that may come again.
    fn judge_known(&mut self, known: &Arc<Known>, parameters: ParameterState) -> Option<Refusal> {
        match self.passes_again(known) {
            true => None,
            false => self.judge(Some(known), parameters, Like::Itself(known)),
        }
    }

    /// True if what was judged before passes as it did then, by the rules of the last look.
    #[inline]
    fn passes_again(&mut self, known: &Arc<Known>) -> bool {
        let by = (self.generation, self.views_generation());
        let Some((matched, log)) = self.familiar.find(by, known) else {
            return false;
        };
        if !std::mem::take(&mut self.judges_again)
            && let Some(rules) = &self.rules
        {
            rules.count(matched);
        }
        self.logged.pass(log);
        self.held.clear();
        self.look_at(known);
        true
    }

    /// What rules want of the query log for the statement that was judged last.
    pub(crate) fn log(&self) -> Log {
        self.logged.wish
    }

    /// The statement that was just refused, if that is to be logged.
    pub(crate) fn take_denied(&mut self) -> Option<Denied> {
        self.logged.take_denied()
    }

    /// What was judged at its Bind: matches were counted there.
    fn judge_again(
        &mut self,
        known: Option<&Known>,
        parameters: ParameterState,
    ) -> Option<Refusal> {
        let rules = Arc::clone(self.rules.as_ref().filter(|it| it.learned().is_none())?);
        let verdict = self.verdict(&rules, known, parameters);
        let decision = match verdict.decision {
            // Nobody knows the values any more.
            Decision::Later => Decision::Deny(Why::Default),
            decision => decision,
        };
        if matches!(decision, Decision::Deny(_)) {
            self.logged.note(
                &rules,
                known,
                &Verdict {
                    decision,
                    ..verdict.clone()
                },
            );
        }
        match decision {
            Decision::Deny(_) => self.carry_out(
                &rules,
                Verdict {
                    decision,
                    ..verdict
                },
            ),
            _ => {
                self.held = verdict.held;
                None
            }
        }
    }

    fn verdict(
        &self,
        rules: &RuleList,
        known: Option<&Known>,
        parameters: ParameterState,
    ) -> Verdict {
        let when = (&self.context, self.now);
        let unread =
            |unsure, bytes| rules.judge(when, [Subject::Unread { unsure, bytes }], parameters);
        let Some(known) = known else {
            return unread(Unsure::Prepared, 0);
        };
        if let Some(unsure) = known.is_unread() {
            return unread(unsure, known.text.len());
        }
        if !known.executes() {
            let subjects = known
                .analysis
                .statements()
                .iter()
                .map(|facts| known.subject(facts));
            return rules.judge(when, subjects, parameters);
        }
        // EXECUTE stands for whatever may have been prepared under its name, and for its arguments.
        let mut seen = Vec::new();
        for facts in known.analysis.statements() {
            if !executes(facts) {
                seen.push((known, facts.clone()));
                continue;
            }
            let span = facts.statement.span;
            let is_short = span.end - span.start <= EXECUTE_BYTES_MAX;
            let held = self.prepared.of(known, facts).filter(|_| is_short);
            let Some(held) = held else {
                seen.push((known, facts.clone()));
                continue;
            };
            let mut own = facts.clone();
            own.unsure = None;
            seen.push((known, own));
            for (text, index) in held {
                let facts = text.analysis.statements().get(*index);
                seen.extend(facts.map(|it| (text.as_ref(), it.clone())));
            }
        }
        let subjects = seen.iter().map(|(known, facts)| known.subject(facts));
        rules.judge(when, subjects, parameters)
    }

    fn carry_out(&mut self, rules: &RuleList, verdict: Verdict) -> Option<Refusal> {
        // What waited was counted when it came.
        if !std::mem::take(&mut self.judges_again) {
            rules.count(&verdict.matched);
            for rule in verdict.notices.iter().filter_map(|it| rules.rule(*it)) {
                self.notify(in_force::warning(rule));
            }
        }
        if rules.learned().is_some() {
            self.held.clear();
            return None;
        }
        self.held = verdict.held;
        match verdict.decision {
            Decision::Allow | Decision::Later => None,
            Decision::Deny(why) => Some(Refusal::Policy(Arc::new(Denial::of(rules, why)))),
        }
    }
}

impl Governor {
    /// The client gets a notice.
    fn notify(&mut self, text: String) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(text);
        }
    }
}

/// Why a Bind is refused of a statement that the client doesn't have.
pub(crate) fn no_such_statement(name: &[u8]) -> Refusal {
    let name = &name[..name.len().min(NAME_MAX)];
    Refusal::Policy(Arc::new(Denial::no_such_statement(name)))
}

/// Why a message that is longer than may be judged is refused.
pub(crate) fn too_long(max: usize) -> Refusal {
    Refusal::Policy(Arc::new(Denial::too_long(max)))
}
