//! A primary and its streaming standbys: one history, one authority, a certificate each, and
//! the ways in which they fail and take over. What happens to one of them is in [`Member`].
//!
//! A data directory is made once and copied, so a member costs a copy and a start. Replication
//! goes over TCP with TLS and SCRAM, as an operator would run it, and asynchronously unless
//! `synchronous_standby_names` is set: a standby may not have the last commits of a primary that
//! was killed, unless [`Member::await_caught_up_with`] was called before.

mod member;

use std::net::Ipv4Addr;
use std::ops::Index;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Binaries, ClusterPlan};
use crate::account::Account;
use crate::certificates::{Authority, Certificate, Identity};
use crate::guard::Workplace;
use crate::ports;

pub use member::Member;

/// The role by which standbys stream.
pub const REPLICATOR: &str = "replicator";
const REPLICATOR_PASSWORD: &str = "flies in formation";

/// What a failover needs of every member, for each may become the primary.
const SETTINGS: [(&str, &str); 10] = [
    ("hot_standby", "on"),
    // What a primary has acknowledged survives its SIGKILL.
    ("synchronous_commit", "on"),
    // What the tools that copy or rewind a running server ask for.
    ("full_page_writes", "on"),
    ("wal_log_hints", "on"),
    // A standby that was away finds all that it missed.
    ("wal_keep_size", "256MB"),
    // The default is so many segments, which are small here.
    ("max_wal_size", "1GB"),
    ("recovery_target_timeline", "latest"),
    // How soon a standby looks again for a primary that was away; by default, 5 s.
    ("wal_retrieve_retry_interval", "100ms"),
    ("wal_receiver_status_interval", "1s"),
    // Outside the data directory: neither a copy nor a backup carries it to another member.
    ("include_if_exists", "../standby.conf"),
];

/// How a flock is to be.
pub struct FlockPlan {
    authority: Authority,
    members: Vec<ClusterPlan>,
}

impl FlockPlan {
    /// A primary, which is member 0, and so many standbys, of the distribution's PostgreSQL.
    #[track_caller]
    pub fn new(standbys: usize) -> Self {
        let authority = Authority::new("Portcullis test authority of a flock");
        let binaries = Binaries::installed();
        let member = |_| {
            let certificate = authority.issue(&Identity::localhost());
            ClusterPlan::new(binaries.clone())
                .certificate(&authority, &certificate)
                .client_authority(&authority)
        };
        let plan = Self {
            members: (0..=standbys).map(member).collect(),
            authority: authority.clone(),
        };
        SETTINGS
            .iter()
            .fold(plan, |plan, (name, value)| plan.set(name, value))
    }

