//! Owns `portcullis route explain`: where a statement of a user in a database would go by a configuration, and why.
//! Asks no server and no running proxy.

use crate::check::summary::destination;
use crate::cli::{ExplainOptions, RouteCommand};
use crate::fault::Fault;
use crate::load;
use crate::output::say;
use config::{Config, Database, DatabaseName, PoolMode, RouteReads, Servers};
use session::routing::{Route, Router};
use sql::Lexing;

/// Carries the command out.
pub(crate) fn run(command: &RouteCommand) -> Result<(), Vec<Fault>> {
    let RouteCommand::Explain(options) = command;
    let config = load::configuration(&options.config)?;
    let lines = explain(&config, options).ok_or_else(|| {
        vec![Fault::NoSuchDatabase {
            name: options.database.clone(),
        }]
    })?;
    lines.iter().for_each(|line| say(line));
    Ok(())
}

/// What is to be said; `None` if no section of the configuration serves that database.
fn explain(config: &Config, options: &ExplainOptions) -> Option<Vec<String>> {
    let entry = entry(config, &options.database)?;
    let mut lines = vec![destination(config, entry)];
    let Servers::Of(followed) = &entry.servers else {
        lines.push(
            "the statement goes where its session is: the first of the hosts that can be reached"
                .to_owned(),
        );
        return Some(lines);
    };
    let user = options.user.as_ref();
    let user = user.and_then(|name| config.users.iter().find(|it| it.name == *name));
    let mode = config.pool_size(entry, user).mode;
    if followed.route_reads == RouteReads::Off {
        lines.push("the statement goes where its session is: route_reads = \"off\"".to_owned());
        return Some(lines);
    }
    if mode == PoolMode::Session {
        lines.push(
            "the statement goes where its session is: this user's pool_mode is \"session\""
                .to_owned(),
        );
        return Some(lines);
    }
    let route = Router::default().judge(options.sql.as_bytes(), Lexing::default(), None);
    lines.push(format!("outside a transaction, the statement goes {route}"));
    lines.push("within one, it goes where the transaction began".to_owned());
    if let Route::Standby(_) = route {
        let cluster = config.cluster(&followed.cluster)?;
        let mut bounds = Vec::new();
        if let Some(bytes) = cluster.reads.lag_bytes_max {
            bounds.push(format!("at most {bytes} bytes behind"));
        }
        if let Some(age) = cluster.reads.lag_max {
            bounds.push(format!("at most {age:?} behind"));
        }
        bounds.push("that has replayed what this client wrote".to_owned());
        lines.push(format!(
            "one that is up, {}; if there is none, to the primary",
            bounds.join(", ")
        ));
    }
    Some(lines)
}

/// The section that serves a database.
fn entry<'a>(config: &'a Config, name: &str) -> Option<&'a Database> {
    let named = |it: &&Database| matches!(&it.name, DatabaseName::Named(own) if own == name);
    let all = |it: &&Database| it.name == DatabaseName::Any;
    let mut entries = config.databases.iter();
    entries.clone().find(named).or_else(|| entries.find(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const TEXT: &str = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n[auth]\nauth_user = \"u\"\n\
        [[database]]\nname = \"app\"\ncluster = \"main\"\npool_mode = \"transaction\"\nroute_reads = \"replicas\"\n\
        [[database]]\nname = \"whole\"\ncluster = \"main\"\n\
        [[database]]\nname = \"one\"\nhost = \"db\"\n\
        [[cluster]]\nname = \"main\"\nhosts = [\"db1\", \"db2\"]\ncheck_user = \"c\"\nlag_bytes_max = 1000\n";

    fn said(database: &str, sql: &str) -> Option<String> {
        let (config, _) = Config::from_text(TEXT, "p.toml").unwrap();
        let options = ExplainOptions {
            sql: sql.to_owned(),
            database: database.to_owned(),
            user: None,
            config: PathBuf::new(),
        };
        explain(&config, &options).map(|lines| lines.join("\n"))
    }

    #[test]
    fn where_and_why() {
        let table = [
            ("app", "SELECT 1", "to a standby: it only reads"),
            ("app", "SELECT 1", "at most 1000 bytes behind"),
            (
                "app",
                "DELETE FROM t",
                "to the primary: it may do more than read",
            ),
            ("whole", "SELECT 1", "route_reads = \"off\""),
            ("one", "SELECT 1", "the first of the hosts"),
        ];
        for (database, sql, wanted) in table {
            let said = said(database, sql).unwrap();
            assert!(said.contains(wanted), "{database} {sql}: {said}");
        }
        assert_eq!(said("nowhere", "SELECT 1"), None);
    }
}
