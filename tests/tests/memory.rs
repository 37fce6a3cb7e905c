//! No literal, parameter, row or password stays in the proxy's memory or reaches its log.
//!
//! Random markers travel through a session in every kind of message. Once it is idle, and again
//! after its end, the memory of the process is searched for them, byte for byte.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::scripted::{Session, startup};
use e2e::{Stage, StagePlan};
use openssl::rand::rand_bytes;
use openssl::ssl::SslVersion;
use testkit::peer::message::{self, frame, query};
use testkit::{Authority, Certificate, Cluster, Identity, Peer, Portcullis, wait};

/// How long an idle session may take to hand back what it doesn't need.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of memory searched at a time.
const CHUNK: usize = 1 << 20;

/// Text that occurs nowhere else: 24 hexadecimal digits.
fn marker() -> String {
    let mut bytes = [0; 12];
    rand_bytes(&mut bytes).expect("random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// The markers, out of these, that lie in the memory of the process.
#[track_caller]
fn found<'a, M: AsRef<[u8]> + PartialEq + ?Sized>(
    proxy: &Portcullis,
    markers: &[&'a M],
) -> Vec<&'a M> {
    let place = format!("/proc/{}", proxy.pid());
    let maps = fs::read_to_string(format!("{place}/maps")).expect("its maps");
    let memory = File::open(format!("{place}/mem")).expect("its memory");
    let mut found = Vec::new();
    let mut searched = 0;
    for line in maps.lines() {
        let Some((start, end)) = readable(line) else {
            continue;
        };
        let mut at = start;
        while at < end {
            // Neighbouring chunks overlap, so that nothing hides on their border.
            let len = CHUNK.min(end - at);
            let mut bytes = vec![0; len];
            // A region may go away while it is searched, and some can't be read at all.
            let Ok(count) = memory.read_at(&mut bytes, at as u64) else {
                break;
            };
            searched += count;
            for marker in markers {
                if !found.contains(marker) && contains(&bytes[..count], marker.as_ref()) {
                    found.push(*marker);
                }
            }
            if count < len || at + len >= end {
                break;
            }
            at += len - 64;
        }
    }
    assert!(
        searched > CHUNK,
        "only {searched} bytes of memory were read"
    );
    found
}

/// Start and end of a mapping that can be read and belongs to the process alone.
fn readable(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let readable = words.next()?.starts_with('r');
    let number = |text| usize::from_str_radix(text, 16).ok();
    let kernels = line.ends_with("[vvar]") || line.ends_with("[vsyscall]");
    (readable && !kernels).then_some((number(start)?, number(end)?))
}

fn contains(bytes: &[u8], marker: &[u8]) -> bool {
    // Candidates by the first byte, which `position` finds fast.
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == marker[0]) {
        if rest[at..].starts_with(marker) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// What a session is to leave no trace of.
struct Planted {
    literal: String,
    parameter: String,
    result: String,
    error: String,
    notice: String,
    copied_in: String,
    copied_out: String,
    wide: String,
}

impl Planted {
    fn new() -> Self {
        Self {
            literal: marker(),
            parameter: marker(),
            result: marker(),
            error: marker(),
            notice: marker(),
            copied_in: marker(),
            copied_out: marker(),
            wide: marker(),
        }
    }

    fn all(&self) -> Vec<&str> {
        [
            &self.literal,
            &self.parameter,
            &self.result,
            &self.error,
            &self.notice,
            &self.copied_in,
            &self.copied_out,
            &self.wide,
        ]
        .map(String::as_str)
        .to_vec()
    }

    /// Sends each of them through the session. What is to be seen only in answers travels
    /// backwards in the questions.
    fn travel(&self, session: &mut Session) {
        session.query(&format!("SELECT 1 WHERE '{}' = ''", self.literal));
        let value = session.value(&format!("SELECT reverse('{}')", reversed(&self.result)));
        assert_eq!(value, self.result);
        self.bind(session);
        session.peer.send(&query(&format!(
            "SELECT 1/0 AS \"{}\" FROM nothing",
            self.error
        )));
        session.peer.until_tag(b'Z');
        session.query(&format!(
            "DO $$ BEGIN RAISE NOTICE '{}'; END $$",
            self.notice
        ));
        self.copy(session);
        // More than one record and one buffer, in both directions.
        let wide = reversed(&self.wide);
        session.query(&format!("SELECT repeat(reverse('{wide}'), 20000)"));
        session.query(&format!("SELECT length('{}')", self.wide.repeat(20_000)));
    }

    fn bind(&self, session: &mut Session) {
        let len = u32::try_from(self.parameter.len()).expect("short");
        let value = self.parameter.as_bytes();
        let bind = [&b"\0\0\0\0\0\x01"[..], &len.to_be_bytes(), value, b"\0\0"].concat();
        let batch = [
            frame(b'P', b"\0SELECT $1::text\0\0\0"),
            frame(b'B', &bind),
            frame(b'E', b"\0\0\0\0\0"),
            message::SYNC.to_vec(),
        ];
        session.peer.send(&batch.concat());
        session.peer.until_ready();
    }

    fn copy(&self, session: &mut Session) {
        session.query("CREATE TEMP TABLE copied (value text)");
        session.peer.send(&query("COPY copied FROM STDIN"));
        session.peer.expect_frame(b'G');
        for _ in 0..1000 {
            let line = format!("{}\n", self.copied_in);
            session.peer.send(&frame(b'd', line.as_bytes()));
        }
        session.peer.send(&frame(b'c', b""));
        session.peer.until_ready();
        let out = reversed(&self.copied_out);
        let copied = session.query(&format!(
            "COPY (SELECT reverse('{out}') FROM generate_series(1, 1000)) TO STDOUT"
        ));
        assert!(contains(&copied[1].body, self.copied_out.as_bytes()));
    }
}

/// Nothing of this is left, in memory or in the log.
#[track_caller]
fn nothing_left(what: &str, stage: &Stage, markers: &[&str]) {
    let mut left = Vec::new();
    let clean = wait::within(PATIENCE, || {
        left = found(&stage.proxy, markers);
        left.is_empty().then_some(())
    });
    let kinds: Vec<_> = left
        .iter()
        .filter_map(|left| markers.iter().position(|marker| marker == left))
        .collect();
    assert!(
        clean.is_some(),
        "{what}: markers {kinds:?} are left in memory"
    );
    let log = stage.proxy.log();
    for marker in markers {
        assert!(!log.contains(marker), "{what}: a marker in the log:\n{log}");
    }
}

/// Its memory may be read by whoever runs the tests, and its log says all it can.
fn plan() -> StagePlan {
    Stage::before(Cluster::shared())
        .set("process", "core_dumps", "true")
        .set("log", "level", "'trace'")
}

#[test]
fn what_passes_leaves_no_trace() {
    let direct = Endpoint::direct(Cluster::shared(), "memory");
    let stage = plan().user(&direct).start();
    let endpoint = stage.endpoint(&direct);
    for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
        let tls = stage.client_tls().versions(version, version);
        let planted = Planted::new();
        let peer = Peer::tls(stage.proxy.address(), &tls);
        let mut session = Session::begin(peer, &endpoint);
        planted.travel(&mut session);
        nothing_left("idle", &stage, &planted.all());
        session.peer.send(&message::TERMINATE);
        session.peer.end();
        nothing_left("ended", &stage, &planted.all());
        // A session that breaks off with everything on its way.
        let planted = Planted::new();
        let peer = Peer::tls(stage.proxy.address(), &tls);
        let mut session = Session::begin(peer, &endpoint);
        planted.travel(&mut session);
        let literal = query(&format!("SELECT '{}'", planted.literal));
        session.peer.send(&literal[..literal.len() - 4]);
        session.peer.cut();
        nothing_left("cut", &stage, &planted.all());
    }
}

/// What is known to be there is found: a user's name and password from the configuration, and
/// the name of a client that is logged in.
#[test]
fn the_search_finds_what_is_there() {
    let (role, other, secret) = (marker(), marker(), marker());
    let direct = Endpoint::direct(Cluster::shared(), &format!("r{role}"));
    let stage = plan().user(&direct).user_with(&other, &secret).start();
    let _session = Session::through(&stage, &stage.endpoint(&direct));
    let (absent, all) = (marker(), [&role, &other, &secret]);
    let mut looked_for: Vec<&str> = all.map(String::as_str).to_vec();
    looked_for.push(&absent);
    let seen = found(&stage.proxy, &looked_for);
    assert_eq!(seen.len(), 3, "{} of 3 were found", seen.len());
    assert!(!seen.contains(&absent.as_str()));
}

/// With method `password` the proxy learns a password that it wasn't configured with.
#[test]
fn passwords_are_forgotten_once_they_served() {
    let mut direct = Endpoint::direct(Cluster::shared(), "forgotten");
    direct.password = marker();
    let change = format!("ALTER ROLE forgotten PASSWORD '{}'", direct.password);
    Cluster::shared().sql(&change);
    let stage = plan().set("auth", "method", "\"password\"").start();
    let log_in = |password: &str| {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&direct));
        assert_eq!(peer.expect_frame(b'R').body, [0, 0, 0, 3]);
        peer.send(&message::password(password));
        peer
    };
    let mut session = Session::settle(log_in(&direct.password));
    session.query("SELECT 1");
    nothing_left("logged in", &stage, &[&direct.password]);
    let wrong = marker();
    log_in(&wrong).expect_error("28P01");
    nothing_left("refused", &stage, &[&direct.password, &wrong]);
}

