//! Owns the question whether one rule matches one statement.

use crate::context::{Context, Moment};
use crate::judge::{Subject, Telling};
use crate::rule::{Action, Mode, NamePattern, ParameterState, Rule, Rules, Statement, Who};
use crate::views::Sight;
use sql::{Access, Impact, NAME_MAX, Span};

/// Whether a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    No,
    /// It hangs on the values of parameters, which are to come.
    Later,
    Yes,
}

impl Who {
    pub(crate) fn asks_for_time(&self) -> bool {
        self.hours.is_some() || self.days.contains(&true)
    }

    /// True if this is about the client at this moment.
    pub(crate) fn is(&self, context: &Context, now: Moment) -> bool {
        let one_of =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|it| it == name);
        let lies = || {
            let address = context.address;
            address.is_some_and(|it| self.addresses.iter().any(|network| network.holds(it)))
        };
        one_of(&self.users, &context.user)
            && one_of(&self.roles, &context.role)
            && one_of(&self.databases, &context.database)
            && one_of(&self.applications, &context.application)
            && (self.addresses.is_empty() || lies())
            && self.tls_below.is_none_or(|least| context.tls < least)
            && self
                .client_certificate
                .is_none_or(|wanted| wanted == context.client_certificate)
            && self
                .hours
                .is_none_or(|hours| match hours.from <= hours.until {
                    true => (hours.from..hours.until).contains(&now.minute),
                    false => now.minute >= hours.from || now.minute < hours.until,
                })
            && (!self.days.contains(&true)
                || self
                    .days
                    .get(usize::from(now.day))
                    .copied()
                    .unwrap_or(false))
    }
}

impl Statement {
    /// True without any condition but size: it is about whatever is sent.
    fn is_about_all(&self) -> bool {
        self.effects.is_none() && self.is_about_effects() && self.parameter.is_none()
    }

    /// True without conditions on names, forms and values.
    fn is_about_effects(&self) -> bool {
        self.relations.is_empty()
            && self.access.is_empty()
            && self.functions.is_empty()
            && self.shapes.is_empty()
            && self.missing_where.is_none()
    }
}

/// What a statement's relations lead to beyond their names.
#[derive(Debug)]
pub(crate) enum Reached {
    /// What these rules name.
    Rules(Vec<usize>),
    /// Nobody knows.
    Anything,
}

impl Reached {
    /// Looks each relation up once, if anything leads anywhere.
    pub(crate) fn of(views: &Sight, subject: &Subject<'_>) -> Reached {
        let through = match views {
            Sight::Names => return Reached::Rules(Vec::new()),
            Sight::Blind => return Reached::Anything,
            Sight::Through(through) => through,
        };
        let mut found = Vec::new();
        for relation in subject.relations() {
            let (mut of_schema, mut of_name) = ([0; NAME_MAX], [0; NAME_MAX]);
            let schema = relation
                .schema
                .and_then(|it| subject.name(it, &mut of_schema));
            // What only the server can fold is no statement that is judged by its names.
            if let Some(name) = subject.name(relation.name, &mut of_name) {
                found.extend(through.rules((schema, name), relation.access));
            }
        }
        Reached::Rules(found)
    }

    fn has(&self, index: usize) -> bool {
        match self {
            Reached::Rules(rules) => rules.contains(&index),
            Reached::Anything => false,
        }
    }
}

