//! What a core dump holds: no literal, row, password, verifier, passphrase or private key, not even
//! while they are in use. Dumps are off unless the configuration asks for them; here it does.
//!
//! Twice: a dump that the kernel writes, where it writes them into files, and everything in the living
//! process that is not advised to be left out, which is more than any dump holds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use e2e::drivers::Endpoint;
use e2e::planted::{Planted, marker};
use e2e::scripted::{Session, scram};
use e2e::search::{self, Part};
use e2e::{Stage, StagePlan};
use openssl::base64::decode_block;
use testkit::peer::message::{frame, query};
use testkit::{Authority, Certificate, Cluster, Identity, Peer, Signal, wait};

/// Without a sandbox, which would not let the kernel write the dump into the working directory.
fn plan() -> StagePlan {
    Stage::before(Cluster::shared())
        .set("process", "core_dumps", "true")
        .set("process", "sandbox", "'off'")
}

/// The private key of a P-256 certificate as libcrypto computes with it, and as files hold it.
fn scalars(certificate: &Certificate) -> [Vec<u8>; 2] {
    let key = certificate.key.ec_key().expect("a P-256 key");
    let in_file = key.private_key().to_vec_padded(32).expect("32 bytes");
    [in_file.iter().rev().copied().collect(), in_file]
}

/// Lets the kernel write a dump of any size; false if this account may not.
fn allow_dump(stage: &Stage) -> bool {
    let pid = stage.proxy.pid().to_string();
    let limits = ["--core=unlimited:unlimited", "--pid"];
    let done = Command::new("prlimit").args(limits).arg(pid).output();
    done.expect("prlimit").status.success()
}

/// The dump, if the kernel writes it beside the program (core(5)).
fn dump(stage: &mut Stage) -> Option<PathBuf> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("core_pattern");
    if !pattern.starts_with("core") || !allow_dump(stage) {
        return None;
    }
    stage.proxy.signal(Signal::SIGABRT);
    stage.proxy.await_end(wait::LONG);
    let files = fs::read_dir(stage.proxy.directory()).expect("its directory");
    let mut files = files.map(|file| file.expect("a file").path());
    let is_dump = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("core")
    };
    Some(files.find(is_dump).expect("a dump"))
}

#[test]
fn a_dump_holds_no_secret_and_no_payload() {
    let cluster = Cluster::shared();
    let (role, password) = (format!("dumped_{}", marker()), marker());
    cluster.make_role(&role, &password);
    let verifier = scram::verifier(&marker(), b"a salt of sorts.", 4096);
    let stored = verifier.rsplit_once('$').expect("a verifier").1;
    let (stored, server) = stored.split_once(':').expect("two keys");
    let keys = [stored, server].map(|key| decode_block(key).expect("base64"));
    let authority = Authority::new("Authority of dumped keys");
    let leaf = authority.issue(&Identity::localhost());
    let plan = plan().user_with(&role, &password);
    let plan = plan.user_with("somebody_else", &verifier);
    let mut stage = plan.certificate(&authority, &leaf).start();
    let direct = Endpoint::existing(cluster, &role, &password);

    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    let planted = Planted::new();
    planted.travel(&mut session);
    // A session in the middle of something: half a message that waits for its end.
    let in_use = Planted::new();
    let mut busy = Session::through(&stage, &stage.endpoint(&direct));
    in_use.travel(&mut busy);
    let parse = [b"\0SELECT '", in_use.literal.as_bytes(), b"'\0\0\0"].concat();
    let parse = frame(b'P', &parse);
    busy.peer.send(&parse[..parse.len() - 3]);
    let also = query(&format!("SELECT '{}'", planted.literal));
    session.peer.send(&also[..also.len() - 3]);

    const NAMES: [&str; 5] = [
        "the key",
        "the key in its file",
        "the password",
        "StoredKey",
        "ServerKey",
    ];
    let [key, key_in_file] = scalars(&leaf);
    let mut secrets: Vec<&[u8]> = vec![&key, &key_in_file, password.as_bytes(), &keys[0], &keys[1]];
    let is_there = search::memory(stage.proxy.pid(), Part::All, &secrets);
    for secret in [&key[..], password.as_bytes(), &keys[0]] {
        assert!(is_there.contains(&secret), "the search works");
    }
    for word in planted.all().into_iter().chain(in_use.all()) {
        secrets.push(word.as_bytes());
    }
    let known: &[u8] = role.as_bytes();
    let named = |found: &[u8]| match secrets.iter().position(|it| *it == found) {
        Some(at) => NAMES
            .get(at)
            .map_or(format!("word {}", at - NAMES.len()), |it| (*it).to_owned()),
        None => "no secret".to_owned(),
    };
    let control = |found: Vec<&[u8]>| {
        let found: Vec<String> = found.into_iter().map(named).collect();
        assert_eq!(found, ["no secret"]);
    };
    let all = [&[known], &secrets[..]].concat();
    control(search::memory(stage.proxy.pid(), Part::Dumped, &all));
    match dump(&mut stage) {
        Some(dump) => control(search::file(&dump, &all)),
        None => println!("the kernel writes no dump here: only the living process was searched"),
    }
}

/// In the proxy, which needed it for a moment, and in the process that ran the command for it.
#[test]
fn passphrases_are_forgotten_by_both_processes() {
    let words = [marker(), marker()];
    let authority = Authority::new("authority of a locked key");
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let leaf = authority.issue(&Identity::localhost());
    let locked = |certificate: &Certificate, word: &str| {
        let key = &certificate.key;
        let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, word.as_bytes());
        String::from_utf8(pem.expect("an encrypted key")).expect("PEM")
    };
    let plan = Stage::before(Cluster::shared()).set("process", "core_dumps", "true");
    let plan = plan.certificate(&authority, &leaf);
    let plan = plan.file("locked.key", &locked(&leaf, &words[0]));
    let mut stage = plan
        .file("passphrase", &words[0])
        .set("listen.tls", "private_key", "'locked.key'")
        .set(
            "listen.tls",
            "private_key_passphrase_command",
            "['/bin/cat', 'passphrase']",
        )
        .start();
    let log = stage.proxy.log();
    let attendant = log.lines().find_map(|line| line.rsplit_once("process="));
    let attendant = attendant.and_then(|(_, number)| number.trim().parse().ok());
    let attendant: u32 = attendant.unwrap_or_else(|| panic!("no attendant in\n{log}"));

    let new = authority.issue(&Identity::localhost());
    let directory = stage.proxy.directory();
    fs::write(directory.join("passphrase"), &words[1]).expect("a passphrase");
    fs::write(directory.join("locked.key"), locked(&new, &words[1])).expect("a key");
    fs::write(directory.join("proxy.crt"), new.pem()).expect("a certificate");
    stage.proxy.signal(Signal::SIGHUP);
    wait::until("the new certificate", wait::LONG, || {
        let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        let shown = peer.ssl().and_then(|ssl| ssl.peer_certificate());
        peer.close();
        shown.is_some_and(|shown| shown == new.certificate)
    });
    let words = [words[0].as_str(), words[1].as_str()];
    // What it was told to run is there, so the search works. It is no child's to trace, but root's.
    for (process, there) in [(stage.proxy.pid(), "proxy.crt"), (attendant, "/bin/cat")] {
        if fs::File::open(format!("/proc/{process}/mem")).is_err() {
            println!("only root may search the memory of process {process}");
            continue;
        }
        let looked_for = [words[0], words[1], there];
        let found = search::memory(process, Part::All, &looked_for);
        assert_eq!(found, [there], "process {process}");
    }
}
