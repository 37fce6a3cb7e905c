//! Owns the step from a checked configuration to what the shell is told: two sets of plain values
//! that know nothing of each other.

pub(crate) mod cluster;
mod listeners;
mod routes;

pub(crate) use cluster::located;
pub(crate) use routes::route;

use crate::fault::Fault;
use crate::fingerprint::fingerprint;
use crate::material::Material;
use crate::reload::needs_restart;
use auth::{AnswerRules, AuthQueryUser, MockSecret, ServerUser};
use buf::Secret;
use config::{
    ChannelBinding, Config, DatabaseName, DatabaseUser, HostAddress, Method, Origin, Renegotiation,
    ServerTls, ServerTrust, Workers,
};
use session::lending::{PinRule, ResetRule};
use session::statements::StatementLimits;
use shell::setup::{
    AuthQuery, Authentication, Database, Exception, Host, InspectionRules, Limits, LogLines, Login,
    Negotiation, Peer, Peers, PoolMode, PoolRules, Pools, RestRules, Servers, SessionTimeouts,
    Setup, Sharing, TcpOptions, Timeouts, Tls12Limit,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tls::{BadServerName, ServerContext, ServerName};

/// How long saying goodbye to a peer may take.
const CLOSE: Duration = Duration::from_secs(5);

/// What only the running process knows.
pub(crate) struct Circumstances {
    /// Most clients at a time, fitted to the limit of open files where the configuration says so.
    pub(crate) max_client_conn: usize,
    /// Processor cores.
    pub(crate) cores: usize,
    /// Random bytes for the salts of unknown users.
    pub(crate) mock: [u8; 32],
}

/// The shell's setup.
pub(crate) fn setup(
    config: &Config,
    mut material: Material,
    circumstances: &Circumstances,
) -> Result<Setup, Fault> {
    let listen = &config.listen;
    let databases: Result<Vec<_>, BadServerName> = config
        .databases
        .iter()
        .zip(&material.servers)
        .map(|(entry, contexts)| {
            let made = fingerprint(config, entry, &material, &circumstances.mock);
            let database = database(config, entry, contexts, &material)?;
            Ok(Database {
                fingerprint: made,
                ..database
            })
        })
        .collect();
    Ok(Setup {
        listeners: listeners::listeners(config, &material),
        databases: databases?,
        clusters: cluster::clusters(config, &material)?,
        routes: routes::routes(config),
        peers: peers(config, &material)?,
        auth: Authentication {
            exceptions: exceptions(config, &material),
            query: config.auth.auth_query.as_ref().map(|query| AuthQuery {
                user: AuthQueryUser::configured(&query.user),
                password: password(query.password.as_ref(), &material),
                text: query.query.clone(),
                database: query.dbname.clone(),
            }),
            mock: MockSecret::new(&circumstances.mock),
            hba: material.hba.take(),
            users: std::mem::take(&mut material.users),
        },
        limits: Limits {
            max_client_conn: circumstances.max_client_conn,
            cancels_max: config.limits.cancel_concurrency as usize,
            cancels_per_second: config.limits.cancel_rate,
            derivations_max: circumstances.cores,
            pipeline_max: config.limits.max_pipeline as usize,
            logins_max: config.limits.max_concurrent_logins as usize,
            logins_max_per_address: config.limits.max_concurrent_logins_per_address as usize,
            pending_max_per_address: match config.limits.max_pending_logins_per_address {
                // A few must always be able to knock, to be told that there are too many.
                0 => circumstances.max_client_conn.div_ceil(2).max(16),
                most => most as usize,
            },
            logins_per_second: config.limits.login_rate,
            failed_logins_per_minute: config.limits.failed_login_rate,
        },
        timeouts: Timeouts {
            client_login: listen.client_login_timeout,
            query_wait: config.limits.query_wait_timeout,
            query_wait_notify: config.limits.query_wait_notify.unwrap_or_default(),
            session: session_timeouts(config, None),
            of_users: config
                .users
                .iter()
                .map(|user| (user.name.clone(), session_timeouts(config, Some(user))))
                .collect(),
            drain: listen.drain_timeout,
            close: CLOSE,
            cancel: config.limits.cancel_wait_timeout,
            suspend: config.limits.suspend_timeout,
        },
        tcp: tcp(config, listen.tcp_user_timeout),
        log: LogLines {
            connections: config.log.connections,
            disconnections: config.log.disconnections,
        },
        tls12_limit: match config.tls.tls12_limit {
            config::Tls12Limit::Warn => Tls12Limit::Warn,
            config::Tls12Limit::Close => Tls12Limit::Close,
        },
        sharing: sharing(config),
        inspection: config.inspection.as_ref().map(|it| InspectionRules {
            patterns: shell::setup::PatternBounds {
                rows_max: it.patterns_max,
                bytes_max: it.patterns_bytes_max,
            },
            window: shell::setup::WindowLength::of(it.window.as_secs()),
            exported_max: it.patterns_exported,
            // The process attaches its journal.
            log: None,
            // And where spans go.
            spans: None,
        }),
        events_kept: config.events.kept_max,
        policy: config.policy.as_ref().and_then(|policy| {
            Some(shell::setup::PolicyRules {
                rules: Arc::new(crate::rules::rules(policy, &material.statements)?),
                message_bytes_max: policy.message_bytes_max,
                views: views(policy, &material),
            })
        }),
        console: config.admin.as_ref().map(|admin| shell::console::Users {
            admins: admin.admin_users.clone(),
            watchers: admin.stats_users.clone(),
        }),
        settings: settings(config),
        workers: match listen.workers {
            Workers::PerCore => circumstances.cores,
            Workers::Exactly(count) => count as usize,
        },
    })
}

/// What the console shows of the settings.
fn settings(config: &Config) -> Vec<shell::console::Shown> {
    let shown = |setting: &config::Shown| shell::console::Shown {
        key: setting.key.clone(),
        value: setting.value.clone(),
        default: setting.default.clone(),
        is_changeable: !needs_restart(&setting.path),
    };
    config.settings.iter().map(shown).collect()
}

/// How long sessions may be at what, by what a user has instead of what goes for all.
fn session_timeouts(config: &Config, user: Option<&config::User>) -> SessionTimeouts {
    let listen = &config.listen;
    let own = user.map(|user| &user.timeouts);
    let either = |own: Option<Option<Duration>>, general: Option<Duration>| {
        own.unwrap_or(general).unwrap_or_default()
    };
    SessionTimeouts {
        idle: either(
            own.and_then(|it| it.client_idle),
            listen.client_idle_timeout,
        ),
        idle_pinned: config.pool.state.idle_pinned_timeout.unwrap_or_default(),
        idle_transaction: either(
            own.and_then(|it| it.idle_transaction),
            listen.idle_transaction_timeout,
        ),
        transaction: either(
            own.and_then(|it| it.transaction),
            listen.transaction_timeout,
        ),
        query: either(own.and_then(|it| it.query), listen.query_timeout),
    }
}

fn tcp(config: &Config, user_timeout: Option<Duration>) -> TcpOptions {
    TcpOptions {
        keepalive: config.tcp.keepalive,
        keepalive_idle: config.tcp.keepidle,
        keepalive_interval: config.tcp.keepintvl,
        keepalive_count: config.tcp.keepcnt,
        user_timeout,
        backlog: config.listen.backlog,
    }
}

/// How connections are kept up.
fn upkeep(config: &Config, renegotiation: Renegotiation) -> tls::Upkeep {
    let seconds = |age: Duration| u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
    tls::Upkeep {
        limits: tls::KeyLimits {
            records: config.tls.rekey_records,
            bytes: config.tls.rekey_bytes,
            age_s: config.tls.rekey_interval.map(seconds),
        },
        renegotiation: match renegotiation {
            Renegotiation::Refuse => tls::Renegotiation::Refused,
            Renegotiation::Allow => tls::Renegotiation::Allowed,
        },
    }
}

fn method(method: Method) -> auth::Method {
    match method {
        Method::ScramSha256 => auth::Method::ScramSha256,
        Method::Md5 => auth::Method::Md5,
        Method::Password => auth::Method::Password,
        Method::Cert => auth::Method::Certificate,
        Method::Trust => auth::Method::Trust,
    }
}

fn exceptions(config: &Config, material: &Material) -> HashMap<String, Exception> {
    let exception = |user: &config::User| {
        let exception = Exception {
            method: user.method.map(method),
            login: user.server_user.as_ref().map(|user| login(user, material)),
        };
        (user.name.clone(), exception)
    };
    config.users.iter().map(exception).collect()
}

fn login(user: &DatabaseUser, material: &Material) -> Login {
    Login::Forced {
        user: ServerUser::configured(&user.name),
        password: password(user.password.as_ref(), material),
    }
}

/// How rules see through views.
fn views(policy: &config::Policy, material: &Material) -> Option<shell::setup::ViewRules> {
    let user = policy.catalog_user.as_ref().map(|(user, origin)| {
        let user = ServerUser::configured(user);
        (user, password(origin.as_ref(), material))
    });
    match policy.views {
        config::PolicyViews::Off => None,
        config::PolicyViews::Auto | config::PolicyViews::Required => {
            Some(shell::setup::ViewRules {
                is_required: policy.views == config::PolicyViews::Required,
                user,
                interval: policy.catalog_interval,
            })
        }
    }
}

fn password(origin: Option<&Origin>, material: &Material) -> Option<Secret> {
    origin
        .and_then(|origin| material.passwords.get(origin))
        .cloned()
}

fn database(
    config: &Config,
    entry: &config::Database,
    contexts: &[Option<ServerContext>],
    material: &Material,
) -> Result<Database, BadServerName> {
    Ok(Database {
        name: match &entry.name {
            DatabaseName::Named(name) => Some(name.clone()),
            DatabaseName::Any => None,
        },
        dbname: entry.dbname.clone(),
        servers: servers(config, entry, contexts)?,
        login: match &entry.user {
            Some(user) => login(user, material),
            None => Login::AsClient,
        },
        connections_max: entry.max_db_connections.map(|max| max as usize),
        rest: RestRules {
            resting_max: entry.server_idle_max as usize,
            rest_max: entry.server_idle_timeout,
            lifetime: entry.server_lifetime.unwrap_or_default(),
            check_after: entry.server_check_delay,
        },
        pools: pools(config, entry),
        mirror: entry.mirror.as_ref().map(mirrored),
        connect_timeout: entry.server_connect_timeout,
        login_retry: entry.server_login_retry,
        clients_max: config.max_database_clients(entry).map(|max| max as usize),
        tcp: tcp(config, entry.tcp_user_timeout).into(),
        fingerprint: [0; 32],
    })
}

/// Where a database's statements are copied to.
fn mirrored(it: &config::Mirrored) -> shell::setup::Mirrored {
    shell::setup::Mirrored {
        to: it.to.clone(),
        share: it.share,
        connections: it.connections as usize,
        queue_max: it.queue_max as usize,
        bytes_max: it.bytes_max as usize,
        timeout: it.timeout,
    }
}

/// Where the servers of a database are.
fn servers(
    config: &Config,
    entry: &config::Database,
    contexts: &[Option<ServerContext>],
) -> Result<Servers, BadServerName> {
    let listed = match &entry.servers {
        config::Servers::Listed(listed) => listed,
        config::Servers::Of(followed) => return Ok(Servers::Of(cluster::followed(followed))),
    };
    let hosts = listed.hosts.iter().zip(contexts);
    let hosts = hosts.map(|(it, context)| {
        let tls = (listed.tls_of(it), context.as_ref());
        host(config, it, tls).map(Arc::new)
    });
    Ok(Servers::Listed(hosts.collect::<Result<_, _>>()?))
}

/// The instances behind the same address.
fn peers(config: &Config, material: &Material) -> Result<Peers, BadServerName> {
    let peer = |(peer, context): (&config::Peer, &Option<ServerContext>)| {
        Ok(Peer {
            number: number(peer.id),
            host: Arc::new(host(config, &peer.host, (&peer.tls, context.as_ref()))?),
        })
    };
    let others: Result<Vec<_>, _> = config.peers.iter().zip(&material.peers).map(peer).collect();
    Ok(Peers {
        own: config.listen.peer_id.map(number),
        others: others?,
    })
}

/// An instance's number; the configuration has its bound.
fn number(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(session::hop::INSTANCE_MAX)
}

/// What becomes of the sessions' state where server connections are shared.
fn sharing(config: &Config) -> Sharing {
    let (state, prepared) = (&config.pool.state, &config.pool.prepared);
    let lower = |names: &[String]| names.iter().map(|it| it.to_ascii_lowercase()).collect();
    Sharing {
        reset: match state.reset {
            config::ServerReset::Auto => ResetRule::Auto,
            config::ServerReset::Always => ResetRule::Always,
            config::ServerReset::Never => ResetRule::Never,
        },
        pinning: match state.pinning {
            config::Pinning::Allow => PinRule::Allow,
            config::Pinning::Refuse => PinRule::Refuse,
        },
        statements: StatementLimits {
            server_max: prepared.per_server.unwrap_or(0) as usize,
            client_max: prepared.count_max as usize,
            client_bytes_max: usize::try_from(prepared.bytes_max).unwrap_or(usize::MAX),
            ..StatementLimits::default()
        },
        tracked: lower(&state.tracked),
        ignored: lower(&state.ignored),
    }
}

/// How the clients of a database share its server connections.
fn pools(config: &Config, entry: &config::Database) -> Pools {
    let rules = |user: Option<&config::User>| {
        let size = config.pool_size(entry, user);
        PoolRules {
            mode: match size.mode {
                config::PoolMode::Session => PoolMode::Session,
                config::PoolMode::Transaction => PoolMode::Transaction,
                config::PoolMode::Statement => PoolMode::Statement,
            },
            size: Some(size.size as usize),
            ready: size.min_size as usize,
            guaranteed: size.guaranteed as usize,
            role_max: config.max_user_connections(user).map(|max| max as usize),
            clients_max: config.max_user_clients(user).map(|max| max as usize),
            pinned_max: config.pool.state.max_pinned_of(size.size) as usize,
            reserve: size.reserve_size as usize,
            reserve_after: config.pool.reserve_timeout,
        }
    };
    let of_user = |user: &config::User| (user.name.clone(), rules(Some(user)));
    Pools {
        general: rules(None),
        of_users: config.users.iter().map(of_user).collect(),
    }
}

fn host(
    config: &Config,
    host: &config::Host,
    tls: (&ServerTls, Option<&ServerContext>),
) -> Result<Host, BadServerName> {
    let address = match &host.address {
        HostAddress::Name(name) => shell::setup::HostAddress::Tcp(name.clone(), host.port),
        HostAddress::Ip(ip) => shell::setup::HostAddress::Tcp(ip.to_string(), host.port),
        HostAddress::UnixDir(dir) => {
            shell::setup::HostAddress::Unix(dir.join(format!(".s.PGSQL.{}", host.port)))
        }
    };
    let own = || match &host.address {
        HostAddress::Name(name) => ServerName::parse(name),
        HostAddress::Ip(ip) => Ok(ServerName::Ip(*ip)),
        HostAddress::UnixDir(_) => ServerName::parse("localhost"),
    };
    let name = server_name(tls.0).unwrap_or_else(own)?;
    Ok(reached(config, (address, name), tls))
}

/// The name to verify, if another one than the host's was written.
fn server_name(tls: &ServerTls) -> Option<Result<ServerName, BadServerName>> {
    match tls {
        ServerTls::On(tls) => tls.server_name.as_deref().map(ServerName::parse),
        ServerTls::Disabled => None,
    }
}

/// A host at this place, which is to have this name.
fn reached(
    config: &Config,
    (address, name): (shell::setup::HostAddress, ServerName),
    (tls, context): (&ServerTls, Option<&ServerContext>),
) -> Host {
    let (ServerTls::On(tls), Some(context)) = (tls, context) else {
        return Host {
            address,
            upkeep: tls::Upkeep::default(),
            tls: shell::setup::ServerTls::UnencryptedByConfiguration,
            rules: AnswerRules {
                binding: auth::ChannelBinding::Disable,
                ..AnswerRules::default()
            },
        };
    };
    let verified = !matches!(tls.trust, ServerTrust::AnyOrPlaintext | ServerTrust::Any);
    let context = context.clone();
    Host {
        address,
        upkeep: upkeep(config, tls.renegotiation),
        tls: match tls.trust {
            ServerTrust::AnyOrPlaintext => shell::setup::ServerTls::Preferred { context, name },
            _ => shell::setup::ServerTls::Required {
                context,
                name,
                negotiation: match tls.negotiation {
                    config::Negotiation::Postgres => Negotiation::Postgres,
                    config::Negotiation::Direct => Negotiation::Direct,
                },
                verified,
            },
        },
        rules: AnswerRules {
            binding: match tls.channel_binding {
                ChannelBinding::Disable => auth::ChannelBinding::Disable,
                ChannelBinding::Prefer => auth::ChannelBinding::Prefer,
                ChannelBinding::Require => auth::ChannelBinding::Require,
            },
            clear_password: match verified {
                true => auth::ClearPassword::InsideVerifiedTls,
                false => auth::ClearPassword::Never,
            },
            ..AnswerRules::default()
        },
    }
}
