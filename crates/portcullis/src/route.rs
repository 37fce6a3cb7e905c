//! Owns `portcullis route explain`: where a statement of a user in a database would go by a configuration, and why.
//! Asks no server and no running proxy.

use crate::check::summary::destination;
use crate::cli::{ExplainOptions, RouteCommand};
use crate::fault::Fault;
use crate::material::{now_unix_s, rules_about_statements};
use crate::output::say;
use crate::{load, setup};
use cluster::Wish;
use config::{Config, Database, DatabaseName, Followed, PoolMode, RouteReads, Servers};
use policy::{Context, Moment, Tls};
use session::arrival::Newcomer;
use session::routes::Asker;
use session::routing::{Leading, Led, Look, Route, Router, ToPrimary, ToStandby};
use wire::ProtocolVersion;
use wire::startup::{Replication, StartupMessage};

/// Who it is if nobody says so: a packet needs a user.
const ANYBODY: &str = "anybody";

/// Carries the command out.
pub(crate) fn run(command: &RouteCommand) -> Result<(), Vec<Fault>> {
    let RouteCommand::Explain(options) = command;
    let config = load::configuration(&options.config)?;
    let more = rules_about_statements(&config)?;
    let newcomer = newcomer(options).map_err(|fault| vec![fault])?;
    let lines = explain(&config, &more, (options, &newcomer)).ok_or_else(|| {
        vec![Fault::NoSuchDatabase {
            name: options.database.clone(),
        }]
    })?;
    lines.iter().for_each(|line| say(line));
    Ok(())
}

/// A client that comes as it is said.
fn newcomer(options: &ExplainOptions) -> Result<Newcomer, Fault> {
    let user = options.user.clone().unwrap_or_default();
    let mut parameters = vec![
        ("user", if user.is_empty() { ANYBODY } else { &user }),
        ("database", &options.database),
    ];
    if let Some(name) = &options.application {
        parameters.push(("application_name", name));
    }
    for option in &options.options {
        let pair = option.split_once('=').filter(|it| !it.0.is_empty());
        parameters.push(pair.ok_or_else(|| Fault::BadOption {
            option: option.clone(),
        })?);
    }
    let bytes = parameters.iter();
    let bytes = bytes.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let startup = StartupMessage::new(ProtocolVersion::V3_2, bytes);
    Ok(Newcomer {
        user: user.clone(),
        database: options.database.clone(),
        replication: Replication::No,
        version: ProtocolVersion::V3_2,
        startup: startup.map_err(|_| Fault::BadOption {
            option: options.options.join(" "),
        })?,
    })
}

/// What is to be said; `None` if no section of the configuration serves that database.
fn explain(
    config: &Config,
    more: &[config::Rule],
    (options, newcomer): (&ExplainOptions, &Newcomer),
) -> Option<Vec<String>> {
    let asker = Asker {
        newcomer,
        server_name: options.server_name.as_deref(),
        address: options.address,
    };
    let mut routes = config.routes.iter().map(setup::route);
    let route = routes.find(|it| it.conditions.hold(asker));
    let mut lines = Vec::new();
    let (mut database, mut wish) = (options.database.clone(), None);
    if let Some(route) = route {
        let mut to = Vec::new();
        if let Some(name) = &route.to {
            to.push(format!("database {name:?}"));
            database.clone_from(name);
        }
        if let Some(target) = route.wish {
            to.push(format!("hosts by target {:?}", target.word()));
        }
        lines.push(format!(
            "route {:?} leads the session to {}",
            route.name,
            to.join(" and ")
        ));
        wish = route.wish;
    }
    let entry = entry(config, &database)?;
    lines.push(destination(config, entry));
    let stays = |why: &str| format!("the statement goes where its session is: {why}");
    let Servers::Of(followed) = &entry.servers else {
        lines.push(stays("the first of the hosts that can be reached"));
        return Some(lines);
    };
    let user = options.user.as_ref();
    let user = user.and_then(|name| config.users.iter().find(|it| it.name == *name));
    let mode = config.pool_size(entry, user).mode;
    let led = match followed.route_reads {
        RouteReads::Off => {
            lines.push(stays("route_reads = \"off\""));
            return Some(lines);
        }
        RouteReads::Replicas => Led::Reads,
        RouteReads::Asked => Led::Asked,
    };
    if wish.is_some_and(|it| it != Wish::Primary) {
        lines.push(stays("its route has a target of its own"));
        return Some(lines);
    }
    if mode == PoolMode::Session {
        lines.push(stays("this user's pool_mode is \"session\""));
        return Some(lines);
    }
    let rules = config.policy.as_ref();
    let rules = rules.and_then(|it| crate::rules::rules(it, more));
    let context = context(options, newcomer, entry);
    let look = Look {
        led,
        rules: rules.as_ref().map(|rules| Leading {
            rules,
            context: &context,
            now: Moment::of(now_unix_s().unsigned_abs()),
        }),
        ..Look::default()
    };
    let route = Router::default().judge(options.sql.as_bytes(), look);
    let by = match route {
        Route::Primary(ToPrimary::Rule(rule)) | Route::Standby(ToStandby::Rule(rule)) => {
            let rule = rules.as_ref().and_then(|it| it.rule(rule));
            rule.map_or(String::new(), |it| format!(" ({:?})", it.name))
        }
        _ => String::new(),
    };
    lines.push(format!(
        "outside a transaction, the statement goes {route}{by}"
    ));
    lines.push("within one, it goes where the transaction began".to_owned());
    if let Route::Standby(_) = route {
        lines.push(bounds(config, followed)?);
    }
    Some(lines)
}

