//! A mirror that is a database of a cluster: copies go where its target leads.

use e2e::clustered::{another_role, await_role, plan, session};
use e2e::tables::{ADMIN, console, number, of, show};
use testkit::peer::message;
use testkit::wait;

use super::{plain, ports, value};

#[test]
fn copies_go_to_the_hosts_that_the_target_of_the_mirror_names() {
    let flock = plain();
    let direct = another_role(flock, "mirrored");
    let mirror = |name: &str, target: &str| {
        format!(
            "[[database]]\nname = '{name}'\ndbname = 'mirrored'\ncluster = 'main'\ntarget = '{target}'\n\
             user = 'mirrored'\npassword_file = 'mirror.password'\n"
        )
    };
    let more = format!(
        "{}{}[[database]]\nname = 'other'\ndbname = 'mirrored'\ncluster = 'main'\npool_mode = 'transaction'\n\
         mirror = 'leader'\nmirror_share = 100\n",
        mirror("standbys", "standby"),
        mirror("leader", "primary"),
    );
    let stage = plan(flock, &direct, "")
        .file("mirror.password", &direct.password)
        .set("database", "name", "'mirrored'")
        .set("database", "mirror", "'standbys'")
        .set("database", "mirror_share", "100")
        .more(&more)
        .start();
    for standby in &flock.members()[1..] {
        await_role(&stage, standby.port(), "standby");
    }
    await_role(&stage, flock[0].port(), "primary");
    let primary = flock[0].port().to_string();
    let mut admin = console(&stage, ADMIN);
    for (database, to, is_led) in [("mirrored", "standbys", false), ("other", "leader", true)] {
        let mut client = session(&stage, &direct, database);
        wait::until("an answer to compare", wait::LONG, || {
            client.query("SELECT * FROM counters");
            let rows = show(&mut admin, "MIRRORS");
            number(of(&rows, "database", database), "compared") > 0
        });
        let rows = show(&mut admin, "MIRRORS");
        assert_eq!(number(of(&rows, "database", database), "rows_differ"), 0);
        let servers = show(&mut admin, "SERVERS");
        let port = of(&servers, "database", to)["port"].as_deref();
        assert_eq!(port == Some(&*primary), is_led, "{servers:?}");
    }
}

/// A database whose statements are led takes them one by one, copied or not: a write behind a read goes to the primary.
#[test]
fn statements_are_led_one_by_one_where_they_are_copied() {
    let flock = plain();
    let direct = another_role(flock, "led");
    let mirror = "[[database]]\nname = 'copies'\ndbname = 'led'\ncluster = 'main'\n\
        user = 'led'\npassword_file = 'mirror.password'\n";
    let stage = plan(flock, &direct, "")
        .file("mirror.password", &direct.password)
        .set("database", "name", "'led'")
        .set("database", "route_reads", "'replicas'")
        .set("database", "mirror", "'copies'")
        .set("database", "mirror_share", "50")
        .more(mirror)
        .start();
    let standbys = ports(&flock.members()[1..]);
    for standby in &flock.members()[1..] {
        await_role(&stage, standby.port(), "standby");
    }
    await_role(&stage, flock[0].port(), "primary");
    let primary = flock[0].port().to_string();
    for number in 0..20 {
        let mut client = session(&stage, &direct, "led");
        let insert =
            format!("INSERT INTO register VALUES (0, {number}) RETURNING current_setting('port')");
        let requests = ["SHOW port", &insert].map(message::query);
        client.peer.send(&requests.concat());
        let read: u16 = value(&client.peer.until_ready()).parse().expect("a port");
        assert!(standbys.contains(&read), "{read}");
        assert_eq!(value(&client.peer.until_ready()), primary);
    }
}
