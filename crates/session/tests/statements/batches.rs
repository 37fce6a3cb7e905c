//! The heart: random clients, each once with a session of its own, once with sessions shared among
//! all; what each of them reads must be the same.

use crate::model::{Model, frame, frames};
use crate::shared::{Batch, Rig, Schedule};
use proptest::prelude::*;
use session::statements::{Mode, StatementLimits};

/// What clients prepare and ask.
const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT 2",
    "SELECT $1",
    "SELECT f()",
    "SELECT 1/(0*random())::int",
    "SELEC",
    "",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET work_mem = '1MB'",
    "SET DateStyle = 'DMY'",
    "DEALLOCATE ALL",
    "DEALLOCATE a",
];

/// What clients ask by the simple protocol.
const QUERIES: &[&str] = &[
    "SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1/(0*random())::int",
    "SELEC",
    "",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET work_mem = '1MB'",
    "SET DateStyle = 'DMY'",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "DEALLOCATE a",
    "DEALLOCATE b",
    "DEALLOCATE prepare_d",
];

/// What leaves nothing behind that a lost statement would take with it.
const PLAIN_TEXTS: &[&str] = &["SELECT 1", "SELECT 2", "SELECT $1", "SET work_mem = '1MB'"];

const NAMES: &[&str] = &["", "", "a", "b", "c"];

fn parse(name: &str, text: &str, typed: bool) -> Vec<u8> {
    // A named statement that deallocates another is not carried.
    let name = if text == "DEALLOCATE a" { "" } else { name };
    let types: &[u8] = match typed {
        true => &[0, 1, 0, 0, 0, 23],
        false => &[0, 0],
    };
    let names = [name.as_bytes(), b"\0", text.as_bytes(), b"\0"].concat();
    frame(b'P', &[&names, types].concat())
}

fn bind(portal: &str, name: &str, values: bool) -> Vec<u8> {
    let values: &[u8] = match values {
        true => &[0, 0, 0, 1, 0, 0, 0, 1, b'v', 0, 0],
        false => &[0, 0, 0, 0, 0, 0],
    };
    let names = [portal.as_bytes(), b"\0", name.as_bytes(), b"\0"].concat();
    frame(b'B', &[&names, values].concat())
}

fn target(tag: u8, kind: u8, name: &str) -> Vec<u8> {
    frame(tag, &[&[kind], name.as_bytes(), b"\0"].concat())
}

fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

/// One or a few messages of the extended protocol.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let name = || prop::sample::select(NAMES);
    let text = || prop::sample::select(TEXTS);
    let odd = prop::sample::select(&["z", "pc_00000000000000000000000000000000", "pc_"][..]);
    let portal = || prop::sample::select(&["", "", "p"][..]);
    prop_oneof![
        4 => (name(), text(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(name, text, typed, close)| {
                let values = text.contains('$') || typed;
                let close = if close { target(b'C', b'S', name) } else { vec![] };
                [close, parse(name, text, typed), bind("", name, values), execute("")].concat()
            }
        ),
        4 => (name(), prop::bool::weighted(0.3)).prop_map(|(name, values)| {
            [bind("", name, values), execute("")].concat()
        }),
        3 => (name(), text(), any::<bool>()).prop_map(|(name, text, typed)| parse(name, text, typed)),
        2 => (name(), text()).prop_map(|(name, text)| {
            [parse(name, text, false), target(b'D', b'S', name)].concat()
        }),
        1 => (portal(), name(), any::<bool>()).prop_map(|(portal, name, values)| bind(portal, name, values)),
        1 => portal().prop_map(execute),
        1 => name().prop_map(|name| target(b'D', b'S', name)),
        1 => portal().prop_map(|name| target(b'D', b'P', name)),
        1 => name().prop_map(|name| target(b'C', b'S', name)),
        1 => portal().prop_map(|name| target(b'C', b'P', name)),
        1 => Just(frame(b'H', b"")),
        1 => odd.clone().prop_map(|name| bind("", name, false)),
        1 => odd.prop_map(|name| [target(b'C', b'S', name), target(b'D', b'S', name)].concat()),
    ]
}

/// What a client sends up to the next ReadyForQuery or so, and whether it waits for the answers.
fn batch() -> impl Strategy<Value = Batch> {
    let extended = prop::collection::vec(messages(), 1..5)
        .prop_map(|messages| [messages.concat(), frame(b'S', b"")].concat());
    let mixed = (messages(), prop::sample::select(QUERIES))
        .prop_map(|(messages, text)| [messages, query(text), frame(b'S', b"")].concat());
    let simple = prop::sample::select(QUERIES).prop_map(query);
    let bytes = prop_oneof![6 => extended, 1 => mixed, 2 => simple];
    (bytes, any::<bool>()).prop_map(|(bytes, waits)| Batch { bytes, waits })
}

