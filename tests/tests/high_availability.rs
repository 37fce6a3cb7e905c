//! The page on high availability is true: its configurations can be used, the first one as it stands, its commands and
//! hints do what it says, and the lines it shows are those that are written. So are the manifests for Kubernetes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::Stage;
use e2e::clustered::{host, plan, role};
use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::tables::{ADMIN, console, endpoint, of, show, text};
use testkit::guard::Workplace;
use testkit::peer::message;
use testkit::{Authority, Flock, Identity, Portcullis, proxy, wait};

const SECRETS: [&str; 5] = [
    "check.password",
    "patroni.password",
    "etcd.password",
    "metrics.token",
    "users.txt",
];
const AUTHORITIES: [&str; 5] = [
    "proxy-ca",
    "server-ca",
    "patroni-ca",
    "etcd-ca",
    "provider-ca",
];

/// What a block leaves to others.
const LISTEN: &str = "[listen]\naddress = '127.0.0.1:6432'\n";
const LISTEN_TLS: &str = "[listen.tls]\ncertificate = 'proxy.crt'\nprivate_key = 'proxy.key'\n";
const AUTH: &str = "[auth]\nauth_file = 'users.txt'\n";
const DATABASE: &str =
    "[[database]]\nname = '*'\nhost = 'db1'\n[database.tls]\nca = 'server-ca.crt'\n";

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).expect(path)
}

/// The fenced blocks of the page in this language.
fn blocks(language: &str) -> Vec<String> {
    let page = file("docs/high-availability.md");
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence[..]).skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

/// The files that configurations name.
fn material(directory: &Path) -> Authority {
    let authority = Authority::new("Hosts");
    authority
        .issue(&Identity::localhost())
        .write(directory, "proxy");
    for name in AUTHORITIES {
        authority.write(directory, name);
    }
    for name in SECRETS {
        private(directory.join(name), "\"somebody\" \"something\"\n");
    }
    authority
}

fn private(path: PathBuf, content: &str) {
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
}

#[track_caller]
fn is_taken(directory: &Path, configuration: &str) {
    fs::write(directory.join("portcullis.toml"), configuration).expect("a configuration");
    let output = Command::new(proxy::binary())
        .args(["check", "--offline", "--config", "portcullis.toml"])
        .current_dir(directory)
        .output()
        .expect("check");
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}\nof\n{configuration}");
}

#[test]
fn every_configuration_can_be_used() {
    let place = Workplace::new("portcullis-page-");
    material(place.path());
    let blocks = blocks("toml");
    assert_eq!(blocks.len(), 12);
    for block in blocks {
        let lacks = |title: &str| !block.lines().any(|line| line == title);
        let before = [
            ("[listen]", LISTEN),
            ("[listen.tls]", LISTEN_TLS),
            ("[auth]", AUTH),
        ];
        let mut whole: String = before
            .iter()
            .filter(|(title, _)| lacks(title))
            .map(|(_, text)| *text)
            .collect();
        whole += &block;
        if lacks("[[database]]") {
            whole += DATABASE;
        }
        is_taken(place.path(), &whole);
    }
}

#[test]
fn the_manifests_for_kubernetes_hold_a_configuration_and_its_files() {
    let manifest = file("dist/kubernetes/portcullis.yaml");
    let (_, rest) = manifest
        .split_once("  portcullis.toml: |\n")
        .expect("a configuration");
    let block = rest.split("---").next().expect("its end");
    let block: Vec<_> = block.lines().map(|line| line.trim_start()).collect();
    let place = Workplace::new("portcullis-page-");
    let directory = place.path();
    material(directory);
    let mounted = "/etc/portcullis/secret/";
    let configuration = block.join("\n");
    for part in configuration.split(mounted).skip(1) {
        let name = part.split('"').next().expect("a name");
        assert!(
            manifest.contains(&format!("\n  {name}: ")),
            "{name} is no secret"
        );
    }
    let here = format!("{}/", directory.display());
    is_taken(directory, &configuration.replace(mounted, &here));
    // The service that it asks for is the one of the other file.
    let hosts = file("dist/kubernetes/postgres-hosts.yaml");
    let field = |name: &str| {
        let found = hosts.lines().find_map(|line| line.split_once(name));
        found.expect(name).1.to_owned()
    };
    let service = format!(
        "srv = \"_{}._tcp.{}.{}.svc.cluster.local\"",
        field("- name: "),
        field("  name: "),
        field("namespace: ")
    );
    assert!(configuration.contains(&service), "{service}");
}

