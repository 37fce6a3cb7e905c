//! Owns rules as data: what one may say, and the list of them in force.

use crate::context::{Context, Moment, Network, Tls};
use crate::learned::Learned;
use crate::throttle::{Lanes, Throttle};
use sql::{Access, Impact, NAME_MAX, ShapeId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What becomes of a statement that no rule decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It passes.
    Allow,
    /// It is refused.
    Deny,
}

/// What a rule wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The statement passes.
    Allow,
    /// It is refused.
    Deny,
    /// It waits so many milliseconds before it is sent.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Its result may be so large.
    Limit(Limit),
    /// So many may pass in a time.
    Throttle(Throttle),
    /// It goes to these servers, where statements are led to several.
    Route(Lead),
}

/// Which servers of a cluster a rule leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// The one that is written to.
    Primary,
    /// One that is read from.
    Standby,
}

impl Action {
    /// True for what decides whether a statement passes, and so ends the search.
    pub fn decides(self) -> bool {
        matches!(self, Action::Allow | Action::Deny)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Deny => "deny",
            Action::Delay { .. } => "delay",
            Action::Limit(_) => "limit",
            Action::Throttle(_) => "throttle",
            Action::Route(_) => "route",
        }
    }
}

/// The largest result of a statement; what is more ends it with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes, with the frames around rows.
    pub bytes: Option<u64>,
}

/// What a rule wants of the query log for statements that it matches. The greatest wish counts.
#[derive(Debug, Clone, Copy, core::default::Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// Nothing.
    #[default]
    Default,
    /// A record in any case.
    Always,
    /// One with the text and the values.
    Full,
}

/// How far a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Its matches are counted.
    Observe,
    /// The client gets a notice as well.
    Warn,
    /// It decides.
    Enforce,
}

/// One rule. Conditions that are empty hold for everything; all others have to hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which the client reads.
    pub name: String,
    /// How far it goes.
    pub mode: Mode,
    /// What it wants.
    pub action: Action,
    /// What it wants of the query log.
    pub log: Log,
    /// What the client reads; empty: a sentence of ours.
    pub message: String,
    /// Whom it is about.
    pub who: Who,
    /// Which statements it is about.
    pub statement: Statement,
}

/// Conditions on who sends a statement, and when.
#[derive(Debug, Clone, core::default::Default, PartialEq, Eq)]
pub struct Who {
    /// [`crate::Context::user`] is one of these.
    pub users: Vec<String>,
    /// [`crate::Context::role`] is one of these.
    pub roles: Vec<String>,
    /// [`crate::Context::database`] is one of these.
    pub databases: Vec<String>,
    /// [`crate::Context::application`] is one of these.
    pub applications: Vec<String>,
    /// The address lies in one of these.
    pub addresses: Vec<Network>,
    /// Encrypted worse than this.
    pub tls_below: Option<Tls>,
    /// With or without a certificate.
    pub client_certificate: Option<bool>,
    /// Time of day.
    pub hours: Option<Hours>,
    /// Days of the week, Monday first; none: every day.
    pub days: [bool; 7],
}

/// From a minute of the day to before another one; over midnight if the first is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// The first minute.
    pub from: u16,
    /// The first minute behind it.
    pub until: u16,
}

/// Conditions on a statement.
#[derive(Debug, Clone, core::default::Default, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub effects: Option<EffectSet>,
    /// Relations that it names.
    pub relations: Vec<NamePattern>,
    /// What it does to them; none: anything.
    pub access: Vec<Access>,
    /// Functions that it calls.
    pub functions: Vec<NamePattern>,
    /// It is one of these.
    pub shapes: Vec<ShapeId>,
    /// A value of a Bind.
    pub parameter: Option<Parameter>,
    /// An UPDATE or DELETE in it has no WHERE.
    pub missing_where: Option<bool>,
    /// Its text has more bytes than this.
    pub longer_than: Option<usize>,
}

/// Effects, and whether those are meant that nobody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectSet {
    /// What is known.
    pub known: Impact,
    /// What can't be judged.
    pub unknown: bool,
}

/// `name`, `schema.name` or `schema.*`, as the catalogs have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// The schema; `None`: any.
    pub schema: Option<Vec<u8>>,
    /// The name; `None`: any.
    pub name: Option<Vec<u8>>,
}

/// A parameter that has one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `$1` is 1.
    pub position: u16,
    /// In text form.
    pub values: Vec<Vec<u8>>,
}

/// A value of a Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// There is none, or it is NULL.
    None,
    /// In text form.
    Text(&'a [u8]),
    /// In binary form, of a type that isn't known here.
    Binary(&'a [u8]),
}

/// What is known of a statement's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterState {
    /// It has none: Query.
    None,
    /// They come later: Parse.
    Later,
    /// For each rule with a condition on one: whether it may hold, and whether it surely does.
    Bound {
        /// May hold.
        may: u64,
        /// Surely holds.
        surely: u64,
    },
}

