//! Owns the verdict: the total function from rules, context and facts.

use crate::context::{Context, Moment};
use crate::matching::{Match, Reached, blindly, matches};
use crate::rule::{Action, Default, Lead, Mode, ParameterState, Rules};
use crate::throttle::Measure;
use sql::{Analysis, Call, Facts, NAME_MAX, Relation, ShapeId, Span, Unsure};

/// One statement to be judged.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// One whose text was read.
    Read {
        /// The text that it is part of.
        text: &'a [u8],
        /// Client and server use UTF8.
        is_utf8: bool,
        /// Its facts lie here.
        analysis: &'a Analysis,
        /// Its own.
        facts: &'a Facts,
    },
    /// One of so many bytes that nobody can tell anything of.
    Unread {
        /// Why.
        unsure: Unsure,
        /// Its bytes.
        bytes: usize,
    },
}

/// What a subject tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    Facts,
    Nothing,
}

impl<'a> Subject<'a> {
    /// Why it can't be judged, if it can't.
    pub fn unsure(&self) -> Option<Unsure> {
        match self {
            Subject::Read { facts, .. } => facts.unsure,
            Subject::Unread { unsure, .. } => Some(*unsure),
        }
    }

    pub(crate) fn telling(&self) -> Telling {
        match self.unsure() {
            None => Telling::Facts,
            Some(_) => Telling::Nothing,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Subject::Read { text, .. } => text.len(),
            Subject::Unread { bytes, .. } => *bytes,
        }
    }

    pub(crate) fn facts(&self) -> Option<&'a Facts> {
        match self {
            Subject::Read { facts, .. } => Some(facts),
            Subject::Unread { .. } => None,
        }
    }

    pub(crate) fn relations(&self) -> &'a [Relation] {
        match self {
            Subject::Read {
                analysis, facts, ..
            } => analysis.relations(facts),
            Subject::Unread { .. } => &[],
        }
    }

    pub(crate) fn calls(&self) -> &'a [Call] {
        match self {
            Subject::Read {
                analysis, facts, ..
            } => analysis.calls(facts),
            Subject::Unread { .. } => &[],
        }
    }

    /// Whether an identifier stands for this name, unless only the server can fold it.
    pub(crate) fn is_name(&self, written: Span, name: &[u8]) -> Option<bool> {
        match self {
            Subject::Read { text, is_utf8, .. } => sql::is_name(text, written, *is_utf8, name).ok(),
            Subject::Unread { .. } => None,
        }
    }

    pub(crate) fn name<'b>(&self, written: Span, room: &'b mut [u8; NAME_MAX]) -> Option<&'b [u8]> {
        match self {
            Subject::Read { text, is_utf8, .. } => sql::name(text, written, *is_utf8, room).ok(),
            Subject::Unread { .. } => None,
        }
    }
}

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The rule with this index says so.
    Rule(usize),
    /// No rule allows it.
    Default,
    /// The rule with this index says so, since nobody knows where the statement's relations lead.
    Unseen(usize),
    /// It can't be judged, and no rule speaks of such.
    Unsure(Unsure),
}

/// What becomes of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They pass.
    Allow,
    /// They may be prepared; whether one is executed hangs on the values of its parameters.
    Later,
    /// They are refused.
    Deny(Why),
}

/// What rules say about the statements of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of them.
    pub decision: Decision,
    /// Indices of the rules that matched, each once for each statement.
    pub matched: Vec<usize>,
    /// Those of them that the client gets a notice of.
    pub notices: Vec<usize>,
    /// What delays, limits and throttles the statements, in the order of the rules. Of a message that is refused
    /// nothing is to be made of it.
    pub held: Vec<Held>,
}

/// A rule that delays, limits or throttles, and what of a message it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The rule's index.
    pub rule: usize,
    /// Statements.
    pub statements: u32,
    /// Their shape, where the rule tells shapes apart.
    pub shape: Option<ShapeId>,
}