    /// A setting of all members, such as `synchronous_standby_names`, in which a member's name
    /// is `member` with its number behind.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        let members = self.members.into_iter();
        self.members = members.map(|plan| plan.set(name, value)).collect();
        self
    }

    /// A setting of one member.
    pub fn set_on(self, member: usize, name: &str, value: &str) -> Self {
        self.change(member, |plan| plan.set(name, value))
    }

    /// This member replays a commit only so long after the primary made it.
    pub fn lagging(self, member: usize, delay: Duration) -> Self {
        let delay = format!("{}ms", delay.as_millis());
        self.set_on(member, "recovery_min_apply_delay", &delay)
    }

    /// This member presents another certificate, issued by that authority.
    pub fn certificate(
        self,
        member: usize,
        authority: &Authority,
        certificate: &Certificate,
    ) -> Self {
        self.change(member, |plan| plan.certificate(authority, certificate))
    }

    /// Lines of pg_hba.conf of all members, in place of "hostssl all all all scram-sha-256" and
    /// of the same for `replication`.
    pub fn hba(mut self, lines: &str) -> Self {
        let members = self.members.into_iter();
        self.members = members.map(|plan| plan.hba(lines)).collect();
        self
    }

    /// All members listen at one port, each at an address of its own from 127.0.0.2 on, as hosts of one name of DNS do.
    pub fn at_one_port(mut self) -> Self {
        let port = Arc::new(ports::reserve());
        let members = (2..).zip(self.members);
        let at = |(last, plan): (u8, ClusterPlan)| plan.at(Ipv4Addr::new(127, 0, 0, last), &port);
        self.members = members.map(at).collect();
        self
    }

    /// This member has a network of its own, where `apart::allowed` says that there can be one, and a certificate for
    /// its address there. Only once: one that has ended doesn't come back.
    pub fn apart(mut self, member: usize) -> Self {
        let plan = self.members[member].clone().apart();
        let identity = Identity::server(&["localhost", &plan.ip.to_string()]);
        let certificate = self.authority.issue(&identity);
        self.members[member] = plan.certificate(&self.authority, &certificate);
        self
    }

    fn change(mut self, member: usize, change: impl FnOnce(ClusterPlan) -> ClusterPlan) -> Self {
        let plan = self.members[member].clone();
        self.members[member] = change(plan);
        self
    }

    /// Makes the flock and starts it; all standbys stream when it returns.
    #[track_caller]
    pub fn start(self) -> Flock {
        let places: Vec<Workplace> = self.members.iter().map(ClusterPlan::place).collect();
        copy(origin(&self.members[0]).path(), &places);
        let mut plans = self.members.into_iter().zip(places).enumerate();
        let mut launch = |(number, (plan, place)): (usize, (ClusterPlan, Workplace))| {
            Member::launch(number, plan, place)
        };
        let primary = plans.next().map(&mut launch).expect("member 0");
        primary.await_ready();
        // Not "on": a flock that commits in step has no standby yet that could confirm.
        primary.sql(&format!(
            "SET synchronous_commit = local; \
             CREATE ROLE {REPLICATOR} LOGIN REPLICATION PASSWORD '{REPLICATOR_PASSWORD}'"
        ));
        let mut members = vec![primary];
        for plan in plans {
            Member::prepare_standby(plan.0, plan.1.1.path(), &members[0]);
            members.push(launch(plan));
        }
        for standby in &members[1..] {
            standby.await_ready();
        }
        for standby in &members[1..] {
            standby.await_streaming_from(&members[0]);
        }
        let directory = members[0].server.directory();
        Flock {
            ca_file: self.authority.write(directory, "flock"),
            authority: self.authority,
            members,
        }
    }
}

/// A data directory that nobody ever serves, from which all flocks of this process are copied.
#[track_caller]
fn origin(plan: &ClusterPlan) -> &'static Workplace {
    static ORIGIN: OnceLock<Workplace> = OnceLock::new();
    ORIGIN.get_or_init(|| {
        let place = plan.place();
        // Each copy and each backup ends with a whole segment: of 1 MB, where 16 are usual.
        plan.initdb(place.path(), &["--wal-segsize=1"]);
        place
    })
}

/// Copies the data directory of a server that doesn't run.
#[track_caller]
fn copy(origin: &Path, places: &[Workplace]) {
    let copying: Vec<_> = places
        .iter()
        .map(|place| {
            let mut command: Command = Account::for_server().command("cp".as_ref());
            command.arg("-R").arg(origin.join("data")).arg(place.path());
            command.current_dir("/").spawn().expect("cp to run")
        })
        .collect();
    for mut child in copying {
        let status = child.wait().expect("the end of cp");
        assert!(status.success(), "the data directory was not copied");
    }
}

/// A running flock. By number: 0 began as the primary, the others as its standbys.
pub struct Flock {
    authority: Authority,
    ca_file: PathBuf,
    members: Vec<Member>,
}

impl Flock {
    /// A flock by the plain plan.
    #[track_caller]
    pub fn start(standbys: usize) -> Self {
        FlockPlan::new(standbys).start()
    }

    /// All members, by number.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The authority that issued the members' certificates, but for those that have another.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// PEM file of that authority.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }
}

impl Index<usize> for Flock {
    type Output = Member;

    fn index(&self, number: usize) -> &Member {
        &self.members[number]
    }
}
