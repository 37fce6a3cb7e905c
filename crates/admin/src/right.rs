//! Owns who may do what: two rights, and what each statement needs.

use crate::command::Statement;

/// What somebody may do in the console. Ordered: an administrator may do all that a watcher may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Look: those of `stats_users`.
    Stats,
    /// Look and act: those of `admin_users`.
    Admin,
}

/// The right that a statement needs. Every kind is named: what is added has to choose.
pub(crate) fn needed(statement: &Statement) -> Right {
    match statement {
        Statement::Empty
        | Statement::Help
        | Statement::Show(_)
        | Statement::ShowFaked(_)
        | Statement::SetFaked => Right::Stats,
        Statement::Command(_) => Right::Admin,
    }
}
