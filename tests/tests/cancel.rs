//! Cancel requests: encrypted ones are carried out, unencrypted ones by setting, forged ones
//! never; and nothing hits a query that it was not meant for.

use std::process::{Child, Stdio};

use e2e::Stage;
use e2e::drivers::Endpoint;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::peer::message;
use testkit::{Cluster, Peer, wait};

/// A psql that sleeps, and how to know that it does.
struct Sleeper<'a> {
    psql: Child,
    cluster: &'a Cluster,
    role: String,
}

impl<'a> Sleeper<'a> {
    #[track_caller]
    fn start(cluster: &'a Cluster, endpoint: &Endpoint) -> Self {
        let program = endpoint.psql(&["SELECT pg_sleep(120)"]);
        let mut command = program.into_command();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let sleeper = Self {
            psql: command.spawn().expect("psql"),
            cluster,
            role: endpoint.user.clone(),
        };
        wait::until("the query", wait::LONG, || sleeper.sleeps());
        sleeper
    }

    fn sleeps(&self) -> bool {
        let query = format!(
            "SELECT 1 FROM pg_stat_activity WHERE usename = '{}' AND wait_event = 'PgSleep'",
            self.role
        );
        !self.cluster.sql(&query).is_empty()
    }

    /// What Ctrl-C does in a terminal.
    fn interrupt(&self) {
        let pid = i32::try_from(self.psql.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("SIGINT");
    }

    /// What psql complained of.
    #[track_caller]
    fn complaint(self) -> String {
        let output = self.psql.wait_with_output().expect("psql's end");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Ends the query from within the server.
    #[track_caller]
    fn wake(self) -> String {
        self.cluster.sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
            self.role
        ));
        self.complaint()
    }
}

/// psql up to version 18 sends its cancel requests in clear text.
#[test]
fn an_unencrypted_request_is_refused_and_logged_with_its_setting() {
    let direct = Endpoint::role(Cluster::shared(), "interrupted_in_vain");
    let stage = Stage::before(Cluster::shared()).user(&direct).start();
    let sleeper = Sleeper::start(Cluster::shared(), &stage.endpoint(&direct));
    sleeper.interrupt();
    stage
        .proxy
        .await_log("plaintext_cancel = \"accept\" in [listen.tls]");
    assert!(sleeper.sleeps());
    let complaint = sleeper.wake();
    assert!(complaint.contains("57P01"), "{complaint}");
}

#[test]
fn an_unencrypted_request_cancels_where_the_setting_accepts_it() {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let direct = Endpoint::role(cluster, "interrupted");
        let stage = Stage::before(cluster)
            .user(&direct)
            .set("listen.tls", "plaintext_cancel", "'accept'")
            .start();
        let sleeper = Sleeper::start(cluster, &stage.endpoint(&direct));
        sleeper.interrupt();
        let complaint = sleeper.complaint();
        assert!(complaint.contains("57014"), "{complaint}");
    }
}

/// Inside TLS, as libpq 17 and later send it, with the 32 bytes of protocol 3.2 too.
#[test]
fn an_encrypted_request_cancels_in_both_protocols() {
    let script = "import psycopg, sys, threading\n\
        conn = psycopg.connect(max_protocol_version=sys.argv[1], autocommit=True)\n\
        def repeat(done):\n\
        \x20   while not done.wait(0.05):\n\
        \x20       conn.cancel_safe()\n\
        done = threading.Event()\n\
        thread = threading.Thread(target=repeat, args=[done])\n\
        thread.start()\n\
        try:\n\
        \x20   conn.execute('SELECT pg_sleep(60)')\n\
        except psycopg.errors.QueryCanceled as error:\n\
        \x20   print(error.sqlstate)\n\
        finally:\n\
        \x20   done.set()\n\
        \x20   thread.join()";
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let direct = Endpoint::role(cluster, "cancels");
        let stage = Stage::before(cluster).user(&direct).start();
        for version in ["3.0", "3.2"] {
            let program = stage.endpoint(&direct).python(script).args([version]);
            assert_eq!(program.says(), "57014");
        }
    }
}

/// The key that the client gets is the proxy's: the server's own is never shown, and the
/// server's process id alone cancels nothing.
#[test]
fn forged_requests_do_nothing() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "forged");
    let stage = Stage::before(cluster)
        .user(&direct)
        .set("listen.tls", "plaintext_cancel", "'accept'")
        .set("limits", "cancel_rate", "1000")
        .start();
    let sleeper = Sleeper::start(cluster, &stage.endpoint(&direct));
    let pid = cluster.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'forged'");
    let pid: u32 = pid[0][0]
        .as_deref()
        .expect("a pid")
        .parse()
        .expect("a number");
    let keys: [&[u8]; 5] = [&[0; 4], &[255; 4], &[7; 32], &[0; 256], &[1; 5]];
    for (pid, key) in keys
        .iter()
        .map(|key| (pid, key))
        .chain([(pid + 1, &keys[0]), (0, &keys[1])])
    {
        for encrypted in [false, true] {
            let mut peer = match encrypted {
                false => Peer::tcp(stage.proxy.address()),
                true => Peer::tls(stage.proxy.address(), &stage.client_tls()),
            };
            peer.send(&message::cancel(pid, key));
            // As PostgreSQL, the proxy says nothing to anybody who asks for a cancel.
            let (rest, _) = peer.drain();
            assert!(rest.is_empty(), "{}", rest.escape_ascii());
        }
    }
    assert!(sleeper.sleeps());
    let complaint = sleeper.wake();
    assert!(complaint.contains("57P01"), "{complaint}");
}

/// A request on its way while its query ends must not hit the next query of the session,
/// once the client knows that the request is done.
#[test]
fn a_request_after_completion_hits_nothing() {
    let script = "import psycopg\n\
        conn = psycopg.connect(autocommit=True)\n\
        other = psycopg.connect(autocommit=True)\n\
        for _ in range(15):\n\
        \x20   conn.execute('SELECT 1')\n\
        \x20   conn.cancel_safe()\n\
        \x20   other.execute('SELECT 1')\n\
        \x20   conn.execute('SELECT 1')\n\
        print('unharmed')";
    let direct = Endpoint::role(Cluster::shared(), "too_late");
    let stage = Stage::before(Cluster::shared()).user(&direct).start();
    assert_eq!(stage.endpoint(&direct).python(script).says(), "unharmed");
}
