//! Owns what is written to the terminal: results to standard output, the rest to standard error.
//! A reader that goes away early, as `head` does, is not an error.

use std::io::Write as _;

/// A line of the result.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line about what went wrong, or may.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