impl NamePattern {
    /// Reads `name`, `schema.name`, `schema.*` or `*`. Names are cut as the server cuts them. `None`: it is none of
    /// these.
    pub fn read(text: &str) -> Option<NamePattern> {
        let part = |part: &str| match part {
            "" => None,
            "*" => Some(None),
            name => Some(Some(cut(name).as_bytes().to_vec())),
        };
        match text.split_once('.') {
            None => Some(NamePattern {
                schema: None,
                name: part(text)?,
            }),
            Some((schema, name)) => Some(NamePattern {
                schema: part(schema)?,
                name: part(name)?,
            }),
        }
    }
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// The rules in force, in their order, and how often each has matched.
#[derive(Debug)]
pub struct Rules {
    default: Default,
    rules: Vec<Rule>,
    hits: Vec<AtomicU64>,
    /// Results that were larger than a rule allows.
    exceeded: Vec<AtomicU64>,
    /// Of rules that throttle.
    lanes: Vec<OnceLock<Arc<Lanes>>>,
    /// For each rule the number of its condition on a parameter.
    parameters: Vec<Option<u8>>,
    /// For each rule whether it is about any client at any time.
    for_anyone: Vec<bool>,
    /// No rule asks for the time.
    is_timeless: bool,
    wants_parameters: bool,
    wants_shapes: bool,
    wants_clock: bool,
    /// A rule delays, throttles or limits.
    holds: bool,
    wants_views: bool,
    /// A rule leads somewhere.
    leads: bool,
    learned: Option<Arc<Learned>>,
}

/// Rules with a condition on a parameter.
pub(crate) const PARAMETERS_MAX: usize = 64;

impl Rules {
    /// Rules in this order. `None`: more than [`Rules::PARAMETERS_MAX`] speak of parameters.
    pub fn new(default: Default, mut rules: Vec<Rule>) -> Option<Rules> {
        for rule in &mut rules {
            rule.statement.shapes.sort_unstable_by_key(|it| it.0);
        }
        let mut count = 0;
        let mut parameters = Vec::with_capacity(rules.len());
        for rule in &rules {
            let number = rule.statement.parameter.as_ref().map(|_| count);
            count += u8::from(number.is_some());
            parameters.push(number);
            if usize::from(count) > PARAMETERS_MAX {
                return None;
            }
        }
        Some(Rules {
            default,
            hits: rules.iter().map(|_| AtomicU64::new(0)).collect(),
            exceeded: rules.iter().map(|_| AtomicU64::new(0)).collect(),
            lanes: rules.iter().map(|_| OnceLock::new()).collect(),
            for_anyone: rules.iter().map(|it| it.who == Who::default()).collect(),
            wants_clock: rules
                .iter()
                .any(|rule| matches!(rule.action, Action::Delay { .. } | Action::Throttle(_))),
            holds: rules.iter().any(|rule| {
                let action = rule.action;
                !action.decides() && !matches!(action, Action::Route(_))
            }),
            leads: (rules.iter()).any(|rule| matches!(rule.action, Action::Route(_))),
            wants_views: rules.iter().any(asks_for_views),
            is_timeless: !rules.iter().any(|rule| rule.who.asks_for_time()),
            wants_shapes: rules.iter().any(asks_for_shapes),
            wants_parameters: count > 0,
            parameters,
            rules,
            learned: None,
        })
    }

    /// Nothing is refused; what comes is learned.
    pub fn learn(&mut self, learned: Arc<Learned>) {
        self.learned = Some(learned);
    }

    /// What is learned, if nothing is to be refused.
    #[inline]
    pub fn learned(&self) -> Option<&Arc<Learned>> {
        self.learned.as_ref()
    }

    /// Rules with a condition on a parameter that a list may have.
    pub const PARAMETERS_MAX: usize = PARAMETERS_MAX;

    /// What becomes of a statement that no rule decides about.
    pub fn default(&self) -> Default {
        self.default
    }

    /// All of them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// One of them.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index)
    }

    /// How often a rule has matched.
    pub fn hits(&self, index: usize) -> u64 {
        let hits = self.hits.get(index);
        hits.map_or(0, |it| it.load(Ordering::Relaxed))
    }

    /// The greatest wish of the rules that matched.
    pub fn log_of(&self, matched: &[usize]) -> Log {
        let wishes = matched.iter().filter_map(|it| Some(self.rule(*it)?.log));
        wishes.max().unwrap_or_default()
    }