/// The private key of a P-256 certificate as libcrypto computes with it, and as files hold it.
fn scalars(certificate: &Certificate) -> [Vec<u8>; 2] {
    let key = certificate.key.ec_key().expect("a P-256 key");
    let in_file = key.private_key().to_vec_padded(32).expect("32 bytes");
    [in_file.iter().rev().copied().collect(), in_file]
}

/// What a reload replaces lives as long as the sessions that began with it, and not longer.
#[test]
fn a_reload_forgets_what_was_before_once_its_sessions_have_ended() {
    let cluster = Cluster::shared();
    let role = "forgotten_by_reload";
    let passwords = [marker(), marker()];
    cluster.make_role(role, &passwords[0]);
    let authority = Authority::new("Authority of forgotten keys");
    let [old, new] = [0, 1].map(|_| authority.issue(&Identity::localhost()));
    let plan = Stage::before(cluster).user_with(role, &passwords[0]);
    let plan = plan.set("process", "core_dumps", "true");
    let mut stage = plan.certificate(&authority, &old).start();
    let direct = Endpoint::existing(cluster, role, &passwords[0]);
    assert_eq!(stage.endpoint(&direct).login().says(), role);
    let old_key = scalars(&old);
    let new_key = scalars(&new);
    assert_eq!(
        found(&stage.proxy, &[&old_key[0]]).len(),
        1,
        "the search works"
    );

    let session = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let directory = stage.proxy.directory();
    new.write(directory, "proxy");
    let users = format!("\"{role}\" \"{}\"\n", passwords[1]);
    fs::write(directory.join("users.txt"), users).expect("the users file");
    stage.proxy.signal(testkit::Signal::SIGHUP);
    stage.proxy.await_log("portcullis::reload: reloaded");
    wait::until("the new certificate", wait::LONG, || {
        let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        let shown = peer.ssl().and_then(|ssl| ssl.peer_certificate());
        peer.close();
        shown.is_some_and(|shown| shown == new.certificate)
    });
    assert_eq!(found(&stage.proxy, &[&old_key[0], &new_key[0]]).len(), 2);
    assert_eq!(found(&stage.proxy, &[&passwords[1]]).len(), 1);

    session.close();
    let before: [&[u8]; 3] = [&old_key[0], &old_key[1], passwords[0].as_bytes()];
    let gone = wait::within(PATIENCE, || {
        found(&stage.proxy, &before).is_empty().then_some(())
    });
    assert!(gone.is_some(), "{:?}", found(&stage.proxy, &before).len());
}
