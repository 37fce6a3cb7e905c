//! Clients that share server connections never see each other: each does at random all that leaves traces,
//! and must read, message by message, what a connection of its own to the same server answers.
//!
//! A failure prints its seed; `PORTCULLIS_SEED=` with that number has every client say the same again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};
use std::thread;

use e2e::drivers::Endpoint;
use e2e::twins::{Author, Chance, Message, PREPARATION, Places, Sort, Twins};
use e2e::{Stage, StagePlan};
use testkit::cluster::{Binaries, ClusterPlan};
use testkit::peer::message;
use testkit::{ClientTls, Cluster, Peer, wait};

/// Server connections of the pool; half of them may be pinned.
const POOL_SIZE: usize = 12;

/// Clients that may have a pin at once, fewer than the proxy allows: a pin ends some time after its client.
const PINNING_AT_ONCE: usize = 3;

fn soak() -> bool {
    std::env::var_os("PORTCULLIS_SOAK").is_some()
}

/// A server that lets each client have a connection of its own beside the pool's.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let binaries = match soak() {
            true => Binaries::version_18(),
            false => Binaries::installed(),
        };
        let cluster = ClusterPlan::new(binaries)
            .set("max_connections", "700")
            .hba("local all all trust\nhostssl all all all scram-sha-256\n")
            .start();
        cluster.sql("CREATE ROLE isolation_other");
        cluster
    })
}

fn stage(role: &Endpoint, server_reset: &str) -> Stage {
    let plan: StagePlan = Stage::before(cluster()).user(role);
    plan.set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", &POOL_SIZE.to_string())
        .set("pool", "server_reset", server_reset)
        .set("listen", "workers", "3")
        .set("limits", "cancel_rate", "100000")
        .start()
}

/// Lets so many in at once.
struct Turnstile {
    free: Mutex<usize>,
    changed: Condvar,
}

impl Turnstile {
    fn new(places: usize) -> Turnstile {
        Turnstile {
            free: Mutex::new(places),
            changed: Condvar::new(),
        }
    }

    fn inside<T>(&self, run: impl FnOnce() -> T) -> T {
        let free = self.free.lock().expect("the turnstile");
        let mut free = self
            .changed
            .wait_while(free, |free| *free == 0)
            .expect("the turnstile");
        *free -= 1;
        drop(free);
        let value = run();
        *self.free.lock().expect("the turnstile") += 1;
        self.changed.notify_one();
        value
    }
}

/// One client's life, in the proxy's pool and past it.
struct Life<'a> {
    places: Places<'a>,
    tls: ClientTls,
    name: String,
    author: Author,
    chance: Chance,
    twins: Twins,
    /// What the session has sent, for whoever has to understand a failure.
    said: Vec<String>,
}