impl Rules {
    /// Judges the statements of one message. The first that is refused decides about all.
    pub fn judge<'a>(
        &self,
        (context, now): (&Context, Moment),
        subjects: impl IntoIterator<Item = Subject<'a>>,
        parameters: ParameterState,
    ) -> Verdict {
        let mut verdict = Verdict {
            decision: Decision::Allow,
            matched: Vec::new(),
            notices: Vec::new(),
            held: Vec::new(),
        };
        for subject in subjects {
            match self.decide((context, now), &subject, parameters, &mut verdict) {
                Decision::Allow => {}
                Decision::Later => verdict.decision = Decision::Later,
                Decision::Deny(why) => {
                    verdict.decision = Decision::Deny(why);
                    break;
                }
            }
        }
        verdict.held.sort_by_key(|it| it.rule);
        verdict
    }

    /// Where rules lead these statements, which go together, and the rule that does: to the primary if one of them is
    /// led there. Those that match are counted. As for verdicts, rules behind one that decides are not asked, and only
    /// those in force lead.
    pub fn lead<'a>(
        &self,
        (context, now): (&Context, Moment),
        subjects: impl IntoIterator<Item = Subject<'a>>,
    ) -> Option<(usize, Lead)> {
        let mut found = None;
        for subject in subjects {
            let led = self.lead_one((context, now), &subject);
            match (led, found) {
                (Some((_, Lead::Primary)), _) => return led,
                (Some(_), None) => found = led,
                _ => {}
            }
        }
        found
    }

    fn lead_one(
        &self,
        (context, now): (&Context, Moment),
        subject: &Subject<'_>,
    ) -> Option<(usize, Lead)> {
        let reached = Reached::of(&context.views, subject);
        for (index, rule) in self.rules().iter().enumerate() {
            let is_meant = self.is_about(index, (context, now))
                && matches((self, index), (subject, &reached), ParameterState::None) == Match::Yes;
            match (is_meant, rule.action, rule.mode) {
                (true, Action::Route(lead), mode) => {
                    self.count(&[index]);
                    if mode == Mode::Enforce {
                        return Some((index, lead));
                    }
                }
                (true, action, Mode::Enforce) if action.decides() => return None,
                _ => {}
            }
        }
        None
    }

    /// Rules that throttle connections, and are about this client.
    pub fn on_connections(&self, context: &Context, now: Moment) -> Vec<usize> {
        let is_one = |rule: &crate::rule::Rule| match rule.action {
            Action::Throttle(it) => {
                it.rates.of(Measure::Connections).is_some() && rule.who.is(context, now)
            }
            _ => false,
        };
        let rules = self.rules().iter().enumerate();
        rules
            .filter(|(_, it)| is_one(it))
            .map(|(index, _)| index)
            .collect()
    }

    /// Notes a rule that neither allows nor denies.
    fn hold(&self, rule: usize, subject: &Subject<'_>, held: &mut Vec<Held>) {
        let tells_shapes = matches!(self.rule(rule).map(|it| it.action), Some(Action::Throttle(it)) if it.per.shape);
        let facts = subject.facts().filter(|_| tells_shapes);
        let shape = facts.and_then(|it| it.shape);
        match held
            .iter_mut()
            .find(|it| (it.rule, it.shape) == (rule, shape))
        {
            Some(known) => known.statements = known.statements.saturating_add(1),
            None => held.push(Held {
                rule,
                statements: 1,
                shape,
            }),
        }
    }

    fn decide(
        &self,
        (context, now): (&Context, Moment),
        subject: &Subject<'_>,
        parameters: ParameterState,
        verdict: &mut Verdict,
    ) -> Decision {
        let reached = Reached::of(&context.views, subject);
        for (index, rule) in self.rules().iter().enumerate() {
            if !self.is_about(index, (context, now)) {
                continue;
            }
            // Where it goes is asked before it is judged: see `lead`.
            if matches!(rule.action, Action::Route(_)) {
                continue;
            }
            let matched = matches((self, index), (subject, &reached), parameters);
            if matched == Match::No {
                match blindly((self, index), (subject, &reached), parameters) {
                    Match::No => {}
                    Match::Later => return Decision::Later,
                    Match::Yes => {
                        verdict.matched.push(index);
                        return Decision::Deny(Why::Unseen(index));
                    }
                }
            }
            if !rule.action.decides() {
                if matched == Match::Yes {
                    self.hold(index, subject, &mut verdict.held);
                }
                continue;
            }
            match (matched, rule.mode) {
                (Match::No, _) | (Match::Later, Mode::Observe | Mode::Warn) => continue,
                (Match::Later, Mode::Enforce) => return Decision::Later,
                (Match::Yes, Mode::Observe) => verdict.matched.push(index),
                (Match::Yes, Mode::Warn) => {
                    verdict.matched.push(index);
                    verdict.notices.push(index);
                }
                (Match::Yes, Mode::Enforce) => {
                    verdict.matched.push(index);
                    return match rule.action {
                        Action::Deny => Decision::Deny(Why::Rule(index)),
                        _ => Decision::Allow,
                    };
                }
            }
        }
        match (subject.unsure(), self.default()) {
            (Some(unsure), _) => Decision::Deny(Why::Unsure(unsure)),
            (None, Default::Allow) => Decision::Allow,
            (None, Default::Deny) => Decision::Deny(Why::Default),
        }
    }
}