/// What a driver sends that prepares nothing: the same text over and over, without a name.
fn repeated(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<Batch>> {
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.8));
    (prop::sample::select(texts), flags, 2usize..6).prop_map(|(text, flags, count)| {
        let (typed, describes, waits) = flags;
        let bytes = [
            parse("", text, typed),
            bind("", "", text.contains('$') || typed),
            match describes {
                true => target(b'D', b'P', ""),
                false => vec![],
            },
            execute(""),
            frame(b'S', b""),
        ]
        .concat();
        vec![Batch { bytes, waits }; count]
    })
}

/// Scripts of so many pieces, a few of them many times the same.
fn pieces(
    batch: impl Strategy<Value = Batch>,
    texts: &'static [&'static str],
) -> impl Strategy<Value = Vec<Batch>> {
    let once = batch.prop_map(|batch| vec![batch]);
    let piece = prop_oneof![5 => once, 2 => repeated(texts)];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

/// Batches, and a ROLLBACK: a client that ends in a transaction keeps its server connection.
fn script() -> impl Strategy<Value = Vec<Batch>> {
    pieces(batch(), TEXTS).prop_map(|mut script| {
        script.push(Batch {
            bytes: query("ROLLBACK"),
            waits: true,
        });
        script
    })
}

/// A batch that prepares a statement, or uses one: what is lost behind everybody's back is repaired in
/// such, since its first use is the first thing that is executed.
fn plain_batch() -> impl Strategy<Value = Batch> {
    let name = || prop::sample::select(NAMES);
    let text = prop::sample::select(PLAIN_TEXTS);
    let prepare = (name(), text).prop_map(|(name, text)| {
        [
            target(b'C', b'S', name),
            parse(name, text, false),
            frame(b'S', b""),
        ]
        .concat()
    });
    let used = |name: &str, what| match what {
        0 => target(b'D', b'S', name),
        1 => [bind("", name, false), target(b'D', b'P', ""), execute("")].concat(),
        2 => [bind("", name, true), execute("")].concat(),
        _ => [bind("", name, false), execute("")].concat(),
    };
    let uses = (name(), prop::collection::vec(0..4, 1..4)).prop_map(move |(name, whats)| {
        let uses: Vec<_> = whats.into_iter().map(|what| used(name, what)).collect();
        [uses.concat(), frame(b'S', b"")].concat()
    });
    let bytes = prop_oneof![2 => prepare, 4 => uses, 1 => Just(query("SELECT 1"))];
    bytes.prop_map(|bytes| Batch { bytes, waits: true })
}

/// What a client reads with a session of its own.
fn directly(script: &[Batch]) -> Vec<u8> {
    let mut model = Model::default();
    for batch in script {
        model.take(&batch.bytes);
    }
    model.output
}

/// What was read, without the texts of errors: they name statements.
fn readable(bytes: &[u8]) -> Vec<String> {
    let mut bytes = bytes.to_vec();
    let read = frames(&mut bytes).into_iter().map(|(tag, body)| {
        let body = String::from_utf8_lossy(&body).into_owned();
        let body = match tag {
            b'E' => body.split('\0').filter(|it| !it.starts_with('M')).collect(),
            _ => body,
        };
        format!("{} {body:?}", tag as char)
    });
    let read = read.collect();
    assert!(bytes.is_empty(), "half a message");
    read
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(1500)
    ))]

    #[test]
    fn each_client_reads_what_it_would_read_alone(
        scripts in prop::collection::vec(script(), 1..4),
        servers in 1usize..3,
        server_max in 1usize..5,
        pipelines in any::<bool>(),
        choices in prop::collection::vec(any::<u16>(), 1..200),
    ) {
        let mut scripts = scripts;
        for batch in scripts.iter_mut().flatten() {
            batch.waits |= !pipelines;
        }
        let limits = StatementLimits { server_max, ..StatementLimits::default() };
        let mut rig = Rig::new(&scripts, servers, limits, Mode::Transaction);
        rig.run(&mut Schedule::new(&choices));
        for (index, script) in scripts.iter().enumerate() {
            let expected = readable(&directly(script));
            prop_assert_eq!(readable(rig.read(index)), expected, "client {}", index);
        }
    }

    #[test]
    fn what_servers_lose_is_prepared_anew(
        scripts in prop::collection::vec(pieces(plain_batch(), PLAIN_TEXTS), 1..4),
        servers in 1usize..3,
        server_max in 1usize..5,
        choices in prop::collection::vec(any::<u16>(), 1..200),
    ) {
        let mut scripts = scripts;
        for batch in scripts.iter_mut().flatten() {
            batch.waits = true;
        }
        let limits = StatementLimits { server_max, ..StatementLimits::default() };
        let mut rig = Rig::new(&scripts, servers, limits, Mode::Transaction);
        rig.forgetful = true;
        rig.run(&mut Schedule::new(&choices));
        for (index, script) in scripts.iter().enumerate() {
            let expected = readable(&directly(script));
            prop_assert_eq!(readable(rig.read(index)), expected, "client {}", index);
        }
    }
}
