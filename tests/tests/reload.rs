//! Certificates, users and databases change while clients come and go: new clients meet what is
//! new, sessions keep what they have, and what is broken never comes into force.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::drivers::{self, Endpoint};
use e2e::scripted::scram;
use e2e::{Stage, StagePlan};
use openssl::hash::MessageDigest;
use testkit::guard::Workplace;
use testkit::peer::message;
use testkit::{Authority, Certificate, Cluster, Identity, Peer, Signal, wait};

fn before() -> StagePlan {
    Stage::before(Cluster::shared())
}

#[track_caller]
fn role(name: &str) -> Endpoint {
    Endpoint::role(Cluster::shared(), name)
}

/// Another certificate of the same authority.
fn renewed(stage: &Stage) -> Certificate {
    stage.authority.issue(&Identity::localhost())
}

/// What a new client is shown.
#[track_caller]
fn served(stage: &Stage) -> [u8; 32] {
    let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let certificate = peer.ssl().and_then(|ssl| ssl.peer_certificate());
    let digest = certificate
        .expect("a certificate")
        .digest(MessageDigest::sha256());
    let shown = digest.expect("SHA-256").as_ref().try_into();
    peer.close();
    shown.expect("32 bytes")
}

#[track_caller]
fn await_served(stage: &Stage, certificate: &Certificate) {
    let found = wait::within(wait::LONG, || {
        (served(stage) == certificate.fingerprint()).then_some(())
    });
    assert!(found.is_some(), "the old one stays:\n{}", stage.proxy.log());
}

/// Renames a certificate and its key from elsewhere over the old ones: nothing is written or made in
/// this directory.
#[track_caller]
fn rename_over(directory: &Path, certificate: &Certificate) {
    let elsewhere = Workplace::new("portcullis-renewed-");
    let files = certificate.write(elsewhere.path(), "renewed");
    fs::rename(files.private_key, directory.join("proxy.key")).expect("the key");
    fs::rename(files.certificate, directory.join("proxy.crt")).expect("the certificate");
}

