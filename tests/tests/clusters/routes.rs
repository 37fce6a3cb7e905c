//! Where sessions are led by what their clients say when they come: to another database, or to other hosts.

use std::collections::BTreeSet;

use e2e::clustered::{another_role, await_role, database, plan};
use e2e::drivers::Endpoint;
use e2e::scripted::{Session, prove};
use e2e::tables::{ADMIN, console, of, show, text};
use e2e::{Stage, scripted};
use testkit::peer::message;
use testkit::{ClientTls, Peer};

use super::{plain, ports, read_at};

/// What a client says when it comes.
#[derive(Default, Clone, Copy)]
struct Says<'a> {
    database: &'a str,
    server_name: &'a str,
    parameters: &'a [(&'a str, &'a str)],
}

fn arrive(stage: &Stage, direct: &Endpoint, says: Says<'_>) -> Peer {
    let tls = match says.server_name {
        "" => stage.client_tls(),
        name => ClientTls::blind().sni(name),
    };
    let mut peer = Peer::tls(stage.proxy.address(), &tls);
    let own = [("user", &*direct.user), ("database", says.database)];
    peer.send(&message::startup(&[&own[..], says.parameters].concat()));
    peer
}

#[track_caller]
fn enter(stage: &Stage, direct: &Endpoint, says: Says<'_>) -> Session {
    let mut peer = arrive(stage, direct, says);
    prove(&mut peer, &stage.endpoint(direct).password);
    Session::settle(peer)
}

const ROUTES: &str = "
[[route]]
name = 'app'
application = ['metabase', 'superset']
database = 'routed'
to = 'routed_ro'

[[route]]
name = 'name'
server_name = '*.readers.example.com'
to = 'routed_ro'

[[route]]
name = 'tier'
option = ['my.tier=reports', 'my.tier=dashboards']
target = 'standby'
database = ['routed', 'routed_open']

[[route]]
name = 'alias'
database = 'nowhere'
to = 'routed'

[[route]]
name = 'far'
address = '192.0.2.0/24'
to = 'routed_ro'
";

fn staged(direct: &Endpoint) -> (Stage, BTreeSet<u16>, BTreeSet<u16>) {
    let flock = plain();
    let open = format!(
        "{}target_by_client = true\n",
        database("routed_open", direct, "primary")
    );
    let stage = plan(flock, direct, "")
        .more(&database("routed_ro", direct, "standby"))
        .more(&open)
        .more(&format!(
            "[[database]]\nname = 'routed_kept'\ndbname = '{}'\ncluster = 'main'\npool_mode = 'session'\n\
             target_by_client = true\n",
            direct.database
        ))
        .more(ROUTES)
        .start();
    for standby in &flock.members()[1..] {
        await_role(&stage, standby.port(), "standby");
    }
    await_role(&stage, flock[0].port(), "primary");
    (
        stage,
        ports(&flock.members()[..1]),
        ports(&flock.members()[1..]),
    )
}

#[test]
fn sessions_take_the_first_route_that_fits() {
    let direct = another_role(plain(), "routed");
    let (stage, primary, standbys) = staged(&direct);
    let asks = Says {
        database: "routed",
        ..Says::default()
    };
    let to_standbys = [
        Says {
            parameters: &[("application_name", "superset")],
            ..asks
        },
        Says {
            parameters: &[("options", "-c application_name=metabase")],
            ..asks
        },
        Says {
            server_name: "eu.readers.example.com",
            ..asks
        },
        Says {
            parameters: &[("my.tier", "reports")],
            ..asks
        },
        Says {
            parameters: &[("options", "-c my.tier=dashboards")],
            database: "routed_open",
            ..asks
        },
        Says {
            database: "routed_open",
            parameters: &[("options", "-c portcullis.target=read-only")],
            ..asks
        },
        Says {
            database: "routed_open",
            parameters: &[("portcullis.target", "prefer-standby")],
            ..asks
        },
    ];
    for says in to_standbys {
        let mut session = enter(&stage, &direct, says);
        assert_eq!(read_at(&mut session), standbys, "{:?}", says.parameters);
    }
    let to_primary = [
        asks,
        Says {
            parameters: &[("application_name", "Metabase")],
            ..asks
        },
        Says {
            // Only the first one that fits.
            database: "nowhere",
            parameters: &[("application_name", "metabase")],
            ..asks
        },
        Says {
            server_name: "readers.example.com",
            ..asks
        },
        // The client's own choice goes last.
        Says {
            database: "routed_open",
            parameters: &[("my.tier", "reports"), ("portcullis.target", "primary")],
            ..asks
        },
    ];
    for says in to_primary {
        let mut session = enter(&stage, &direct, says);
        assert_eq!(read_at(&mut session), primary, "{:?}", says.parameters);
    }
    // Who keeps its connection stays where it was led.
    let mut kept = enter(
        &stage,
        &direct,
        Says {
            database: "routed_kept",
            parameters: &[("portcullis.target", "standby")],
            ..asks
        },
    );
    let at = read_at(&mut kept);
    assert!(at.len() == 1 && at.is_subset(&standbys), "{at:?}");

    let mut admin = console(&stage, ADMIN);
    let routes = show(&mut admin, "ROUTES");
    let count = |name: &str| text(of(&routes, "name", name), "sessions").to_owned();
    let counts = ["app", "name", "tier", "alias", "far"].map(count);
    assert_eq!(counts, ["2", "1", "3", "1", "0"]);
    let tier = of(&routes, "name", "tier");
    assert_eq!(
        text(tier, "conditions"),
        "database=routed,routed_open option=my.tier=reports,my.tier=dashboards"
    );
    assert_eq!(
        (text(tier, "database"), text(tier, "target")),
        ("", "standby")
    );
    let log = stage.proxy.log();
    assert!(
        log.contains("route=\"alias\" led_to=\"routed\"") && log.contains("database=\"nowhere\""),
        "{log}"
    );
}

#[test]
fn clients_choose_for_themselves_only_where_they_may() {
    let direct = another_role(plain(), "routed_may");
    let (stage, ..) = staged(&direct);
    let table = [
        ("routed_may", "standby", "42501", "target_by_client"),
        ("routed_may", "primary", "42501", "target_by_client"),
        ("routed_open", "elsewhere", "22023", "prefer-standby"),
    ];
    for (database, target, sqlstate, words) in table {
        let says = Says {
            database,
            parameters: &[("portcullis.target", target)],
            ..Says::default()
        };
        let refusal = arrive(&stage, &direct, says).expect_frame(b'E');
        let said = refusal.error_text();
        assert!(said.contains(words), "{said}");
        assert!(said.contains(sqlstate), "{said}");
    }
    // A route gives no rights: whoever may not have the database it asks for doesn't come in.
    let says = Says {
        database: "nowhere",
        ..Says::default()
    };
    let mut peer = arrive(&stage, &direct, says);
    scripted::offer_proof(&mut peer, "another password");
    let said = peer.expect_frame(b'E').error_text();
    assert!(said.contains("28P01"), "{said}");
}
