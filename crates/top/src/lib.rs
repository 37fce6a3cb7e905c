//! The terminal monitor, without a terminal: [`update`](Model::update) takes an event and a time and gives
//! effects, [`view`](Model::view) draws a frame.
//!
//! Owns what the screens of `portcullis top` show, how keys move through them, when the console is asked,
//! and what may be ordered. Takes tables as the console gives them, whose texts come from strangers: what a
//! terminal would act on is taken out when a text comes in ([`Table`], [`clean()`]), before anything can draw
//! it. Never does I/O, never looks at a clock.

mod cells;
mod clean;
mod clusters;
mod draw;
mod event;
mod figures;
mod history;
mod keys;
mod lines;
mod model;
mod orders;
mod tab;
mod table;

pub use clean::clean;
pub use draw::Theme;
pub use event::{Answer, Connected, Effect, Event, Generation, Key, Source};
pub use model::{Model, Options};
pub use tab::Tab;
pub use table::Table;
