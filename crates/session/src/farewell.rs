//! Owns the last message to a client: a fault's ErrorResponse, put into its output.

use crate::fault::{Farewell, Fault};
use buf::Plain;
use wire::{Report, Severity, Sqlstate};

/// Appends what the client is to read of `fault`, if anything, and if it fits.
pub fn put(fault: &Fault, output: &mut Plain) {
    match fault.farewell() {
        Farewell::Silence => {}
        Farewell::Relay(words) => {
            let _ = output.push(&words.0);
        }
        Farewell::Fatal { sqlstate, message } => {
            let report = Report::new(Severity::Fatal, Sqlstate::new(sqlstate), &message);
            let _ = report.encode_error(output);
        }
    }
}

/// The Flush message.
pub const FLUSH: &[u8; 5] = b"H\0\0\0\x04";

/// The Terminate message.
pub const TERMINATE: &[u8; 5] = b"X\0\0\0\x04";
