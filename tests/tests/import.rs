//! The import reads PgBouncer's files as PgBouncer does: the same lines are given to both, and what
//! one takes the other takes, with the same values.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use testkit::account::Account;
use testkit::guard::Workplace;
use testkit::proxy;

/// Ends PgBouncer as soon as it has read its files: there is nothing that it could listen on.
const NOWHERE: &str =
    "[pgbouncer]\nauth_type = any\nlisten_addr =\nunix_socket_dir = /nonexistent\n";

/// What PgBouncer makes of a file: the last value of `dbname`, or `None` if it refuses the file.
fn pgbouncer(account: &Account, directory: &Path) -> Option<Option<String>> {
    let mut command = account.command(Path::new("/usr/sbin/pgbouncer"));
    command.args(["-v", "-v", "p.ini"]).current_dir(directory);
    let said = said(&command.output().expect("pgbouncer"));
    let taken = said.contains("nowhere to listen on");
    assert!(taken || said.contains("cannot load config file"), "{said}");
    let pairs = said
        .lines()
        .filter_map(|line| line.split_once("cstr_get_pair: "));
    let named = pairs.filter_map(|(_, pair)| pair.strip_prefix("\"dbname\"=\""));
    let mut values = named.filter_map(|value| value.strip_suffix('"'));
    taken.then(|| values.next_back().map(str::to_owned))
}

/// What the import makes of it.
fn import(directory: &Path) -> Option<Option<String>> {
    let mut command = Command::new(proxy::binary());
    command.args(["import", "p.ini"]).current_dir(directory);
    let output = command.output().expect("portcullis");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("dbname = \""));
    let mut values = lines.filter_map(|line| line.split("\"  # ").next());
    let value = values.next_back().map(|value| value.replace("\\\"", "\""));
    output.status.success().then_some(value)
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Gives a file with these lines at its end to both; gives how many were taken by both.
#[track_caller]
fn compare(lines: impl IntoIterator<Item = String>) -> usize {
    let account = Account::for_server();
    let place = Workplace::new("portcullis-import-");
    let file = place.path().join("p.ini");
    account.own(place.path()).expect("PgBouncer's owner");
    let mut taken = 0;
    for lines in lines {
        fs::write(&file, format!("{NOWHERE}{lines}\n")).expect("the file");
        let readable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(&file, readable).expect("its mode");
        let theirs = pgbouncer(&account, place.path());
        let ours = import(place.path());
        assert_eq!(ours, theirs, "ours and PgBouncer's of:\n{lines}");
        taken += usize::from(theirs.is_some());
    }
    taken
}

#[test]
fn lines_are_taken_and_refused_alike() {
    let lines = [
        "[databases]\na = dbname=x",
        "[databases]\na=dbname = x",
        "[databases]\n  a.b-c*_1\t= \tdbname=x   ",
        "; c\n# c\n\n[databases] a = dbname=x",
        "[databases]\na = dbname='it''s a = b' port=1",
        "[databases]\na = dbname='x'port=1",
        "[databases]\na = dbname='x'xport=1",
        "[databases]\na = dbname=x # no comment=1",
        "[databases]\na = dbname=x;",
        "[databases]\na = dbname='x",
        "[databases]\na = dbname=''",
        "[databases]\na = dbname=",
        "[databases]\na = dbname",
        "[databases]\na = =x",
        "[databases]\na = nonsense=x",
        "[databases]\na = pool_mode=TRANSACTION dbname=x",
        "[databases]\na = pool_mode=transactional",
        "[databases]\na b = dbname=x",
        "[databases]\na",
        "[databases\na = dbname=x",
        "[nonsense]\na = dbname=x",
        "[databases]\npgbouncer = dbname=x",
        "[users]\nu = pool_mode=session max_user_connections=1",
        "[users]\nu = dbname=x",
        "%include gone.ini",
        "%include\tgone.ini",
        "default_pool_size = 010\nunix_socket_mode = 0x1ff",
        "default_pool_size = 10 ; ten",
        "default_pool_size = ten",
        "query_timeout = 0.5",
        "query_timeout = -1",
        "query_timeout = 5s",
        "client_tls_sslmode = Disable",
        "client_tls_sslmode = none",
    ];
    let taken = compare(lines.map(str::to_owned));
    assert!(
        (10..lines.len() - 10).contains(&taken),
        "{taken} of {}",
        lines.len()
    );
}

/// Values of letters that mean something, by a generator that always gives the same.
#[test]
fn values_are_cut_alike() {
    let pieces = [
        "'",
        "''",
        "=",
        " ",
        "  ",
        "x",
        "y z",
        "dbname=",
        " dbname='",
        "#",
        "\"",
    ];
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).expect("31 bits")
    };
    let mut line = |_| {
        let number = next() % 6;
        let value: String = (0..number).map(|_| pieces[next() % pieces.len()]).collect();
        format!("[databases]\na = dbname={value}")
    };
    let taken = compare((0..150).map(&mut line).collect::<Vec<_>>());
    assert!((20..130).contains(&taken), "{taken} of 150");
}