/// The first configuration, with hosts that are here.
fn first(flock: &Flock) -> Stage {
    let [create, _] = &blocks("sql")[..] else {
        panic!("the role, and the hints");
    };
    flock[0].sql(create);
    let password = create.split('\'').nth(1).expect("a password");
    let users = format!("\"{}\" \"{}\"\n", "ops", ADMIN.1);
    let mut authority = None;
    let proxy = Portcullis::start(|site| {
        authority = Some(material(site.directory));
        fs::copy(flock.ca_file(), site.directory.join("server-ca.crt")).expect("a copy");
        private(site.directory.join("check.password"), password);
        private(site.directory.join("users.txt"), &users);
        let mut text = blocks("toml").remove(0);
        for (example, here) in [
            ("127.0.0.1:6432", site.address.to_owned()),
            ("db1.example.com", host(&flock[0])),
            ("db2.example.com", host(&flock[1])),
        ] {
            assert!(text.contains(example), "{example}");
            text = text.replace(example, &here);
        }
        text
    });
    let ca_file = proxy.directory().join("proxy-ca.crt");
    Stage {
        proxy,
        authority: authority.expect("an authority"),
        ca_file,
    }
}

#[test]
fn the_first_cluster_is_shown_and_followed() {
    let flock = Flock::start(1);
    let stage = first(&flock);
    let mut admin = Session::through(&stage, &endpoint(&stage, ("ops", ADMIN.1), "portcullis"));
    wait::until("both hosts", wait::LONG, || {
        text(&show(&mut admin, "CLUSTERS")[0], "hosts_up") == "2"
    });
    let [shown, line] = &blocks("text")[..] else {
        panic!("a table and a line of the log");
    };
    let row = &show(&mut admin, "CLUSTERS")[0];
    let fields = shown.lines().filter_map(|line| line.split_once('|'));
    let fields: Vec<_> = fields
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    assert_eq!(fields.len(), row.len(), "every column of {row:?}");
    for (name, value) in fields {
        let value = value.replace("db1.example.com:5432", &host(&flock[0]));
        // Times and counts of changes are others each time.
        if !["leader_since", "version"].contains(&name) {
            assert_eq!(text(row, name), value, "{name}");
        }
    }
    // Whoever promotes a standby has decided: the primary of before is refused, although it lives.
    flock[1].promote();
    let line = line
        .trim()
        .replace("db1.example.com:5432", &host(&flock[0]));
    stage.proxy.await_log(&line);
    wait::until("the new primary", wait::LONG, || {
        text(&show(&mut admin, "CLUSTERS")[0], "leader") == host(&flock[1])
    });
}

