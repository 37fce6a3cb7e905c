//! A load to learn from: the program, built to count which way it goes, meets each kind of traffic
//! once, and what it counted is kept for a build that is optimised by it.
//!
//! Owns the choice of loads. They weigh as they last: much more of statements than of logins.

use crate::contender::{Contender, Instrument, Kind, Upstream};
use crate::load::{Mode, Work};
use crate::options::Feature;
use crate::scene::Scene;
use e2e::storm::{self, Bystander};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use testkit::ClientTls;

/// Transactions of each load: enough that what happens once in a session does not matter.
const TRANSACTIONS: u64 = 3_200;
const COPIED_BYTES: u64 = 20_000_000;
const CONNECTS: u64 = 50;
const STORMING: usize = 100;

/// What operators use besides, and what costs nothing where they don't.
const FEATURES: [&[Feature]; 3] = [
    &[],
    &[Feature::Routing],
    &[Feature::Inspection, Feature::Rules],
];

/// Runs every load in both pool modes, with and without features. One file for each proxy that ran.
#[track_caller]
pub fn run(scene: &mut Scene, directory: &Path) {
    fs::create_dir_all(directory).expect("a directory for what is counted");
    for (number, features) in FEATURES.into_iter().enumerate() {
        scene.with = features.to_vec();
        for kind in [Kind::Portcullis, Kind::PortcullisPooled] {
            eprintln!("bench: training, {}, {features:?}", kind.name());
            let contender = Contender::start_under(Instrument::Itself, kind, scene);
            // Rules deny in case of doubt what writes: tables are named without their schema.
            let reads_alone = features.contains(&Feature::Rules);
            for work in works().filter(|work| !reads_alone || work.only_reads()) {
                work.run(scene, &contender);
            }
            keep(contender, directory, &format!("{number}-{kind:?}"));
        }
    }
    scene.with = Vec::new();
    eprintln!("bench: training, logins");
    let server = storm::server();
    let upstream = Upstream::script(&server);
    let tls = ClientTls::verified(&scene.authority, "localhost");
    let setting = (Instrument::Itself, Kind::Portcullis);
    let contender = Contender::start_before(&upstream, setting, scene);
    let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
    storm::rage(address, &tls, STORMING, Bystander::Absent);
    keep(contender, directory, "logins");
}

fn works() -> impl Iterator<Item = Work> {
    let mut works = vec![
        Work::Connects(CONNECTS),
        Work::CopyOut(COPIED_BYTES),
        Work::CopyIn(COPIED_BYTES),
    ];
    for mode in [Mode::Prepared, Mode::Extended, Mode::Simple] {
        works.extend([1, 16, 64].map(|clients| Work::Crowded(mode, clients, TRANSACTIONS)));
        works.push(Work::Updates(mode, 16, TRANSACTIONS / 5));
    }
    works.into_iter()
}

#[track_caller]
fn keep(contender: Contender, directory: &Path, name: &str) {
    let kept = directory.join(format!("{name}.counts"));
    contender.finish(|file| {
        let bytes = fs::copy(file, &kept).expect("what the program counted of itself");
        assert!(
            bytes > 0,
            "nothing was counted: was it built to count, with -Cprofile-generate or by llvm-bolt?"
        );
    });
}
