//! The proxy in front of a flock, and clients that write all the time and know what they were promised.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::{Cluster, Flock, Member, tools, wait};

use crate::drivers::Endpoint;
use crate::scripted::Session;
use crate::tables::{ADMIN, Row, WATCHER, console, of, show, text};
use crate::{Stage, StagePlan};

/// Who asks the hosts what they are.
pub const CHECKER: (&str, &str) = ("portcullis_check", "password of the checker");

/// How long they may take to write or to end, whatever becomes of the hosts.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the clients write to.
pub const TABLES: &str = "CREATE TABLE register (client int, number int, PRIMARY KEY (client, number)); \
    CREATE TABLE counters AS SELECT client, 0 AS value FROM generate_series(0, 127) AS client; \
    ALTER TABLE counters ADD PRIMARY KEY (client)";

/// The checker, and a role with a database of its own on all members, with the tables of the clients.
#[track_caller]
pub fn role(flock: &Flock, name: &str) -> Endpoint {
    flock[0].make_role(CHECKER.0, CHECKER.1);
    another_role(flock, name)
}

/// Such a role in a flock that has the checker already.
#[track_caller]
pub fn another_role(flock: &Flock, name: &str) -> Endpoint {
    let primary = &flock[0];
    let endpoint = Endpoint::direct(primary, name);
    primary.sql_in(name, TABLES);
    primary.sql_in(name, &format!("ALTER TABLE register OWNER TO {name}"));
    primary.sql_in(name, &format!("ALTER TABLE counters OWNER TO {name}"));
    for standby in &flock.members()[1..] {
        standby.await_caught_up_with(primary);
    }
    endpoint
}

/// What the configuration calls a member.
pub fn host(member: &Member) -> String {
    format!("localhost:{}", member.port())
}

/// A proxy in front of the flock with one database in transaction mode that wants the primary; `more` stands in the
/// section of the cluster.
pub fn plan(flock: &Flock, role: &Endpoint, more: &str) -> StagePlan {
    let hosts: Vec<String> = flock.members().iter().map(host).collect();
    plan_of(flock, role, &hosts, more)
}

/// The same with these hosts.
pub fn plan_of(flock: &Flock, role: &Endpoint, hosts: &[String], more: &str) -> StagePlan {
    let hosts: Vec<String> = hosts.iter().map(|it| format!("'{it}'")).collect();
    let source = format!("hosts = [{}]\n{more}", hosts.join(", "));
    plan_from(flock, role, &source, flock.ca_file())
}

/// The same where the section of the cluster says itself which hosts there are, which these authorities signed for.
pub fn plan_from(flock: &Flock, role: &Endpoint, section: &str, ca_file: &Path) -> StagePlan {
    // A machine that runs other tests beside this one may be slow for seconds, which is no death. Who is about that
    // says so.
    let patience = match section.contains("check_timeout") {
        true => "",
        false => "check_timeout = '20s'",
    };
    let cluster = format!(
        "[admin]\nadmin_users = '{}'\nstats_users = ['{}']\n\
         [[cluster]]\nname = 'main'\ncheck_user = '{}'\ncheck_password_file = 'checker.password'\n\
         {patience}\n{section}\n[cluster.tls]\nca = '{}'\n",
        ADMIN.0,
        WATCHER.0,
        CHECKER.0,
        ca_file.display(),
    );
    StagePlan::new("localhost", flock[0].port(), flock.ca_file())
        .unset("database", "host")
        .unset("database", "port")
        .unset("database.tls", "ca")
        .set("database", "cluster", "'main'")
        .set("database", "pool_mode", "'transaction'")
        .file("checker.password", CHECKER.1)
        .user(role)
        .user_with(ADMIN.0, ADMIN.1)
        .user_with(WATCHER.0, WATCHER.1)
        .more(&cluster)
}

/// One more database of the cluster, which leads to the role's own by another wish.
pub fn database(name: &str, role: &Endpoint, target: &str) -> String {
    format!(
        "[[database]]\nname = '{name}'\ndbname = '{}'\ncluster = 'main'\npool_mode = 'transaction'\n\
         target = '{target}'\n",
        role.database
    )
}

/// A session with one of the databases of the cluster.
#[track_caller]
pub fn session(stage: &Stage, role: &Endpoint, database: &str) -> Session {
    let endpoint = Endpoint {
        database: database.to_owned(),
        ..stage.endpoint(role)
    };
    Session::through(stage, &endpoint)
}

/// What `SHOW HOSTS` says of a server, once that is so.
#[track_caller]
pub fn await_host(stage: &Stage, port: u16, what: &str, is_so: impl Fn(&Row) -> bool) -> Row {
    let port = port.to_string();
    let mut admin = console(stage, ADMIN);
    let mut last = Vec::new();
    let found = wait::within(wait::LONG, || {
        last = show(&mut admin, "HOSTS");
        let row = last.iter().find(|it| text(it, "port") == port);
        row.filter(|it| is_so(it)).cloned()
    });
    found.unwrap_or_else(|| panic!("{port} is not {what}: {last:?}\n{}", stage.proxy.log()))
}