/// What rules may ask about the client, as far as it was said.
fn context(options: &ExplainOptions, newcomer: &Newcomer, entry: &Database) -> Context {
    let role = entry.user.as_ref().map(|it| it.name.clone());
    Context {
        user: newcomer.user.clone(),
        role: role.unwrap_or_else(|| newcomer.user.clone()),
        database: options.database.clone(),
        application: options.application.clone().unwrap_or_default(),
        address: options.address,
        tls: Tls::V1_3,
        client_certificate: false,
        views: policy::views::Sight::Names,
    }
}

/// Which standbys will do.
fn bounds(config: &Config, followed: &Followed) -> Option<String> {
    let cluster = config.cluster(&followed.cluster)?;
    let mut bounds = Vec::new();
    if let Some(bytes) = cluster.reads.lag_bytes_max {
        bounds.push(format!("at most {bytes} bytes behind"));
    }
    if let Some(age) = cluster.reads.lag_max {
        bounds.push(format!("at most {age:?} behind"));
    }
    bounds.push("that has replayed what this client wrote".to_owned());
    Some(format!(
        "one that is up, {}; if there is none, to the primary",
        bounds.join(", ")
    ))
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
        [[cluster]]\nname = \"main\"\nhosts = [\"db1\", \"db2\"]\ncheck_user = \"c\"\nlag_bytes_max = 1000\n\
        [[database]]\nname = \"asked\"\ncluster = \"main\"\npool_mode = \"transaction\"\nroute_reads = \"asked\"\n\
        [[route]]\nname = \"bi\"\napplication = \"bi\"\nto = \"app\"\n\
        [[route]]\nname = \"old\"\napplication = \"old\"\ndatabase = \"app\"\ntarget = \"standby\"\n\
        [policy]\ndefault = \"allow\"\n\
        [[rule]]\nname = \"fresh\"\naction = \"route\"\ntarget = \"primary\"\nrelation = \"fresh\"\n\
        [[rule]]\nname = \"reports\"\naction = \"route\"\ntarget = \"standby\"\nfunction = \"report\"\n";

    fn said(database: &str, application: Option<&str>, sql: &str) -> Option<String> {
        let (config, _) = Config::from_text(TEXT, "p.toml").unwrap();
        let options = ExplainOptions {
            sql: sql.to_owned(),
            database: database.to_owned(),
            user: None,
            server_name: None,
            application: application.map(str::to_owned),
            options: Vec::new(),
            address: None,
            config: PathBuf::new(),
        };
        let newcomer = newcomer(&options).unwrap();
        explain(&config, &[], (&options, &newcomer)).map(|lines| lines.join("\n"))
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
            let said = said(database, None, sql).unwrap();
            assert!(said.contains(wanted), "{database} {sql}: {said}");
        }
        assert_eq!(said("nowhere", None, "SELECT 1"), None);
    }

    #[test]
    fn by_which_route_and_which_rule() {
        let table = [
            (
                "nowhere",
                Some("bi"),
                "SELECT 1",
                "route \"bi\" leads the session to database \"app\"",
            ),
            (
                "nowhere",
                Some("bi"),
                "SELECT 1",
                "to a standby: it only reads",
            ),
            (
                "app",
                Some("old"),
                "SELECT 1",
                "its route has a target of its own",
            ),
            (
                "app",
                None,
                "SELECT * FROM fresh",
                "to the primary: a rule says so (\"fresh\")",
            ),
            (
                "app",
                None,
                "SELECT report()",
                "to a standby: a rule says so (\"reports\")",
            ),
            ("asked", None, "SELECT 1", "neither a rule nor a hint"),
            (
                "asked",
                None,
                "SELECT report()",
                "to a standby: a rule says so",
            ),
        ];
        for (database, application, sql, wanted) in table {
            let said = said(database, application, sql).unwrap();
            assert!(said.contains(wanted), "{database} {sql}: {said}");
        }
    }
}
