//! Owns rules about statements, and the one function from rules, context and facts to a verdict.
//!
//! Takes what [`sql`] reads in a text, who sent it and when; gives whether it may pass and which rules
//! matched. Never sees a socket, a clock or a message.
//!
//! The first *enforcing* rule that allows or denies and matches decides; rules that observe or warn never do, nor do
//! those that delay, limit or throttle. What can't be judged is refused, unless a rule speaks of it. A rule that
//! allows matches if *everything* that a statement does is what it names; all others match if *anything* is, also
//! where a view leads there ([`views`]).

#![forbid(unsafe_code)]

mod context;
mod judge;
mod learned;
mod matching;
mod rule;
pub mod throttle;
pub mod views;

pub use context::{Context, Moment, Network, Tls};
pub use judge::{Decision, Held, Subject, Verdict, Why};
pub use learned::{Identity, Learned};
pub use rule::{
    Action, Default, EffectSet, Hours, Lead, Limit, Log, Mode, NamePattern, Parameter,
    ParameterState, Rule, Rules, Statement, Value, Who,
};