impl<'a> Life<'a> {
    fn begin(places: Places<'a>, number: usize, seed: u64) -> Life<'a> {
        let name = format!("{number:04}");
        let sort = sort(number);
        let mut author = Author::new(Chance::new(seed, number as u64), sort);
        let startup = author.startup();
        Life {
            places,
            tls: places.stage.client_tls(),
            twins: Twins::log_in(places, &name, &startup),
            name,
            author,
            chance: Chance::new(!seed, number as u64),
            said: vec![format!("{startup:?}")],
        }
    }

    fn go_on(&mut self, steps: usize, vanishes: bool) -> Result<(), String> {
        for _ in 0..steps {
            match self.chance.below(60) {
                0 if vanishes => self.vanish()?,
                1 => self.cancel()?,
                2..=3 => self.sequence()?,
                4 => self.hidden()?,
                _ => {
                    let messages = self.author.next(self.twins.direct.status);
                    self.run(&messages)?;
                }
            }
        }
        Ok(())
    }

    fn run(&mut self, messages: &[Message]) -> Result<(), String> {
        self.said.push(format!("{messages:?}"));
        self.twins.run(messages)
    }

    /// Out of a transaction, whatever it was.
    fn rest(&mut self) -> Result<(), String> {
        self.run(&[Message::query("ROLLBACK")])
    }

    /// Gives up a session in the middle of something, and begins a new one.
    fn vanish(&mut self) -> Result<(), String> {
        let begun: Vec<Message> = match self.chance.below(5) {
            0 => vec![],
            1 => vec![Message::query("SELECT pg_sleep(600)")],
            2 => vec![
                Message::query("BEGIN"),
                Message::query("COPY public.kept FROM STDIN"),
                Message::CopyData("{me}\t1\n".to_owned()),
            ],
            3 => vec![
                Message::query("BEGIN"),
                Message::query("INSERT INTO public.kept VALUES ('{me}', 1)"),
                Message::query("SELECT repeat('x', 100000) FROM generate_series(1, 100)"),
            ],
            _ => vec![Message::Parse("gone".to_owned(), "SELECT 1".to_owned())],
        };
        if self.twins.direct.status == b'I' && begun.len() > 2 {
            self.run(&[Message::query("SELECT 'before'")])?;
        }
        self.twins.proxied.send(&begun);
        let startup = self.author.startup();
        let twins = Twins::log_in(self.places, &self.name, &startup);
        let mut old = std::mem::replace(&mut self.twins, twins);
        match self.chance.below(4) {
            0 => old.proxied.peer.reset(),
            1 => old.proxied.peer.cut(),
            2 => {
                // A message that isn't complete, and then nothing.
                let _ = old.proxied.peer.try_send(b"Q\0\0\xff");
                old.proxied.peer.cut();
            }
            _ => old.proxied.peer.close(),
        }
        old.direct.peer.cut();
        self.said.push(format!("{begun:?} and gone; {startup:?}"));
        Ok(())
    }

    /// A query that only its cancel ends.
    fn cancel(&mut self) -> Result<(), String> {
        self.rest()?;
        let sleep = [Message::query("SELECT pg_sleep(600)")];
        self.said.push(format!("{sleep:?} and cancel"));
        self.twins.proxied.send(&sleep);
        let done = AtomicBool::new(false);
        let key = self.twins.proxied.key.body.clone();
        let (address, tls) = (self.places.stage.proxy.address(), &self.tls);
        let proxied = &mut self.twins.proxied;
        let lines = thread::scope(|scope| {
            scope.spawn(|| {
                wait::until("the end of a cancelled query", wait::LONG, || {
                    request_cancel(Peer::tls(address, tls), &key);
                    done.load(Ordering::Relaxed)
                });
            });
            let lines = catch_unwind(AssertUnwindSafe(|| proxied.answers(&sleep)));
            done.store(true, Ordering::Relaxed);
            lines.expect("answers")
        });
        let wanted = ["E 57014".to_owned(), "Z I".to_owned()];
        if !lines.ends_with(&wanted) {
            return Err(format!("  a cancelled query says {lines:?}"));
        }
        // The last of the requests may hit what comes next; PostgreSQL promises no more.
        self.twins.proxied.send(&[Message::query("SELECT 1")]);
        self.twins.proxied.answers(&[Message::query("SELECT 1")]);
        Ok(())
    }

    /// What a sequence gave this client, or nothing at all, is what it may read.
    fn sequence(&mut self) -> Result<(), String> {
        self.rest()?;
        let next = [
            Message::query("BEGIN"),
            Message::query("SELECT nextval('public.\"seq_{me}\"'), lastval()"),
            Message::query("COMMIT"),
        ];
        self.run(&next)?;
        let last = [
            Message::query("SELECT lastval()"),
            Message::query("SELECT currval('public.\"seq_{me}\"')"),
        ];
        self.own_or_nothing(&last)
    }

    /// Code that isn't in sight sets what the proxy can't carry: its client may lose it, and nobody else may
    /// find it.
    fn hidden(&mut self) -> Result<(), String> {
        self.rest()?;
        let sets = [
            "DO $$ BEGIN PERFORM set_config('my.hidden', '{me}', false); END $$",
            "SELECT hide('{me}')",
        ];
        if self.chance.one_in(2) {
            let set = *self.chance.pick(&sets);
            self.run(&[Message::query(set)])?;
        }
        let read = "SELECT coalesce(nullif(current_setting('my.hidden', true), ''), '{me}')";
        self.own_or_nothing(&[Message::query(read)])
    }

    /// Lets both ask; the client of the pool reads what its twin reads, or an error.
    fn own_or_nothing(&mut self, messages: &[Message]) -> Result<(), String> {
        self.said.push(format!("{messages:?}"));
        self.twins.proxied.send(messages);
        self.twins.direct.send(messages);
        let own = self.twins.direct.answers(messages);
        let seen = self.twins.proxied.answers(messages);
        let mut values = seen.iter().filter(|line| line.starts_with("D "));
        match values.find(|line| !own.contains(line)) {
            None => Ok(()),
            Some(_) => Err(format!("  there is {seen:?} and not {own:?}")),
        }
    }
}

fn request_cancel(mut peer: Peer, key: &[u8]) {
    let pid = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    peer.send(&message::cancel(pid, &key[4..]));
    peer.drain();
}

fn sort(number: usize) -> Sort {
    match number % 10 {
        9 => Sort::Pins,
        _ => Sort::Plain,
    }
}

fn clients_never_meet(role: &str, server_reset: &str) {
    let (clients, steps) = match soak() {
        true => (300, 400),
        false => (100, 40),
    };
    let endpoint = Endpoint::direct(cluster(), role);
    prepare(&endpoint, clients);
    let stage = stage(&endpoint, server_reset);
    let seed = Chance::seed();
    let socket = cluster().socket();
    let places = Places {
        stage: &stage,
        socket: &socket,
        endpoint: &endpoint,
    };
    let pinning = Turnstile::new(PINNING_AT_ONCE);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..clients {
            let (pinning, failed) = (&pinning, &failed);
            scope.spawn(move || {
                let live = || {
                    let mut life = Life::begin(places, number, seed);
                    let outcome = catch_unwind(AssertUnwindSafe(|| {
                        life.go_on(steps, sort(number) == Sort::Plain)
                    }));
                    let outcome = outcome.unwrap_or_else(|_| Err("  it panicked".to_owned()));
                    if let Err(difference) = outcome
                        && failed.fetch_add(1, Ordering::Relaxed) < 6
                    {
                        let from = life.said.len().saturating_sub(12);
                        eprintln!(
                            "client {number} of seed {seed}, after\n  {}\n{difference}",
                            life.said[from..].join("\n  ")
                        );
                    }
                    let _ = life.twins.proxied.peer.try_send(&message::TERMINATE);
                    if sort(number) == Sort::Pins {
                        life.twins.proxied.peer.drain();
                    }
                };
                match sort(number) {
                    Sort::Pins => pinning.inside(live),
                    Sort::Plain => live(),
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert_eq!(
        failed, 0,
        "clients saw more or less than their own: PORTCULLIS_SEED={seed}"
    );
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn prepare(endpoint: &Endpoint, clients: usize) {
    let (database, role) = (&endpoint.database, &endpoint.user);
    cluster().sql(&format!("GRANT isolation_other TO {role}"));
    let run = |text: &str| cluster().sql_in(database, text);
    run("GRANT CREATE ON SCHEMA public TO public");
    run(PREPARATION);
    run("GRANT ALL ON ALL TABLES IN SCHEMA public TO public");
    run(&format!(
        "DO $$ BEGIN FOR i IN 0..{} LOOP \
            EXECUTE format('CREATE SEQUENCE \"seq_p_%s\" START %s', to_char(i, 'FM0000'), i * 1000000 + 1); \
            EXECUTE format('CREATE SEQUENCE \"seq_d_%s\" START %s', to_char(i, 'FM0000'), i * 1000000 + 1); \
        END LOOP; END $$",
        clients - 1
    ));
    run("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO public");
}

#[test]
fn clients_never_meet_where_resets_follow_what_was_done() {
    clients_never_meet("isolation_auto", "\"auto\"");
}

#[test]
fn clients_never_meet_where_everything_is_reset() {
    clients_never_meet("isolation_always", "\"always\"");
}
