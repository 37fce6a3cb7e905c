//! Owns what fuzz targets and mutation tests call: any bytes, to the end, with the console's promises
//! checked on the way.

use crate::{Command, Console, Fault, Outcome, Refusal, Right, Snapshot, Step, Table};
use buf::Plain;

/// Plays a whole conversation: `bytes` come in pieces of `piece` bytes, each question is answered.
/// Gives what the client reads, and how it ended.
///
/// # Panics
/// If the console promises something and doesn't keep it.
pub fn play(right: Right, bytes: &[u8], piece: usize) -> (Vec<u8>, Result<Step, Fault>) {
    let (mut input, mut output) = (Plain::with_capacity(32_768), Plain::with_capacity(8192));
    let mut console = Console::new(right);
    let mut read = Vec::new();
    let mut pieces = bytes.chunks(piece.max(1));
    loop {
        let step = console.step(&mut input, &mut output);
        match &step {
            Ok(Step::Show(table)) => console.shown(sample(*table)),
            Ok(Step::Carry(command)) => {
                assert!(right == Right::Admin, "only administrators give orders");
                console.carried(outcome(command));
            }
            Ok(Step::Write) => {
                assert!(!output.is_empty(), "there is something to write");
                read.extend_from_slice(output.bytes());
                output.clear();
            }
            Ok(Step::Read) => {
                read.extend_from_slice(output.bytes());
                output.clear();
                match pieces.next() {
                    Some(piece) if piece.len() <= input.room() => {
                        input.push(piece).expect("there is room");
                    }
                    _ => return (read, step),
                }
            }
            Ok(Step::End) | Err(_) => {
                read.extend_from_slice(output.bytes());
                return (read, step);
            }
        }
    }
}

/// The first byte chooses the right and the pieces in which the rest comes; what the client reads does
/// not depend on the pieces.
///
/// # Panics
/// If it does.
pub fn console(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let right = match choice & 1 {
        0 => Right::Stats,
        _ => Right::Admin,
    };
    let whole = play(right, bytes, usize::MAX);
    assert_eq!(play(right, bytes, usize::from(choice >> 1) + 1), whole);
}

/// Two outcomes, so that both are seen.
fn outcome(command: &Command) -> Outcome {
    match command {
        Command::Pause(Some(name)) => Outcome::Refused(Refusal::NoSuchDatabase(name.clone())),
        Command::Set { .. } => Outcome::Refused(Refusal::NotSet {
            hint: "Set it in the file.".to_owned(),
        }),
        Command::Drain { cluster, host } => Outcome::Refused(Refusal::HostLeads {
            cluster: cluster.clone(),
            host: host.clone(),
        }),
        _ => Outcome::Done,
    }
}

/// A table with rows enough to fill more than one output.
fn sample(table: Table) -> Snapshot {
    use crate::*;
    const MANY: usize = 200;
    match table {
        Table::Activity => Snapshot::Activity(vec![Activity::default(); 2]),
        Table::Rules => Snapshot::Rules(vec![Rule::default(); 2]),
        Table::Routes => Snapshot::Routes(vec![Route::default(); 2]),
        Table::Views => Snapshot::Views(vec![View::default(); 2]),
        Table::Throttles => Snapshot::Throttles(vec![Throttle::default(); 2]),
        Table::Patterns => Snapshot::Patterns(vec![Pattern::default(); 2]),
        Table::ActiveSockets => Snapshot::ActiveSockets(vec![Wire::default(); MANY]),
        Table::Certificates => Snapshot::Certificates(vec![Certificate::default()]),
        Table::Counters => Snapshot::Counters(vec![Counter::default()]),
        Table::Clients => Snapshot::Clients(vec![Socket::default(); MANY]),
        Table::Clusters => Snapshot::Clusters(vec![Cluster::default(); 2]),
        Table::Config => Snapshot::Config(vec![Config::default(); 2]),
        Table::Databases => Snapshot::Databases(vec![Database::default(); 2]),
        Table::Events => Snapshot::Events(vec![Event::default(); 2]),
        Table::Mirrors => Snapshot::Mirrors(vec![Mirror::default(); 2]),
        Table::Hosts => Snapshot::Hosts(vec![Host::default(); 2]),
        Table::DnsHosts => Snapshot::DnsHosts(Vec::new()),
        Table::DnsZones => Snapshot::DnsZones(Vec::new()),
        Table::Lists => Snapshot::Lists(Lists::default().rows()),
        Table::Mem => Snapshot::Mem(vec![Memory::default()]),
        Table::Peers => Snapshot::Peers(vec![Peer::default()]),
        Table::PeerPools => Snapshot::PeerPools(vec![PeerPool::default()]),
        Table::Pools => Snapshot::Pools(vec![Pool::default(); MANY]),
        Table::Servers => Snapshot::Servers(vec![Socket::default(); MANY]),
        Table::Sockets => Snapshot::Sockets(vec![Wire::default(); MANY]),
        Table::State => Snapshot::State(Pauses::Active.rows()),
        Table::Users => Snapshot::Users(vec![User::default()]),
        Table::Version => Snapshot::Version(vec![Version::default()]),
        Table::Stats | Table::StatsAverages | Table::StatsTotals | Table::Totals => {
            Snapshot::of_statistics(table, &[Statistics::default()])
        }
    }
}
