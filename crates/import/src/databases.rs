//! Owns `[databases]`: connection strings, the settings that PgBouncer has for all of them, and the
//! passwords that stand there.

use crate::document::{Block, Value};
use crate::fault::Problem;
use crate::ini::Entry;
use crate::listen::SOCKET_DIRECTORY;
use crate::note::Kind;
use crate::pairs::{Pair, pairs, printable};
use crate::userlist::Passwords;
use crate::value::{Form, Same, is_plain};
use crate::{File, Translation};
use buf::Secret;
use std::net::IpAddr;

/// What `[pgbouncer]` says for all databases and every `[[database]]` here for itself.
const GENERAL: &[(&str, Form)] = &[
    ("max_db_connections", Form::Number),
    ("server_connect_timeout", Form::Seconds),
    ("server_login_retry", Form::Seconds),
    ("server_idle_timeout", Form::Seconds),
    ("server_lifetime", Form::Seconds),
    ("server_check_delay", Form::Seconds),
    ("tcp_user_timeout", Form::Millis),
];
/// What a connection string may say, with its name here.
const SAME: &[(&str, Form, &str)] = &[
    ("pool_size", Form::Number, "pool_size"),
    ("min_pool_size", Form::Number, "min_pool_size"),
    ("reserve_pool", Form::Number, "reserve_pool_size"),
    ("reserve_pool_size", Form::Number, "reserve_pool_size"),
    ("pool_mode", Form::PoolMode, "pool_mode"),
    ("max_db_connections", Form::Number, "max_db_connections"),
    (
        "max_db_client_connections",
        Form::Number,
        "max_db_client_connections",
    ),
    ("server_lifetime", Form::Seconds, "server_lifetime"),
];
/// Parameters of sessions, which the server can give as well.
const OF_SESSIONS: &[&str] = &[
    "client_encoding",
    "datestyle",
    "timezone",
    "application_name",
];
/// What a pool has where nothing is written.
const POOL_SIZE: u64 = 20;

