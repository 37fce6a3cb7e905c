//! Owns what the extended protocol keeps by name: prepared statements, and portals until the next Sync.

use crate::command::Statement;
use crate::datum::Format;
use crate::outcome::Complaint;
use crate::reply::{Formats, Reply, faked};
use crate::tables::Column;
use std::collections::HashMap;
use wire::from_client::{Bind, Parse, Target};
use wire::{Int16s, Sqlstate};

/// Statements or portals at most: no tool of a console needs more.
const KEPT_MAX: usize = 256;

/// Names come as bytes.
type Name = Vec<u8>;

/// Prepared statements and portals of one client.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    statements: HashMap<Name, Statement>,
    portals: HashMap<Name, Portal>,
}

/// A statement that was bound.
#[derive(Debug, Clone)]
pub(crate) struct Portal {
    pub(crate) formats: Formats,
    pub(crate) progress: Progress,
}

/// How far a portal has come.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// It has not been run.
    Ready(Statement),
    /// It was run, and rows are left from this one on.
    Open(Reply, usize),
    /// It was run to its end.
    Over,
}

impl Prepared {
    /// A Query message ends the unnamed ones and every portal.
    pub(crate) fn on_query(&mut self) {
        self.statements.remove(&Name::new());
        self.portals.clear();
    }

    /// A Sync ends the transaction, and portals with it.
    pub(crate) fn on_sync(&mut self) {
        self.portals.clear();
    }

    /// Keeps a statement under its name.
    pub(crate) fn parse(
        &mut self,
        message: &Parse<'_>,
        statement: Statement,
    ) -> Result<(), Complaint> {
        let name = message.statement.to_vec();
        if !name.is_empty() && self.statements.contains_key(&name) {
            let sqlstate = Sqlstate::DUPLICATE_STATEMENT;
            return Err(Complaint::new(
                sqlstate,
                "prepared statement already exists",
            ));
        }
        bounded(self.statements.len())?;
        self.statements.insert(name, statement);
        Ok(())
    }

    /// Makes a portal.
    pub(crate) fn bind(&mut self, message: &Bind<'_>) -> Result<(), Complaint> {
        if !message.values.is_empty() {
            let text = "the console's statements have no parameters";
            return Err(Complaint::new(Sqlstate::PROTOCOL_VIOLATION, text));
        }
        let statement = self.statement(&message.statement)?;
        let portal = Portal {
            formats: formats(message.result_formats, columns(statement).len())?,
            progress: Progress::Ready(statement.clone()),
        };
        bounded(self.portals.len())?;
        self.portals.insert(message.portal.to_vec(), portal);
        Ok(())
    }

    /// The columns of a statement or portal, and how they will come.
    pub(crate) fn describe(
        &self,
        target: &Target<'_>,
    ) -> Result<(Vec<Column>, Formats), Complaint> {
        match target {
            Target::Statement(name) => {
                let statement = self.statement(name)?;
                Ok((columns(statement), Formats::All(Format::Text)))
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name.bytes()).ok_or_else(no_portal)?;
                let columns = match &portal.progress {
                    Progress::Ready(statement) => columns(statement),
                    Progress::Open(reply, _) => reply.columns(),
                    Progress::Over => Vec::new(),
                };
                Ok((columns, portal.formats.clone()))
            }
        }
    }

    /// Takes a portal out, to be run.
    pub(crate) fn take(&mut self, name: &[u8]) -> Result<Portal, Complaint> {
        let portal = self.portals.get_mut(name).ok_or_else(no_portal)?;
        let over = Portal {
            formats: portal.formats.clone(),
            progress: Progress::Over,
        };
        Ok(std::mem::replace(portal, over))
    }

    /// Puts a portal back that has rows left.
    pub(crate) fn put_back(&mut self, name: Name, portal: Portal) {
        self.portals.insert(name, portal);
    }

    /// Forgets one; that it isn't there is no error.
    pub(crate) fn close(&mut self, target: &Target<'_>) {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name.bytes())),
            Target::Portal(name) => drop(self.portals.remove(name.bytes())),
        }
    }

    fn statement(&self, name: &[u8]) -> Result<&Statement, Complaint> {
        self.statements.get(name).ok_or_else(|| {
            let sqlstate = Sqlstate::INVALID_STATEMENT_NAME;
            Complaint::new(sqlstate, "prepared statement does not exist")
        })
    }
}

fn bounded(kept: usize) -> Result<(), Complaint> {
    match kept < KEPT_MAX {
        true => Ok(()),
        false => Err(Complaint::new(
            Sqlstate::LIMIT_EXCEEDED,
            format!("the console keeps {KEPT_MAX} statements and portals at most"),
        )),
    }
}

fn no_portal() -> Complaint {
    Complaint::new(Sqlstate::INVALID_CURSOR_NAME, "portal does not exist")
}

/// The columns that a statement will answer with.
fn columns(statement: &Statement) -> Vec<Column> {
    match statement {
        Statement::Show(table) => table.columns(),
        Statement::ShowFaked(setting) => vec![faked(setting.name)],
        Statement::Empty | Statement::Help | Statement::SetFaked | Statement::Command(_) => {
            Vec::new()
        }
    }
}

/// No code is text, one is for all, else there is one for each column.
fn formats(codes: Int16s<'_>, columns: usize) -> Result<Formats, Complaint> {
    let mut formats = Vec::new();
    for code in codes.iter() {
        formats.push(match code {
            0 => Format::Text,
            1 => Format::Binary,
            other => {
                let text = format!("unsupported format code: {other}");
                return Err(Complaint::new(Sqlstate::INVALID_PARAMETER_VALUE, text));
            }
        });
    }
    match formats.as_slice() {
        [] => Ok(Formats::All(Format::Text)),
        [one] => Ok(Formats::All(*one)),
        each if each.len() == columns => Ok(Formats::Each(formats)),
        each => {
            let given = each.len();
            let text =
                format!("bind message has {given} result formats but query has {columns} columns");
            Err(Complaint::new(Sqlstate::PROTOCOL_VIOLATION, text))
        }
    }
}