/// Kubernetes' way: a new directory, and a link renamed over the one to the old directory.
#[track_caller]
fn mount(volume: &Path, version: usize, certificate: &Certificate) {
    let name = format!("..version_{version}");
    let directory = volume.join(&name);
    fs::create_dir(&directory).expect("a directory");
    certificate.write(&directory, "tls");
    symlink(&name, volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("the link");
    if let Some(before) = version.checked_sub(1) {
        fs::remove_dir_all(volume.join(format!("..version_{before}"))).expect("the old directory");
    }
}

/// A mounted volume with a first certificate, and the plan of a proxy that reads it.
fn mounted() -> (Workplace, StagePlan) {
    let volume = Workplace::new("portcullis-volume-");
    let authority = Authority::new("Rotating authority");
    let first = authority.issue(&Identity::localhost());
    mount(volume.path(), 0, &first);
    let mut plan = before().certificate(&authority, &first);
    for (setting, name) in [("certificate", "tls.crt"), ("private_key", "tls.key")] {
        let path = volume.path().join(name);
        symlink(format!("..data/{name}"), &path).expect("a link");
        plan = plan.set("listen.tls", setting, &format!("'{}'", path.display()));
    }
    (volume, plan)
}

fn reloads(stage: &Stage) -> usize {
    stage
        .proxy
        .log()
        .matches("portcullis::reload: reloaded")
        .count()
}

/// Waits for the next reload after `change`.
#[track_caller]
fn reloaded_by(stage: &mut Stage, change: impl FnOnce(&mut Stage)) {
    let before = reloads(stage);
    change(stage);
    let found = wait::within(wait::LONG, || (reloads(stage) > before).then_some(()));
    assert!(found.is_some(), "not reloaded:\n{}", stage.proxy.log());
}

/// Changes the text of the configuration, as an editor does that renames.
#[track_caller]
fn edit(stage: &Stage, change: impl FnOnce(String) -> String) {
    let file = stage.proxy.directory().join("portcullis.toml");
    let text = change(fs::read_to_string(&file).expect("the configuration"));
    let new = file.with_extension("new");
    fs::write(&new, text).expect("the new configuration");
    fs::rename(new, file).expect("the configuration");
}

#[track_caller]
fn gets_in(stage: &Stage, direct: &Endpoint) {
    assert_eq!(stage.endpoint(direct).login().says(), direct.user);
}

#[test]
fn a_certificate_that_is_renamed_over_the_old_one_is_shown() {
    let direct = role("renamed_over");
    let stage = before().user(&direct).start();
    for _ in 0..3 {
        let new = renewed(&stage);
        assert_ne!(served(&stage), new.fingerprint());
        rename_over(stage.proxy.directory(), &new);
        await_served(&stage, &new);
        gets_in(&stage, &direct);
    }
}

#[test]
fn a_certificate_that_is_written_in_place_is_shown() {
    let stage = before().start();
    let new = renewed(&stage);
    new.write(stage.proxy.directory(), "proxy");
    await_served(&stage, &new);
}

#[test]
fn a_volume_whose_link_is_swapped_is_seen_time_and_again() {
    let (volume, plan) = mounted();
    let stage = plan.start();
    for version in 1..4 {
        let new = renewed(&stage);
        mount(volume.path(), version, &new);
        await_served(&stage, &new);
    }
}

#[test]
fn files_are_looked_at_where_nobody_tells_of_changes() {
    let stage = before()
        .set("files", "reload", "'poll'")
        .set("files", "reload_interval", "1")
        .start();
    let new = renewed(&stage);
    rename_over(stage.proxy.directory(), &new);
    await_served(&stage, &new);
}

#[test]
fn sighup_reloads_whatever_the_setting() {
    let mut stage = before().set("files", "reload", "'sighup'").start();
    let first = served(&stage);
    let new = renewed(&stage);
    rename_over(stage.proxy.directory(), &new);
    assert_eq!(served(&stage), first);
    reloaded_by(&mut stage, |stage| stage.proxy.signal(Signal::SIGHUP));
    assert_eq!(served(&stage), new.fingerprint());
    // Also with nothing new.
    reloaded_by(&mut stage, |stage| stage.proxy.signal(Signal::SIGHUP));
    assert_eq!(reloads(&stage), 2);
}

/// Whoever renews writes one file after the other.
#[test]
fn half_a_pair_waits_for_the_other_half() {
    let stage = before().start();
    let first = served(&stage);
    let new = renewed(&stage);
    let directory = stage.proxy.directory();
    let files = new.write(directory, "renewed");
    fs::rename(files.certificate, directory.join("proxy.crt")).expect("the certificate");
    stage.proxy.await_log("trying again in a moment");
    assert_eq!(served(&stage), first);
    fs::rename(files.private_key, directory.join("proxy.key")).expect("the key");
    await_served(&stage, &new);
}

#[test]
fn a_broken_pair_never_comes_into_force() {
    let direct = role("behind_a_broken_pair");
    let stage = before().user(&direct).start();
    let first = served(&stage);
    let directory = stage.proxy.directory();
    let stranger = renewed(&stage);
    fs::write(directory.join("proxy.key"), stranger.key_pem()).expect("a foreign key");
    stage.proxy.await_log("what was in force stays in force");
    let log = stage.proxy.log();
    let reason = "listen.tls.private_key: the private key";
    assert!(
        log.contains(reason) && log.contains("does not belong to"),
        "{log}"
    );
    assert_eq!(reloads(&stage), 0);
    assert_eq!(served(&stage), first);
    gets_in(&stage, &direct);
    // And the next good one does.
    let new = renewed(&stage);
    rename_over(directory, &new);
    await_served(&stage, &new);
}

#[test]
fn a_broken_configuration_is_refused_with_every_fault() {
    let direct = role("behind_a_broken_file");
    let mut stage = before().user(&direct).start();
    edit(&stage, |text| {
        text.replace("[listen]", "[listen]\nno_such_key = 1\nlisten_backlog = 0")
    });
    stage.proxy.await_log("what was in force stays in force");
    let log = stage.proxy.log();
    for fault in ["listen.no_such_key", "listen.listen_backlog", "faults=2"] {
        assert!(log.contains(fault), "{fault}: {log}");
    }
    gets_in(&stage, &direct);
    reloaded_by(&mut stage, |stage| {
        edit(stage, |text| {
            text.replace("no_such_key = 1\nlisten_backlog = 0", "")
        });
    });
    gets_in(&stage, &direct);
}

#[test]
fn an_expired_certificate_does_not_replace_a_valid_one() {
    let stage = before().start();
    let first = served(&stage);
    let identity = Identity::localhost();
    let (kind, lifetime) = (testkit::KeyKind::EcdsaP256, testkit::Lifetime::Expired);
    let expired = stage.authority.issue_with(&identity, kind, lifetime);
    rename_over(stage.proxy.directory(), &expired);
    stage.proxy.await_log("what was in force stays in force");
    let log = stage.proxy.log();
    assert!(
        log.contains("proxy.crt holds a certificate that has expired"),
        "{log}"
    );
    assert_eq!(served(&stage), first);
}

/// One client is in, another has its TLS and is about to prove itself bound to the certificate it
/// saw, when the certificate changes.
#[test]
fn sessions_and_their_channel_binding_outlive_the_certificate() {
    let direct = role("outlives_a_certificate");
    let stage = before().user(&direct).start();
    let script = "import psycopg, select, sys\n\
        from psycopg import pq\n\
        session = psycopg.connect(autocommit=True)\n\
        late = pq.PGconn.connect_start(b'channel_binding=require')\n\
        def advance(goal):\n\
        \x20   while not goal():\n\
        \x20       state = late.connect_poll()\n\
        \x20       assert state != pq.PollingStatus.FAILED, late.error_message\n\
        \x20       if goal() or state == pq.PollingStatus.OK: break\n\
        \x20       reading = [late.socket] if state == pq.PollingStatus.READING else []\n\
        \x20       writing = [] if reading else [late.socket]\n\
        \x20       select.select(reading, writing, [])\n\
        advance(lambda: late.ssl_in_use)\n\
        print('connected', flush=True)\n\
        sys.stdin.readline()\n\
        advance(lambda: late.status == pq.ConnStatus.OK)\n\
        print(late.exec_(b'SELECT current_user').get_value(0, 0).decode())\n\
        print(session.execute('SELECT current_user').fetchone()[0])\n";
    let mut command = stage.endpoint(&direct).python(script).into_command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut clients = command.spawn().expect("python");
    let mut said = BufReader::new(clients.stdout.take().expect("a pipe")).lines();
    assert_eq!(said.next().expect("a line").expect("text"), "connected");

    let new = renewed(&stage);
    rename_over(stage.proxy.directory(), &new);
    await_served(&stage, &new);

    let mut stdin = clients.stdin.take().expect("a pipe");
    stdin.write_all(b"go on\n").expect("the clients listen");
    let rest: Vec<_> = said.map_while(Result::ok).collect();
    assert_eq!(
        rest,
        [direct.user.as_str(), &direct.user],
        "{}",
        stage.proxy.log()
    );
    assert!(clients.wait().expect("an end").success());
}

#[test]
fn a_changed_password_counts_from_then_on() {
    let direct = role("changes_its_password");
    let mut stage = before().user(&direct).start();
    gets_in(&stage, &direct);
    let new = direct.with_password("another password");
    let (user, password) = (&new.user, &new.password);
    Cluster::shared().sql(&format!("ALTER ROLE {user} PASSWORD '{password}'"));
    reloaded_by(&mut stage, |stage| {
        let users = stage.proxy.directory().join("users.txt");
        fs::write(users, format!("\"{user}\" \"{password}\"\n")).expect("the users file");
    });
    gets_in(&stage, &new);
    let (state, _) = drivers::refusal(&stage.endpoint(&direct));
    assert_eq!(state, "28P01");
}

#[test]
fn authorities_of_servers_are_read_anew() {
    let direct = role("behind_authorities");
    let pem = String::from_utf8(Cluster::shared().authority().pem().to_vec()).expect("PEM");
    let mut stage = before()
        .user(&direct)
        .file("server-ca.crt", &pem)
        .set("database.tls", "ca", "'server-ca.crt'")
        .start();
    gets_in(&stage, &direct);
    let file = stage.proxy.directory().join("server-ca.crt");
    let foreign = Authority::new("Foreign authority");
    reloaded_by(&mut stage, |_| {
        fs::write(&file, foreign.pem()).expect("a foreign authority");
    });
    assert_eq!(drivers::refusal(&stage.endpoint(&direct)).0, "57P03");
    let log = stage.proxy.log();
    let refused = |line: &str| line.contains("client refused") && line.contains("certificate");
    assert!(log.lines().any(refused), "{log}");
    reloaded_by(&mut stage, |_| {
        fs::write(&file, &pem).expect("the authority")
    });
    gets_in(&stage, &direct);
}

#[test]
fn databases_come_and_go() {
    let direct = Endpoint::direct(Cluster::shared(), "databases_come_and_go");
    let name = &direct.database;
    let mut stage = before()
        .user(&direct)
        .set("database", "name", &format!("'{name}'"))
        .start();
    let endpoint = stage.endpoint(&direct);
    let added = Endpoint {
        database: "added".to_owned(),
        ..endpoint.clone()
    };
    let script = "import psycopg, sys\n\
        session = psycopg.connect(autocommit=True)\n\
        print('connected', flush=True)\n\
        sys.stdin.readline()\n\
        print(session.execute('SELECT current_database()').fetchone()[0])\n";
    let mut command = endpoint.python(script).into_command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.spawn().expect("python");
    let mut said = BufReader::new(client.stdout.take().expect("a pipe")).lines();
    assert_eq!(said.next().expect("a line").expect("text"), "connected");

    assert_eq!(drivers::refusal(&added).0, "3D000");
    reloaded_by(&mut stage, |stage| {
        edit(stage, |text| {
            let own = format!("name = '{name}'");
            text.replace(&own, &format!("name = 'added'\ndbname = '{name}'"))
        });
    });
    assert_eq!(added.login().says(), direct.user);
    assert_eq!(drivers::refusal(&endpoint).0, "3D000");

    let mut stdin = client.stdin.take().expect("a pipe");
    stdin.write_all(b"go on\n").expect("the client listens");
    assert_eq!(said.next().expect("a line").expect("text"), *name);
    assert!(client.wait().expect("an end").success());
}

#[test]
fn what_needs_a_restart_waits_for_it_and_the_rest_does_not() {
    let direct = role("waits_for_a_restart");
    let mut stage = before().start();
    reloaded_by(&mut stage, |stage| {
        let line = format!("\"{}\" \"{}\"\n", direct.user, direct.password);
        fs::write(stage.proxy.directory().join("users.txt"), line).expect("the users file");
        edit(stage, |text| {
            text.replace("[listen]", "[listen]\nworkers = 7")
                .replace("127.0.0.1:", "127.0.0.2:")
        });
    });
    let log = stage.proxy.log();
    let waiting = "wait for a restart waiting=\"listen.address listen.workers\"";
    assert!(log.contains(waiting), "{log}");
    gets_in(&stage, &direct);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let stage = before().start();
    let first = served(&stage);
    let new = renewed(&stage);
    let directory = stage.proxy.directory();
    let files = new.write(directory, "renewed");
    fs::set_permissions(&files.private_key, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::rename(files.private_key, directory.join("proxy.key")).expect("the key");
    fs::rename(files.certificate, directory.join("proxy.crt")).expect("the certificate");
    stage.proxy.await_log("what was in force stays in force");
    assert_eq!(served(&stage), first);
    // chmod alone mends it.
    let key = File::open(directory.join("proxy.key")).expect("the key");
    key.set_permissions(fs::Permissions::from_mode(0o600))
        .expect("a mode");
    await_served(&stage, &new);
}

#[test]
fn the_end_of_certificates_and_statistics_are_told() {
    let mut stage = before()
        .set("log", "format", "'json'")
        .set("log", "stats_period", "1")
        .start();
    // The tests' certificates live for a day.
    stage.proxy.await_log("proxy.crt\"");
    let line = |stage: &Stage, wanted: &str| {
        let log = stage.proxy.log();
        log.lines()
            .find(|line| line.contains(wanted))
            .map(str::to_owned)
    };
    // The authority of the servers has a line, too.
    let expiry = line(&stage, "proxy.crt\"").expect("the line");
    for part in ["\"level\":\"ERROR\"", "about to expire", "\"days_left\":"] {
        assert!(expiry.contains(part), "{part}: {expiry}");
    }
    stage.proxy.signal(Signal::SIGHUP);
    let stats = wait::until_some("statistics with a reload", wait::LONG, || {
        line(&stage, "reload_succeeded=1")
    });
    for part in ["portcullis::stats", "\"clients\":0", "\"period_s\":1"] {
        assert!(stats.contains(part), "{part}: {stats}");
    }
}

/// A certificate a day would take a third of a year for this.
#[test]
fn certificates_rotate_under_load_and_nobody_notices() {
    let swaps = match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => 100,
        None => 20,
    };
    let direct = role("rotates_under_load");
    let (volume, plan) = mounted();
    let mut stage = plan
        .user(&direct)
        .set("log", "log_connections", "false")
        .start();
    let endpoint = stage.endpoint(&direct);
    let done = AtomicBool::new(false);
    let logins: Vec<_> = std::thread::scope(|scope| {
        let client = || drivers::log_in_until(&endpoint, || done.load(Ordering::Relaxed));
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(client)).collect();
        let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for version in 1..=swaps {
                let new = renewed(&stage);
                mount(volume.path(), version, &new);
                stage.proxy.signal(Signal::SIGHUP);
                await_served(&stage, &new);
            }
        }));
        done.store(true, Ordering::Relaxed);
        let logins = clients.into_iter().map(|it| it.join().expect("a client"));
        let logins = logins.collect();
        rotated.expect("each certificate is shown");
        logins
    });
    let log = stage.proxy.log();
    for outcome in logins {
        let count = outcome.unwrap_or_else(|failed| panic!("{failed}\n{log}"));
        assert!(count > 0);
    }
    assert!(reloads(&stage) >= swaps);
}

/// A salt that changes with the private key would tell that there is no such user.
#[test]
fn salts_of_unknown_users_outlive_the_private_key() {
    let stage = before().start();
    let salt = |user: &str| {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&message::startup(&[("user", user), ("database", "any")]));
        peer.expect_frame(b'R');
        let first = scram::client_first();
        peer.send(&scram::initial_response(scram::MECHANISM, first.as_bytes()));
        let text = String::from_utf8(peer.expect_frame(b'R').body).expect("text");
        text.split_once(",s=").expect("a salt").1.to_owned()
    };
    let before = salt("nobody");
    assert_ne!(salt("somebody else"), before);
    let new = renewed(&stage);
    rename_over(stage.proxy.directory(), &new);
    await_served(&stage, &new);
    assert_eq!(salt("nobody"), before);
}