    /// Counts matches.
    pub fn count(&self, matched: &[usize]) {
        for index in matched {
            if let Some(hits) = self.hits.get(*index) {
                hits.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes over what was counted for rules of the same name, and the lanes of those that throttle in the same way. To
    /// be called before they are in force.
    pub fn go_on_from(&self, before: &Rules) {
        let counted = self.hits.iter().zip(&self.exceeded);
        for (rule, (hits, exceeded)) in self.rules.iter().zip(counted) {
            let index = before.rules.iter().position(|it| it.name == rule.name);
            if let Some(index) = index {
                hits.store(before.hits(index), Ordering::Relaxed);
                exceeded.store(before.exceeded(index), Ordering::Relaxed);
            }
        }
        for (rule, lanes) in self.rules.iter().zip(&self.lanes) {
            let index = before.rules.iter().position(|it| it.name == rule.name);
            if let Some(held) = index.and_then(|it| before.lanes(it))
                && rule.action == Action::Throttle(*held.throttle())
            {
                // They have none yet.
                let _ = lanes.set(Arc::clone(held));
            }
        }
    }

    /// How often a result was larger than a rule allows.
    pub fn exceeded(&self, index: usize) -> u64 {
        let exceeded = self.exceeded.get(index);
        exceeded.map_or(0, |it| it.load(Ordering::Relaxed))
    }

    /// A result was larger than a rule allows.
    pub fn note_exceeded(&self, index: usize) {
        if let Some(exceeded) = self.exceeded.get(index) {
            exceeded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The lanes of a rule that throttles.
    pub fn lanes(&self, index: usize) -> Option<&Arc<Lanes>> {
        let Action::Throttle(throttle) = self.rule(index)?.action else {
            return None;
        };
        let lanes = self.lanes.get(index)?;
        Some(lanes.get_or_init(|| Arc::new(Lanes::new(throttle))))
    }

    /// True if a rule delays or throttles: then sessions need to know what time it is.
    #[inline]
    pub fn wants_clock(&self) -> bool {
        self.wants_clock
    }

    /// True if a verdict may say more than whether a statement passes: that it is delayed, throttled or limited.
    #[inline]
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// True if a rule that restricts names relations, so that it matters what views lead to.
    #[inline]
    pub fn wants_views(&self) -> bool {
        self.wants_views
    }

    /// True if a rule leads statements somewhere.
    #[inline]
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// True if the same statement of the same client is judged alike at all times.
    #[inline]
    pub fn is_timeless(&self) -> bool {
        self.is_timeless
    }

    /// True if a verdict hangs on nothing but the statement, the client and what is known of views: not on the time,
    /// nor on parameters, and nothing is learned.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.is_timeless && self.learned.is_none() && !self.wants_parameters()
    }

    /// True if a rule asks for shapes.
    #[inline]
    pub fn wants_shapes(&self) -> bool {
        self.wants_shapes
    }

    /// True if a rule asks how long a text is.
    pub fn wants_lengths(&self) -> bool {
        let mut all = self.rules.iter();
        all.any(|it| it.statement.longer_than.is_some())
    }

    /// True if a rule asks for a parameter.
    #[inline]
    pub fn wants_parameters(&self) -> bool {
        self.wants_parameters
    }

    /// True if the rule with this index is about the client at this moment.
    #[inline]
    pub(crate) fn is_about(&self, index: usize, (context, now): (&Context, Moment)) -> bool {
        self.for_anyone.get(index) == Some(&true)
            || self.rule(index).is_some_and(|it| it.who.is(context, now))
    }

    pub(crate) fn parameter_number(&self, index: usize) -> Option<u8> {
        self.parameters.get(index).copied().flatten()
    }

    /// What the values of a Bind mean for rules; `value` gives the one of a position, `$1` being 1.
    pub fn bound<'v>(&self, value: impl Fn(u16) -> Value<'v>) -> ParameterState {
        let (mut may, mut surely) = (0, 0);
        let asked = self.rules.iter().zip(&self.parameters);
        for (parameter, number) in asked
            .filter_map(|(rule, number)| Some((rule.statement.parameter.as_ref()?, (*number)?)))
        {
            let bit = 1u64 << number;
            match value(parameter.position) {
                Value::None => {}
                Value::Text(text) => {
                    if parameter.values.iter().any(|it| it == text) {
                        may |= bit;
                        surely |= bit;
                    }
                }
                Value::Binary(bytes) => {
                    let number = number_of(bytes).map(|it| it.to_string().into_bytes());
                    let is = |it: &Vec<u8>| it == bytes || Some(it) == number.as_ref();
                    may |= if parameter.values.iter().any(is) {
                        bit
                    } else {
                        0
                    };
                }
            }
        }
        ParameterState::Bound { may, surely }
    }
}

fn asks_for_views(rule: &Rule) -> bool {
    rule.action != Action::Allow && !rule.statement.relations.is_empty()
}

fn asks_for_shapes(rule: &Rule) -> bool {
    let per_shape = matches!(rule.action, Action::Throttle(throttle) if throttle.per.shape);
    per_shape || !rule.statement.shapes.is_empty()
}

/// A value of two, four or eight bytes, read as the number that it may be.
fn number_of(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
        [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}