/// Waits until the proxy knows this server as one of that role that is up.
#[track_caller]
pub fn await_role(stage: &Stage, port: u16, role: &str) -> Row {
    await_host(stage, port, role, |it| {
        (text(it, "role"), text(it, "health")) == (role, "up")
    })
}

/// Waits until the leader of the cluster is the one at this port, or there is none.
#[track_caller]
pub fn await_leader(stage: &Stage, leader: Option<&Member>) {
    let wanted = leader.map(host).unwrap_or_default();
    let mut admin = console(stage, ADMIN);
    wait::until("the leader", wait::LONG, || {
        let clusters = show(&mut admin, "CLUSTERS");
        text(of(&clusters, "name", "main"), "leader") == wanted
    });
}

/// How many connections a role has to a server.
#[track_caller]
pub fn count_of_backends(server: &Cluster, role: &str) -> usize {
    let query = format!("SELECT 1 FROM pg_stat_activity WHERE usename = '{role}'");
    server.sql(&query).len()
}

/// Clients that write.
pub struct Writers {
    program: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// What they were promised.
pub struct Written {
    said: Value,
}

impl Writers {
    /// So many clients, all of which have written something by now.
    #[track_caller]
    pub fn start(stage: &Stage, role: &Endpoint, clients: usize) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers/register.py");
        let mut command = stage.endpoint(role).command(tools::python());
        let mut program = command
            .arg(script)
            .arg(clients.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let mut writers = Self {
            input: program.stdin.take().expect("its input"),
            lines: read(program.stdout.take().expect("its output")),
            program,
        };
        assert_eq!(writers.line(), "ready");
        writers
    }

    /// Seconds until the next write is acknowledged.
    #[track_caller]
    pub fn until_next_write(&mut self) -> f64 {
        self.tell("mark");
        let line = self.line();
        let seconds = line.strip_prefix("first ").and_then(|it| it.parse().ok());
        seconds.unwrap_or_else(|| panic!("{line:?}"))
    }

    /// Ends them.
    #[track_caller]
    pub fn stop(mut self) -> Written {
        self.tell("stop");
        let said = serde_json::from_str(&self.line()).expect("what they say");
        assert!(self.program.wait().expect("its end").success());
        Written { said }
    }

    #[track_caller]
    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("its input");
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("no word from the clients that write")
    }
}

/// Its lines, as they come.
fn read(output: ChildStdout) -> Receiver<String> {
    let (line, lines) = channel();
    thread::spawn(move || {
        let all = BufReader::new(output).lines().map_while(Result::ok);
        all.for_each(|it| drop(line.send(it)));
    });
    lines
}

impl Drop for Writers {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Written {
    /// SQLSTATE and text of what failed.
    pub fn errors(&self) -> Vec<(String, String)> {
        let errors = self.said["errors"].as_array().expect("errors");
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        errors
            .iter()
            .map(|it| (text(&it[0]), text(&it[1])))
            .collect()
    }

    /// What became of the client that did nothing.
    pub fn idle(&self) -> &str {
        self.said["idle"].as_str().expect("idle")
    }

    /// Seconds that a write took at most.
    pub fn slowest(&self) -> f64 {
        self.said["slowest"].as_f64().expect("seconds")
    }

    /// Checks what is in the primary: all that was acknowledged, nothing that was not asked for, nothing twice (the
    /// primary key and the counters see to that).
    #[track_caller]
    pub fn check(&self, primary: &Member, database: &str) -> usize {
        let (acknowledged, unknown) = (&self.said["acknowledged"], &self.said["unknown"]);
        let numbers = |of: &Value, client: usize| -> Vec<u64> {
            let numbers = of[client].as_array().expect("numbers");
            numbers.iter().filter_map(Value::as_u64).collect()
        };
        let clients = acknowledged.as_array().expect("clients").len();
        let mut count = 0;
        for client in 0..clients {
            let query = format!("SELECT number FROM register WHERE client = {client}");
            let rows = primary
                .sql_in(database, &query)
                .into_iter()
                .flatten()
                .flatten();
            let there: Vec<u64> = rows.map(|it| it.parse().expect("a number")).collect();
            let (promised, open) = (numbers(acknowledged, client), numbers(unknown, client));
            let lost: Vec<_> = promised.iter().filter(|it| !there.contains(it)).collect();
            assert!(lost.is_empty(), "client {client} lost {lost:?}");
            let strange = |it: &&u64| !promised.contains(it) && !open.contains(it);
            assert_eq!(there.iter().find(strange), None, "client {client}");
            let query = format!("SELECT value FROM counters WHERE client = {client}");
            let value = primary.sql_in(database, &query);
            assert_eq!(value, [[Some(there.len().to_string())]], "client {client}");
            count += promised.len();
        }
        count
    }
}
