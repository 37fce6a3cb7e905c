//! PostgreSQL's SQL as far as a pooler and a gateway must understand it: tokens, statements, what a statement
//! leaves behind in its session, and what it does to which relations.
//!
//! Takes bytes and the session's lexing state ([`Lexing`]: encoding, `standard_conforming_strings`,
//! the length from which nothing is judged). Gives places in the text and never a copy of it. Never does I/O, never
//! prints content.
//!
//! Two layers read the same tokens:
//!
//! - [`statements`] and [`effects()`] for pooling: verbs, and what stays in the session ([`Effects`]). Never allocates.
//! - [`Analysis::read`] for rules, logs and statistics: for each statement its [`Facts`], with what it does
//!   ([`Impact`]), its [`Relation`]s with their [`Access`], its [`Call`]s, a missing WHERE, literals, and on demand the
//!   [`ShapeId`]. One forward pass; the caller keeps the `Analysis` and fills it again, so that nothing is allocated
//!   once it has grown. [`name()`] folds a name as the server does, and a [`Cache`] remembers what was made of a text.
//!
//! Before both, [`Plain::of`] tells in one look at the bytes what most texts do: one SELECT, INSERT, UPDATE or DELETE that
//! calls nothing.
//!
//! There is no parser: what is lexed is lexed exactly as PostgreSQL 15 to 18 do (`scan.l`), and what is
//! concluded from it errs on one side. A flag in [`Effects`] may be set for a statement that leaves
//! nothing; one that leaves something has its flag, or the whole text is [`Unknown`].
//! **Unknown means: treat the server connection as dirty.** Relations are exactly those that PostgreSQL's own parser
//! sees, or [`Facts::unsure`] says why not. **Unsure means: the statement may do anything.**
//!
//! A rule has to look at [`Analysis::unsure`] first, then at the facts of *every* statement of the text. A relation
//! without schema, or reached through a view, may be any of that name; a `Call` may do anything that its name doesn't
//! tell; EXECUTE does what its PREPARE said.
//!
//! What no reading of SQL can show stays out of sight: triggers, rules, views, column defaults,
//! user-defined operators and casts, and a user's function that has the name of a built-in one and fits
//! the arguments better.
//!
//! ```
//! use sql::{Effects, Lexing, Verb};
//!
//! let text = b"BEGIN; SELECT count(*) FROM t; SET work_mem = '1GB'";
//! let verbs: Vec<_> = sql::statements(text, Lexing::default()).map(|s| s.unwrap().verb).collect();
//! assert_eq!(verbs, [Verb::Begin, Verb::Select, Verb::Set]);
//! let all = sql::effects(text, Lexing::default()).unwrap();
//! assert_eq!(all, Effects::TRANSACTION | Effects::SET);
//! ```
//!
//! ```
//! use sql::{Access, Analysis, Asked, Impact, Lexing, NAME_MAX};
//!
//! let text = b"WITH gone AS (DELETE FROM app.\"Orders\" RETURNING *) SELECT count(*) FROM gone";
//! let mut analysis = Analysis::new(); // kept for the next text
//! analysis.read(text, &Asked::facts(Lexing::default()));
//! assert_eq!(analysis.unsure(), None);
//! let [facts] = analysis.statements() else { panic!() };
//! assert!(facts.impact.has(Impact::WRITE) && facts.without_where);
//! let [orders] = analysis.relations(facts) else { panic!() };
//! assert_eq!(orders.access, Access::Write);
//! assert_eq!(sql::name(text, orders.name, true, &mut [0; NAME_MAX]), Ok(&b"Orders"[..]));
//! ```

mod analysis;
mod body;
mod builtins;
mod cache;
mod define;
mod effects;
mod encoding;
mod facts;
mod frame;
mod from;
mod functions;
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod ids;
mod impact;
mod lexer;
mod literal;
mod look;
mod name;
mod names;
mod number;
mod operator;
mod plain;
mod query;
mod reader;
mod reserved;
mod statement;
mod token;
mod unknown;
mod utility;
mod verb;
mod with;
mod word;

pub use analysis::{Analysis, Asked, DEPTH_MAX, LIST_MAX};
pub use cache::{Cache, CacheKey, CacheLimits};
pub use effects::Effects;
pub use encoding::{Encoding, Lexing};
pub use facts::{Access, Call, Facts, Relation, ShapeId, Unsure};
pub use impact::Impact;
pub use lexer::Lexer;
pub use name::{is_name, name};
pub use plain::{Layout, Plain, TEMPLATE_MAX, Values};
pub use statement::{Statement, Statements, effects, statements};
pub use token::{Kind, Span, Token};
pub use unknown::Unknown;
pub use verb::Verb;
pub use word::{NAME_MAX, fold};
