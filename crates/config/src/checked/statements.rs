//! Owns the shape of what is checked of statements: how they are looked at, logged and judged.

use super::Origin;
use crate::words::{
    Audit, LeastTls, LogParameters, LogText, OnFull, PolicyDefault, PolicyViews, QueryLogFormat,
    RuleAccess, RuleAction, RuleEffect, RuleExcess, RuleLog, RuleMode, RulePer, RuleTarget,
    Weekday,
};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How statements are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Rows of statistics for each worker.
    pub patterns_max: usize,
    /// Bytes of these rows.
    pub patterns_bytes_max: usize,
    /// How long the short window of statistics is.
    pub window: Duration,
    /// Patterns that have numbers of their own at `/metrics`.
    pub patterns_exported: usize,
    /// `[query_log]`: what is logged of them, if anything is.
    pub log: Option<QueryLog>,
}

/// What is logged of statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLog {
    /// The file.
    pub path: PathBuf,
    /// Who reads it.
    pub format: QueryLogFormat,
    /// A record when a statement goes to the server, too.
    pub start_records: bool,
    /// What stands there of a statement.
    pub text: LogText,
    /// What stands there of bound values.
    pub parameters: LogParameters,
    /// Whom records are sealed to, as texts.
    pub recipients: Vec<String>,
    /// Whether it is one for audits.
    pub audit: Audit,
    /// How long a statement waits for its start record at most.
    pub audit_timeout: Duration,
    /// Statements that take as long have a record; zero: none for that.
    pub slow_query: Duration,
    /// Of a million others, so many have one.
    pub sample_per_million: u32,
    /// What becomes of records for which there is no room.
    pub on_full: OnFull,
    /// Bytes that may wait to be written.
    pub queue_bytes_max: usize,
    /// Bytes after which the file is rotated; 0: never.
    pub rotate_bytes: u64,
    /// Time after which it is; zero: never.
    pub rotate_interval: Duration,
    /// Old files that are kept; 0: all.
    pub rotate_keep: usize,
}

/// How statements are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of statements that no rule decides about.
    pub default: PolicyDefault,
    /// Bytes of the longest message that is judged.
    pub message_bytes_max: usize,
    /// In their order.
    pub rules: Vec<Rule>,
    /// A file with further rules.
    pub rules_file: Option<PathBuf>,
    /// What is learned, if nothing is to be refused.
    pub learn: Option<Learn>,
    /// Whether rules see through views.
    pub views: PolicyViews,
    /// Who reads the catalogs, and what proves that, if it is somebody of its own.
    pub catalog_user: Option<(String, Option<Origin>)>,
    /// How often.
    pub catalog_interval: Duration,
}

/// What is learned of statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learn {
    /// Where it is written.
    pub path: PathBuf,
    /// Statements.
    pub statements_max: usize,
}

/// What a rule wants that neither allows nor denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMeans {
    /// Where statements go; `None` unless the rule leads them somewhere.
    pub target: Option<RuleTarget>,
    /// How long statements wait.
    pub delay: Duration,
    /// Rows of a result.
    pub rows_max: Option<u64>,
    /// Bytes of a result.
    pub bytes_max: Option<u64>,
    /// What is counted together.
    pub per: Vec<RulePer>,
    /// Statements a second.
    pub statements_per_s: Option<u64>,
    /// Rows a second.
    pub rows_per_s: Option<u64>,
    /// Bytes a second from clients.
    pub bytes_in_per_s: Option<u64>,
    /// Bytes a second to clients.
    pub bytes_out_per_s: Option<u64>,
    /// Connections a second.
    pub connections_per_s: Option<u64>,
    /// Statements at once.
    pub at_once: Option<u32>,
    /// How much may come at once.
    pub burst: Duration,
    /// What becomes of more.
    pub excess: RuleExcess,
    /// How long it may wait.
    pub wait_max: Duration,
    /// How many may wait.
    pub waiting_max: usize,
    /// How many are told apart.
    pub keys_max: usize,
}

/// One rule. What is empty or `None` holds for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// How far it goes.
    pub mode: RuleMode,
    /// What it wants.
    pub action: RuleAction,
    /// What it wants of the query log.
    pub log: RuleLog,
    /// What it takes for that.
    pub means: RuleMeans,
    /// What clients read.
    pub message: String,
    /// Names that clients logged in with.
    pub users: Vec<String>,
    /// Roles of server connections.
    pub roles: Vec<String>,
    /// Databases that clients asked for.
    pub databases: Vec<String>,
    /// Values of `application_name`.
    pub applications: Vec<String>,
    /// Addresses, and how many of their bits count.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Encryption worse than this.
    pub tls_below: Option<LeastTls>,
    /// Whether there is a certificate.
    pub client_certificate: Option<bool>,
    /// Minutes of a day, from one to before another.
    pub hours: Option<(u16, u16)>,
    /// Days of the week.
    pub days: Vec<Weekday>,
    /// What statements do.
    pub effects: Vec<RuleEffect>,
    /// `name`, `schema.name` or `schema.*`.
    pub relations: Vec<String>,
    /// What they do to relations.
    pub access: Vec<RuleAccess>,
    /// As relations.
    pub functions: Vec<String>,
    /// Exact statements.
    pub shapes: Vec<[u8; 32]>,
    /// A parameter and its values.
    pub parameter: Option<(u16, Vec<String>)>,
    /// Whether an UPDATE or DELETE has no WHERE.
    pub missing_where: Option<bool>,
    /// More bytes than this.
    pub longer_than: Option<usize>,
}