/// Where comments and READ ONLY lead, and what the one who gives the order on a command line has to say.
#[test]
fn hints_and_the_command_line_do_what_the_page_says() {
    let flock = Flock::start(1);
    let direct: Endpoint = role(&flock, "hints");
    flock[0].sql_in(
        "hints",
        "CREATE FUNCTION report_of_the_day() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('port') $$; \
         CREATE VIEW accounts AS SELECT 1 AS id, current_setting('port') AS balance; \
         GRANT SELECT ON accounts TO hints",
    );
    flock[1].await_caught_up_with(&flock[0]);
    let stage = plan(&flock, &direct, "switchover_timeout = '1s'")
        .set("database", "route_reads", "'replicas'")
        .start();
    let mut admin = console(&stage, ADMIN);
    let port = |member: usize| flock[member].port().to_string();
    wait::until("a standby", wait::LONG, || {
        let hosts = show(&mut admin, "HOSTS");
        text(of(&hosts, "port", &port(1)), "role") == "standby"
    });
    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    let hints = blocks("sql").remove(1);
    let [replica, primary] = hints.lines().collect::<Vec<_>>()[..] else {
        panic!("{hints}");
    };
    assert_eq!(session.value(replica), port(1));
    assert_eq!(session.value(primary), port(0));
    let unhinted = |line: &str| line.split_once("*/").expect("a hint").1.to_owned();
    // The primary has the last word for a while behind what may have written: a session of its own.
    assert_eq!(session.value(&unhinted(replica)), port(0));
    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    assert_eq!(session.value(&unhinted(primary)), port(1));
    session.query("BEGIN READ ONLY");
    assert_eq!(session.value("SELECT report_of_the_day()"), port(1));
    session.query("COMMIT");

    let commands: Vec<_> = blocks("sh")
        .into_iter()
        .flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let [_, _, switchover, explain] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert!(
        explain.starts_with("portcullis route explain "),
        "{explain}"
    );
    let console = format!(
        "--console postgres://{}@localhost:{} --ca ca.crt",
        ADMIN.0,
        stage.proxy.port()
    );
    let line = switchover
        .replace("--config portcullis.toml", &console)
        .replace("db2.example.com:5432", &host(&flock[1]));
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words[0], "portcullis");
    let output = Command::new(proxy::binary())
        .args(&words[1..])
        .current_dir(stage.proxy.directory())
        .env("PGPASSWORD", ADMIN.1)
        .output()
        .expect("switchover");
    // Nobody promotes it here.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("did not become the primary"), "{said}");
    let page = file("docs/high-availability.md");
    let step = "the primary has nothing more to do: the other host is to be promoted now";
    assert!(page.contains(step) && stage.proxy.log().contains(step));
}

/// The SQLSTATE of the error that comes next.
#[track_caller]
fn sqlstate(session: &mut Session) -> String {
    let error = session.peer.expect_frame(b'E');
    error.field(b'C').expect("a SQLSTATE")
}

/// What the page's table promises to clients, while the primary hangs and none is there, and behind that.
#[test]
fn clients_see_what_the_table_says() {
    let flock = Flock::start(1);
    let direct = role(&flock, "seen");
    let kept =
        "[[database]]\nname = 'kept'\ndbname = 'seen'\ncluster = 'main'\npool_mode = 'session'\n";
    let stage = plan(&flock, &direct, "check_timeout = '2s'")
        .set("limits", "query_wait_timeout", "2")
        .more(kept)
        .start();
    let reading = plan(
        &flock,
        &direct,
        "check_timeout = '2s'\nwithout_primary = 'read_only'",
    )
    .start();
    let through = stage.endpoint(&direct);
    let [mut idle, mut waits, mut busy] = [(); 3].map(|()| Session::through(&stage, &through));
    let mut kept = Session::through(
        &stage,
        &Endpoint {
            database: "kept".to_owned(),
            ..through.clone()
        },
    );
    let mut reader = Session::through(&reading, &reading.endpoint(&direct));
    for session in [&mut idle, &mut waits, &mut kept, &mut reader] {
        session.query("SELECT 1");
    }
    busy.query("BEGIN");
    flock[0].hang();
    assert_eq!(sqlstate(&mut busy), "08006");
    assert_eq!(sqlstate(&mut kept), "08006");
    waits.peer.send(&message::query("SELECT 1"));
    assert_eq!(sqlstate(&mut waits), "57P03");
    reading
        .proxy
        .await_log("no host says that it is the primary");
    let port = flock[1].port().to_string();
    assert_eq!(reader.value("SHOW port"), port);
    reader
        .peer
        .send(&message::query("UPDATE counters SET value = 1"));
    assert_eq!(sqlstate(&mut reader), "25006");
    reader.peer.until_ready();
    flock[1].promote();
    assert_eq!(idle.value("SHOW port"), port);
    reader.query("UPDATE counters SET value = 1");
}
