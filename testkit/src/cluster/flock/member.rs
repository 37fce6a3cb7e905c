//! One server of a flock, a primary or a standby, and what can happen to it.
//!
//! A member is a [`Cluster`], so it is stopped, killed, hung and woken as one. Every verb
//! returns when what it says is so, and fails the test when that takes too long.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use super::{REPLICATOR, REPLICATOR_PASSWORD};
use crate::account::Account;
use crate::cluster::{Cluster, ClusterPlan};
use crate::guard::Workplace;
use crate::wait;

/// A member of a flock.
pub struct Member {
    name: String,
    cluster: Cluster,
}

impl Deref for Member {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Member {
    pub(super) fn launch(number: usize, plan: ClusterPlan, place: Workplace) -> Self {
        Self {
            name: name(number),
            cluster: plan.launch(place),
        }
    }

    /// Makes a stopped server's directory that of a standby.
    pub(super) fn prepare_standby(number: usize, directory: &Path, primary: &Self) {
        signal_standby(directory);
        write_source(directory, &source(&name(number), primary));
    }

    /// `member` with its number behind: its `application_name` where it streams from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes a standby the primary of itself, after it has replayed what it has received.
    #[track_caller]
    pub fn promote(&self) {
        let promoted = self.sql("SELECT pg_promote(true, 30)");
        assert_eq!(
            promoted,
            [[Some("t".to_owned())]],
            "{} was not promoted:\n{}",
            self.name,
            self.log()
        );
        wait::until("a primary", wait::LONG, || !self.is_in_recovery());
    }

    /// Makes a primary a standby in a planned switch, losing nothing: stops it in good order,
    /// which hands `other` all it has written, and starts it behind `other`, which is to be
    /// promoted afterwards (of one promoted before, only [`Member::rejoin`] makes a standby).
    #[track_caller]
    pub fn demote_to_standby_of(&self, other: &Self) {
        self.stop();
        self.start_behind(other);
    }

    /// Makes it a standby of `primary` whatever it was and however it ended: kills it if it
    /// runs, takes a new base backup, and with it forgets what the primary doesn't know.
    #[track_caller]
    pub fn rejoin(&self, primary: &Self) {
        self.kill();
        let data = self.server.directory().join("data");
        fs::remove_dir_all(&data).expect("the old data directory");
        self.back_up(primary, &data);
        // The backup brought the primary's own configuration.
        self.plan.configure(self.server.directory(), self.port());
        self.start_behind(primary);
    }

    /// Makes a standby stream from `primary` from now on, without a restart. If it has replayed
    /// what `primary` never had, it can't, and the test fails: it has to [`Member::rejoin`].
    #[track_caller]
    pub fn follow(&self, primary: &Self) {
        write_source(self.server.directory(), &source(&self.name, primary));
        self.sql("SELECT pg_reload_conf()");
        self.await_streaming_from(primary);
    }

    /// Keeps a standby from replaying what it receives.
    #[track_caller]
    pub fn pause_replay(&self) {
        self.sql("SELECT pg_wal_replay_pause()");
        // The replay notices between two records, or when none is left.
        wait::until("a paused replay", wait::LONG, || {
            self.sql("SELECT pg_get_wal_replay_pause_state()") == [[Some("paused".to_owned())]]
        });
    }

    /// Lets a paused standby replay again.
    #[track_caller]
    pub fn resume_replay(&self) {
        self.sql("SELECT pg_wal_replay_resume()");
    }

    /// Whether it is a standby, as it says.
    #[track_caller]
    pub fn is_in_recovery(&self) -> bool {
        self.sql("SELECT pg_is_in_recovery()") == [[Some("t".to_owned())]]
    }

    /// How far a primary has written, or a standby has replayed, in bytes of the log.
    #[track_caller]
    pub fn lsn(&self) -> u64 {
        let rows = self.sql(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
             ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn",
        );
        let text = rows.first().and_then(|row| row.first()?.as_deref());
        let lsn = text.and_then(|text| text.parse().ok());
        lsn.expect("a place in the log")
    }

    /// Waits until it has replayed all that `primary` has written by now.
    #[track_caller]
    pub fn await_caught_up_with(&self, primary: &Self) {
        let wanted = primary.lsn();
        wait::until("a standby that has caught up", wait::LONG, || {
            self.lsn() >= wanted
        });
    }

    /// Waits until it streams from `upstream`, as both of them say.
    #[track_caller]
    pub fn await_streaming_from(&self, upstream: &Self) {
        // The receiver shows a port only once it is connected.
        let receives = format!(
            "SELECT 1 FROM pg_stat_wal_receiver WHERE sender_host = '{}' AND sender_port = {}",
            upstream.ip(),
            upstream.port()
        );
        let sends = format!(
            "SELECT 1 FROM pg_stat_replication \
             WHERE application_name = '{}' AND state = 'streaming'",
            self.name
        );
        let streams = wait::within(wait::LONG, || {
            let both = !self.sql(&receives).is_empty() && !upstream.sql(&sends).is_empty();
            both.then_some(())
        });
        assert!(
            streams.is_some(),
            "{} does not stream from {}:\n{}",
            self.name,
            upstream.name,
            self.log()
        );
    }

    #[track_caller]
    fn start_behind(&self, upstream: &Self) {
        signal_standby(self.server.directory());
        write_source(self.server.directory(), &source(&self.name, upstream));
        self.start_again();
        self.await_streaming_from(upstream);
    }

    #[track_caller]
    fn back_up(&self, primary: &Self, data: &Path) {
        let output = Account::for_server()
            .command(&self.binaries().program("pg_basebackup"))
            .args(["--checkpoint=fast", "--wal-method=stream", "--no-sync"])
            .args(["--no-password", "--dbname", &source(&self.name, primary)])
            .arg("--pgdata")
            .arg(data)
            .current_dir("/")
            .output()
            .expect("pg_basebackup to run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pg_basebackup failed: {said}");
    }
}

fn name(number: usize) -> String {
    format!("member{number}")
}

/// How a standby reaches where it streams from. Which names a certificate has is the business
/// of those who are tested.
fn source(name: &str, upstream: &Member) -> String {
    format!(
        "host={} port={} user={REPLICATOR} password='{REPLICATOR_PASSWORD}' \
         application_name={name} sslmode=verify-ca sslrootcert='{}'",
        upstream.ip(),
        upstream.port(),
        upstream.ca_file().display()
    )
}

fn write_source(directory: &Path, source: &str) {
    let line = format!("primary_conninfo = '{}'\n", source.replace('\'', "''"));
    // Whole at once: the server may be reading.
    let (new, file) = (
        directory.join("standby.new"),
        directory.join("standby.conf"),
    );
    fs::write(&new, line).expect("the standby's configuration");
    let account = Account::for_server();
    account.own(&new).expect("its owner");
    fs::rename(&new, &file).expect("the standby's configuration");
}

fn signal_standby(directory: &Path) {
    let signal = directory.join("data/standby.signal");
    fs::write(&signal, "").expect("standby.signal");
    let account = Account::for_server();
    account.own(&signal).expect("its owner");
}
