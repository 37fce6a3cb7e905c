//! PostgreSQL's SQL as far as a pooler must understand it: tokens, statements, leading verbs, functions
//! called, and what a statement leaves behind in its session.
//!
//! Takes bytes and the session's lexing state ([`Lexing`]: encoding, `standard_conforming_strings`,
//! the length from which nothing is judged). Gives [`Token`]s and [`Statement`]s, which hold
//! positions and never a copy of the text. Never allocates, never does I/O, never prints content.
//!
//! There is no parser: what is lexed is lexed exactly as PostgreSQL 15 to 18 do (`scan.l`), and what is
//! concluded from it errs on one side. A flag in [`Effects`] may be set for a statement that leaves
//! nothing; one that leaves something has its flag, or the whole text is [`Unknown`].
//! **Unknown means: treat the server connection as dirty.**
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

mod body;
mod builtins;
mod effects;
mod encoding;
mod functions;
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod lexer;
mod literal;
mod look;
mod names;
mod number;
mod operator;
mod reserved;
mod statement;
mod token;
mod unknown;
mod verb;
mod word;

pub use effects::Effects;
pub use encoding::{Encoding, Lexing};
pub use lexer::Lexer;
pub use statement::{Statement, Statements, effects, statements};
pub use token::{Kind, Span, Token};
pub use unknown::Unknown;
pub use verb::Verb;
pub use word::{NAME_MAX, fold};
