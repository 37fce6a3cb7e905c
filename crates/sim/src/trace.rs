//! Owns the memory of the last steps, for whoever has to understand a failure.

use std::collections::VecDeque;
use std::fmt::{self, Arguments};

/// Steps that are remembered.
const STEPS: usize = 400;

/// The last steps, with their times in microseconds.
#[derive(Debug, Default)]
pub struct Trace {
    steps: VecDeque<(u64, String)>,
    on: bool,
}

impl Trace {
    /// One that notes steps, or one that doesn't: a thousand seeds needn't.
    pub fn new(on: bool) -> Trace {
        Trace {
            steps: VecDeque::new(),
            on,
        }
    }

    /// True if steps are remembered.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Notes a step.
    pub fn note(&mut self, now: u64, step: Arguments<'_>) {
        if !self.on {
            return;
        }
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back((now, step.to_string()));
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (now, step) in &self.steps {
            writeln!(f, "{:>12.3} ms  {step}", *now as f64 / 1000.0)?;
        }
        Ok(())
    }
}
