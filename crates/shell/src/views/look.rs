//! Owns one look at a database's catalogs: a connection of its own, verified as all others to its servers are, and one
//! question.

use crate::context::Context;
use crate::dial::{self, Dialled, ServerLogin, converse, full};
use crate::setup::{Database, Login, Setup, ViewRules};
use auth::{Credential, ServerUser};
use buf::Secret;
use policy::views::{Dependencies, Dependency, Leads};
use session::fault::Fault;
use session::listing::{Listing, Reading};
use wire::ProtocolVersion;
use wire::startup::StartupMessage;

/// What is asked. Every role may read these, and all of it stands in pg_catalog. System catalogs that a view reads are
/// not among what it depends on: PostgreSQL doesn't note that of what can't be dropped.
const QUESTION: &str = "\
    SELECT DISTINCT CASE WHEN w.ev_type <> '1' THEN 'w' WHEN f.relkind = 'm' THEN 'm' ELSE 'v' END, \
    fn.nspname, f.relname, tn.nspname, t.relname \
    FROM pg_catalog.pg_rewrite w \
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid \
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class \
    JOIN pg_catalog.pg_class f ON f.oid = w.ev_class \
    JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
    JOIN pg_catalog.pg_class t ON t.oid = d.refobjid \
    JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
    UNION ALL \
    SELECT 'c', fn.nspname, f.relname, tn.nspname, t.relname \
    FROM pg_catalog.pg_inherits i \
    JOIN pg_catalog.pg_class f ON f.oid = i.inhparent AND f.relkind IN ('r', 'p', 'f') \
    JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
    JOIN pg_catalog.pg_class t ON t.oid = i.inhrelid \
    JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace";

/// Who looks in a database; `None`: nobody may.
pub(super) fn login(
    setup: &Setup,
    rules: &ViewRules,
    database: &Database,
) -> Option<(ServerUser, Option<Secret>)> {
    if let Some(user) = &rules.user {
        return Some(user.clone());
    }
    match (&database.login, &setup.auth.query) {
        (Login::Forced { user, password }, _) => Some((user.clone(), password.clone())),
        (Login::AsClient, Some(query)) => {
            let user = ServerUser::for_auth_query(&query.user);
            Some((user, query.password.clone()))
        }
        (Login::AsClient, None) => None,
    }
}

/// Looks by a setup.
pub(super) struct Looker<'a> {
    pub(super) context: &'a Context,
    pub(super) setup: &'a Setup,
    pub(super) rules: &'a ViewRules,
}

impl Looker<'_> {
    /// What is found in a database, or why nothing is.
    pub(super) async fn look(&self, name: &str) -> Result<Dependencies, String> {
        let database = self.setup.database(name);
        let database = database.ok_or("there is no such database any more")?;
        let login = login(self.setup, self.rules, database);
        let (user, password) = login.ok_or("nobody may: policy.catalog_user is not set")?;
        let asked = self.ask((name, database), (&user, password.as_ref()));
        let answered = tokio::time::timeout(database.connect_timeout, asked).await;
        let answered = answered.map_err(|_| "server_connect_timeout passed")?;
        let listing = answered.map_err(|fault| fault.to_string())??;
        if listing.left_out > 0 {
            return Err(policy::views::TooMany.to_string());
        }
        let found = listing.rows.into_iter().map(dependency);
        let found: Option<Vec<_>> = found.collect();
        let found = found.ok_or("the answer was not understood")?;
        Dependencies::new(found).map_err(|fault| fault.to_string())
    }

    async fn ask(
        &self,
        (name, database): (&str, &Database),
        (user, password): (&ServerUser, Option<&Secret>),
    ) -> Result<Result<Listing, String>, Fault> {
        let startup = [
            ("user", user.name()),
            ("database", database.dbname.as_deref().unwrap_or(name)),
            ("application_name", "portcullis views"),
            ("client_encoding", "UTF8"),
            ("search_path", ""),
        ]
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let startup = match StartupMessage::new(ProtocolVersion::V3_0, startup) {
            Ok(startup) => startup,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        let login = ServerLogin {
            user,
            credential: match password {
                Some(password) => Credential::Password(password.clone()),
                None => Credential::None,
            },
            startup: &startup,
        };
        let hosts = self.context.clusters.hosts(&database.servers);
        let deriver = &self.context.deriver;
        let dialled = dial::dial(&hosts, &database.tcp, deriver, login).await?;
        let Dialled { mut port, .. } = dialled;
        let mut reading = Reading::default();
        full(Reading::ask(QUESTION, port.room()).map(|it| reading = it))?;
        reading = reading.rows_max(Dependencies::MAX);
        let answer = converse(&mut port, |input, _| reading.step(input)).await?;
        full(port.room().push(session::farewell::TERMINATE))?;
        let _ = tokio::time::timeout(self.setup.timeouts.close, port.close()).await;
        Ok(answer.map_err(|words| format!("{} {}", words.sqlstate, words.message)))
    }
}

/// What a row says; `None` if it makes no sense.
fn dependency(row: Vec<Option<String>>) -> Option<Dependency> {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    let leads = match next()?.as_str() {
        "v" => Leads::View,
        "m" => Leads::Materialized,
        "w" => Leads::Rewrite,
        "c" => Leads::Child,
        _ => return None,
    };
    let mut name = || Some((next()?.into_bytes(), next()?.into_bytes()));
    Some(Dependency {
        leads,
        from: name()?,
        to: name()?,
    })
}