impl Translation<'_> {
    /// All databases.
    pub(crate) fn databases(&mut self, passwords: &Passwords, pool: &Block) -> Vec<Block> {
        let mut blocks = Vec::new();
        for entry in &self.ini.databases {
            match pairs(entry) {
                Ok(pairs) => blocks.extend(self.database(entry, &pairs, passwords, pool)),
                Err(fault) => self.faults.push(fault),
            }
        }
        if blocks.is_empty() {
            blocks = self.no_databases();
        }
        blocks
    }

    /// A configuration needs a database; this one leads nowhere.
    fn no_databases(&mut self) -> Vec<Block> {
        let text = "none is there; put yours in place of app and db.example.com";
        self.note(Kind::ToDo, ("databases", None), text);
        let mut database = Block::many("database");
        database.remark("PgBouncer's file has no database. Put yours here.");
        database.set("name", Value::Text("app".to_owned()), None);
        database.set("host", Value::Text("db.example.com".to_owned()), None);
        vec![database]
    }

    fn database(
        &mut self,
        entry: &Entry,
        pairs: &[Pair<'_>],
        passwords: &Passwords,
        pool: &Block,
    ) -> Vec<Block> {
        let at = Some(&entry.at);
        let mut database = Block::many("database");
        if entry.key == "pgbouncer" {
            self.bad((&entry.key, &entry.at), Problem::Reserved);
        }
        if !is_plain(&entry.key, 128) {
            self.bad((&entry.key, &entry.at), Problem::Text);
        }
        database.set("name", Value::Text(entry.key.clone()), at);
        let hosts = self.hosts(pairs);
        let value = match hosts.as_slice() {
            [one] => Value::Text(one.clone()),
            _ => Value::Texts(hosts.clone()),
        };
        database.set("host", value, at);
        for (key, form) in GENERAL {
            self.general_same(&mut database, "database", (key, *form, key));
        }
        for pair in pairs {
            self.parameter(&mut database, entry, pair);
        }
        self.several_hosts(entry, pairs, hosts.len());
        self.forced_user(&mut database, entry, pairs, passwords);
        self.least_fits(&mut database, entry, pool);
        let mut blocks = vec![database];
        blocks.extend(self.server_tls(&hosts));
        blocks
    }

    /// One pair of a connection string, other than those that belong together.
    fn parameter(&mut self, database: &mut Block, entry: &Entry, pair: &Pair<'_>) {
        let key = format!("{}: {}", printable(&entry.key), pair.shown());
        let (at, value) = (&entry.at, pair.value());
        if let Some((_, form, name)) = SAME.iter().find(|it| it.0 == pair.key) {
            let same = Same {
                key: &key,
                form: *form,
                name,
                at,
                value,
            };
            return self.same(database, "database", &same);
        }
        let mut differs = |text| self.note(Kind::Differs, (&key, Some(at)), text);
        match pair.key {
            "host" | "user" | "password" | "load_balance_hosts" => {}
            "auth_user" | "auth_query" | "auth_dbname" => {}
            "dbname" if value == entry.key => {}
            "dbname" if is_plain(value, 128) => {
                database.set("dbname", Value::Text(value.to_owned()), Some(at));
            }
            "dbname" => self.faults.push(pair.fault(Problem::Text)),
            "port" => match value.parse::<u16>() {
                Ok(port @ 1..) => database.set("port", Value::Number(port.into()), Some(at)),
                _ => self.faults.push(pair.fault(Problem::Port)),
            },
            "connect_query" => differs(
                "nothing is run on new server connections; what it sets, ALTER ROLE … IN DATABASE \
                 … SET sets as well",
            ),
            "target_session_attrs" if value == "any" => {}
            "target_session_attrs" => differs(
                "the first host that answers is taken, primary or not; name only hosts that fit",
            ),
            "query_wait_timeout" => {
                differs("there is one for all databases, query_wait_timeout in [limits]");
            }
            key if OF_SESSIONS.contains(&key) => differs(
                "clients say it themselves; for all of them, ALTER ROLE … IN DATABASE … SET on the \
                 server",
            ),
            _ => self.faults.push(pair.fault(Problem::Parameter)),
        }
    }

    fn hosts(&mut self, pairs: &[Pair<'_>]) -> Vec<String> {
        let Some(pair) = pairs.iter().find(|pair| pair.key == "host") else {
            let directory = self.general("unix_socket_dir").map(|(_, value)| value);
            return vec![self.path(directory.unwrap_or(SOCKET_DIRECTORY))];
        };
        let hosts: Vec<String> = pair.value().split(',').map(str::to_owned).collect();
        if !hosts.iter().all(|host| is_host(host)) {
            self.faults.push(pair.fault(Problem::Host));
        }
        hosts
    }

    fn several_hosts(&mut self, entry: &Entry, pairs: &[Pair<'_>], hosts: usize) {
        let balance = pairs.iter().find(|pair| pair.key == "load_balance_hosts");
        if hosts > 1 && balance.is_none_or(|pair| pair.value() != "disable") {
            let key = format!("{}: load_balance_hosts", printable(&entry.key));
            let text = "hosts are tried in their order here, not in turns";
            self.note(Kind::Differs, (&key, Some(&entry.at)), text);
        }
    }

    /// Whom to log in as, whoever the client is. Without a password in the connection string,
    /// PgBouncer takes that of the users file.
    fn forced_user(
        &mut self,
        database: &mut Block,
        entry: &Entry,
        pairs: &[Pair<'_>],
        passwords: &Passwords,
    ) {
        let of = |key: &str| pairs.iter().find(|pair| pair.key == key);
        let at = Some(&entry.at);
        let name = |key: &str| format!("{}: {key}", printable(&entry.key));
        let Some(user) = of("user") else {
            if of("password").is_some() {
                let text = "a password without a user is nobody's; it is left out";
                self.note(Kind::NotNeeded, (&name("password"), at), text);
            }
            return;
        };
        if !is_plain(user.value(), 128) {
            return self.faults.push(user.fault(Problem::Text));
        }
        database.set("user", Value::Text(user.value().to_owned()), at);
        let own = of("password").map(|pair| Secret::new(pair.value().as_bytes()));
        match own.or_else(|| passwords.of(user.value()).cloned()) {
            Some(password) => {
                let stem = match entry.key.as_str() {
                    "*" => "any",
                    key => key,
                };
                let file = self.password_file(&format!("{stem}.password"), password);
                database.set("password_file", Value::Text(file), at);
            }
            None => {
                let text = "its password stands nowhere as such; if the server asks for one, write \
                            it into a file and name that in password_file";
                self.note(Kind::Differs, (&name("user"), at), text);
            }
        }
    }

    /// A file with a password; gives its name, which no other one has.
    pub(crate) fn password_file(&mut self, wanted: &str, password: Secret) -> String {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let safe = |letter: char| if fits(letter) { letter } else { '_' };
        let wanted: String = wanted.chars().map(safe).collect();
        let wanted = wanted.trim_start_matches('.').to_owned();
        let taken = |name: &str| self.files.iter().any(|file| file.name == name);
        let numbered = (2..).map(|number| format!("{number}-{wanted}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let name = names.find(|name| !taken(name)).unwrap_or(wanted);
        self.files.push(File {
            name: name.clone(),
            content: Secret::from_vec([password.expose(), b"\n"].concat()),
        });
        name
    }

    /// PgBouncer keeps no more connections ready than a pool may have; here that is a mistake.
    fn least_fits(&mut self, database: &mut Block, entry: &Entry, pool: &Block) {
        let size = database
            .number("pool_size")
            .or(pool.number("default_pool_size"));
        let size = size.unwrap_or(POOL_SIZE);
        let least = database
            .number("min_pool_size")
            .or(pool.number("min_pool_size"));
        if least.is_some_and(|least| least > size) {
            let key = format!("{}: min_pool_size", printable(&entry.key));
            let text = format!("a pool of {size} keeps no more than that ready");
            self.note(Kind::Differs, (&key, Some(&entry.at)), &text);
            database.set("min_pool_size", Value::Number(size), Some(&entry.at));
        }
    }

    /// `[pool]`.
    pub(crate) fn pool(&mut self, pool: &mut Block) {
        for (key, form) in crate::general::POOL {
            self.general_same(pool, "pool", (key, *form, key));
        }
        let size = pool.number("default_pool_size").unwrap_or(POOL_SIZE);
        if pool
            .number("min_pool_size")
            .is_some_and(|least| least > size)
        {
            let at = self.ini.general("min_pool_size").map(|entry| &entry.at);
            let text = format!("a pool of {size} keeps no more than that ready");
            self.note(Kind::Differs, ("min_pool_size", at), &text);
            pool.set("min_pool_size", Value::Number(size), at);
        }
        self.reset(pool);
    }
}

/// What the configuration takes for a host.
pub(crate) fn is_host(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    is_plain(text, 253)
        && (text.starts_with('/')
            || text.parse::<IpAddr>().is_ok()
            || text.chars().all(fits) && !text.starts_with(['-', '.']))
}