/// Whether a rule in force refuses a statement that names none of what it names, because its relations may lead there.
pub(crate) fn blindly(
    (rules, index): (&Rules, usize),
    (subject, reached): (&Subject<'_>, &Reached),
    parameters: ParameterState,
) -> Match {
    let Some(rule) = rules.rule(index) else {
        return Match::No;
    };
    // A view's query only reads; whoever writes to a view or defines one anew reads as well.
    let may_be = |access: Access| match access {
        Access::Read => rule.statement.access.contains(&Access::Read),
        Access::Write => rule.statement.access != [Access::Ddl],
        Access::Ddl => true,
    };
    let is_meant = matches!(reached, Reached::Anything)
        && rule.action == Action::Deny
        && rule.mode == Mode::Enforce
        && !rule.statement.relations.is_empty()
        && (subject.relations().iter())
            .any(|it| rule.statement.access.is_empty() || may_be(it.access));
    match is_meant {
        true => {
            let anyhow = Reached::Rules(vec![index]);
            matches((rules, index), (subject, &anyhow), parameters)
        }
        false => Match::No,
    }
}

/// Whether the rule with this index matches.
pub(crate) fn matches(
    (rules, index): (&Rules, usize),
    (subject, reached): (&Subject<'_>, &Reached),
    parameters: ParameterState,
) -> Match {
    let Some(rule) = rules.rule(index) else {
        return Match::No;
    };
    let wanted = &rule.statement;
    if wanted.longer_than.is_some_and(|len| subject.bytes() <= len) {
        return Match::No;
    }
    let holds = match (&subject.telling(), rule.action) {
        (Telling::Nothing, _) => unsure(rule),
        (Telling::Facts, Action::Allow) => all(wanted, subject),
        (Telling::Facts, _) => any(wanted, subject, reached.has(index)),
    };
    match (holds, rules.parameter_number(index)) {
        (false, _) => Match::No,
        (true, None) => Match::Yes,
        (true, Some(number)) => match (parameters, rule.action) {
            (ParameterState::None, _) => Match::No,
            (ParameterState::Later, _) => Match::Later,
            (ParameterState::Bound { surely, .. }, Action::Allow) => is(surely, number),
            (ParameterState::Bound { may, .. }, _) => is(may, number),
        },
    }
}

fn is(bits: u64, number: u8) -> Match {
    match bits >> number & 1 {
        0 => Match::No,
        _ => Match::Yes,
    }
}

/// Of a statement that can't be judged: a rule in force that restricts is for whatever it may do, anything else only
/// for what is surely meant.
fn unsure(rule: &Rule) -> bool {
    let wanted = &rule.statement;
    let named = wanted.effects.is_some_and(|it| it.unknown) && wanted.is_about_effects();
    match (rule.action, rule.mode) {
        (Action::Allow, _) | (_, Mode::Observe | Mode::Warn) => named || wanted.is_about_all(),
        (_, Mode::Enforce) => true,
    }
}

/// Whether anything that a statement does is what a rule names that restricts. `leads`: a relation of it leads to one
/// that the rule names.
fn any(wanted: &Statement, subject: &Subject<'_>, leads: bool) -> bool {
    let Some(facts) = subject.facts() else {
        return false;
    };
    let asks_for_relation = !wanted.relations.is_empty() || !wanted.access.is_empty();
    wanted.effects.is_none_or(|it| facts.impact.has(it.known))
        && wanted
            .missing_where
            .is_none_or(|it| it == facts.without_where)
        && (wanted.shapes.is_empty() || shape(wanted, subject, true))
        && (!asks_for_relation
            || leads
            || subject
                .relations()
                .iter()
                .any(|it| relation(wanted, subject, it, true)))
        && (wanted.functions.is_empty()
            || subject.calls().iter().any(|it| {
                wanted
                    .functions
                    .iter()
                    .any(|pattern| named(pattern, subject, (it.schema, it.name), true))
            }))
}

/// Whether everything that a statement does is what a permission names.
fn all(wanted: &Statement, subject: &Subject<'_>) -> bool {
    if wanted.is_about_all() {
        return true;
    }
    let Some(facts) = subject.facts() else {
        return false;
    };
    let asks_for_relation = !wanted.relations.is_empty() || !wanted.access.is_empty();
    let functions = !wanted.functions.is_empty()
        && subject.calls().iter().all(|it| {
            wanted
                .functions
                .iter()
                .any(|pattern| named(pattern, subject, (it.schema, it.name), false))
        });
    // A permission on names is none for what it doesn't speak of.
    let on_names = Impact::READ | Impact::WRITE | Impact::DDL;
    let mut effects = match (&wanted.effects, wanted.shapes.is_empty()) {
        (Some(effects), _) => Some(effects.known),
        (None, true) => Some(on_names),
        // The very statement.
        (None, false) => None,
    };
    if functions && let Some(effects) = &mut effects {
        *effects |= Impact::CALLS;
    }
    effects.is_none_or(|it| facts.impact.is_within(it))
        && wanted
            .missing_where
            .is_none_or(|it| it == facts.without_where)
        && (wanted.shapes.is_empty() || shape(wanted, subject, false))
        && (wanted.functions.is_empty() || functions)
        && (!asks_for_relation
            || (!subject.relations().is_empty()
                && subject
                    .relations()
                    .iter()
                    .all(|it| relation(wanted, subject, it, false))))
}

/// `otherwise`: where the shape isn't known.
fn shape(wanted: &Statement, subject: &Subject<'_>, otherwise: bool) -> bool {
    let shape = subject.facts().and_then(|it| it.shape);
    let is_named = |it: sql::ShapeId| wanted.shapes.binary_search_by_key(&it.0, |it| it.0).is_ok();
    shape.map_or(otherwise, is_named)
}

fn relation(
    wanted: &Statement,
    subject: &Subject<'_>,
    relation: &sql::Relation,
    otherwise: bool,
) -> bool {
    let access = |it: Access| wanted.access.is_empty() || wanted.access.contains(&it);
    let is_named = |pattern: &NamePattern| {
        named(
            pattern,
            subject,
            (relation.schema, relation.name),
            otherwise,
        )
    };
    access(relation.access)
        && (wanted.relations.is_empty() || wanted.relations.iter().any(is_named))
}

/// Whether a name is meant. Without a schema it is meant by every pattern on it: the search path decides.
/// `otherwise`: where only the server can fold it.
fn named(
    pattern: &NamePattern,
    subject: &Subject<'_>,
    (schema, name): (Option<Span>, Span),
    otherwise: bool,
) -> bool {
    let part = |wanted: &Option<Vec<u8>>, written: Option<Span>| {
        let (Some(wanted), Some(written)) = (wanted, written) else {
            return true;
        };
        subject.is_name(written, wanted).unwrap_or(otherwise)
    };
    part(&pattern.schema, schema) && part(&pattern.name, Some(name))
}
