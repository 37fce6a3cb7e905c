//! Tables and properties of the verdict and the choice.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const SYSTEM: u64 = 7_000;

fn key(name: &str) -> Key {
    Key::new(name, 5432)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn primary(timeline: u32) -> Report {
    Report {
        in_recovery: false,
        read_only: false,
        system: SYSTEM,
        timeline,
        lsn: Lsn(1000),
        behind: None,
    }
}

fn standby(lsn: u64) -> Report {
    Report {
        in_recovery: true,
        lsn: Lsn(lsn),
        ..primary(1)
    }
}

fn sick(why: Why) -> Sick {
    Sick {
        why,
        text: "no".to_owned(),
    }
}

fn cluster(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(Rules::default());
    let members = names.iter().map(|it| Member::plain(key(it))).collect();
    cluster.set_members(members, None, ms(0));
    cluster
}

/// A primary `a` and standbys `b` and `c`, all known.
fn three() -> Cluster {
    let mut cluster = cluster(&["a", "b", "c"]);
    cluster.observe(&key("a"), Ok(primary(1)), ms(1));
    cluster.observe(&key("b"), Ok(standby(1000)), ms(1));
    cluster.observe(&key("c"), Ok(standby(900)), ms(1));
    cluster.take_changes();
    cluster
}

fn leader(cluster: &Cluster) -> String {
    cluster.view().leader.to_string()
}

fn role(cluster: &Cluster, name: &str) -> Role {
    cluster.view().host(&key(name)).unwrap().role
}

#[test]
fn nobody_is_written_to_before_all_were_asked() {
    let mut it = cluster(&["a", "b"]);
    it.observe(&key("a"), Ok(primary(1)), ms(1));
    assert_eq!(it.view().leader, Leader::NotYetKnown);
    it.observe(&key("b"), Err(sick(Why::TimedOut)), ms(2));
    assert_eq!(leader(&it), "a:5432");
}

#[test]
fn a_host_that_nobody_listens_on_is_dead_at_once_and_others_after_some_failures() {
    let mut it = three();
    it.observe(&key("a"), Err(sick(Why::TimedOut)), ms(10));
    assert_eq!(leader(&it), "a:5432");
    it.observe(&key("a"), Err(sick(Why::TimedOut)), ms(20));
    assert_eq!(it.view().leader, Leader::None);
    let said: Vec<_> = it.take_changes().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "a:5432 is down (timeout): no",
            "a:5432 is written to no more: no host says that it is the primary",
        ]
    );
    let mut it = three();
    it.observe(&key("a"), Err(sick(Why::Refused)), ms(10));
    assert_eq!(it.view().leader, Leader::None);
}

/// It answers, so it lives, and nobody says that it was demoted: a password that was changed is no failover.
#[test]
fn a_primary_that_lets_the_check_in_no_more_stays_the_primary_until_another_one_is() {
    let mut it = three();
    for at in 1..20 {
        it.observe(&key("a"), Err(sick(Why::Authentication)), ms(10 * at));
        it.observe(&key("a"), Err(sick(Why::Other)), ms(10 * at + 5));
        assert_eq!(leader(&it), "a:5432");
    }
    // It is not asked without end.
    assert!(it.due(&key("a")).unwrap() >= ms(195) + Rules::default().interval);
    it.observe(&key("b"), Ok(primary(2)), ms(300));
    assert_eq!(leader(&it), "b:5432");
    // One that never let it in is nobody's primary.
    let mut it = cluster(&["a"]);
    it.observe(&key("a"), Err(sick(Why::Authentication)), ms(1));
    assert_eq!(it.view().leader, Leader::None);
}

#[test]
fn a_promoted_standby_is_written_to_and_the_old_primary_never_again() {
    let mut it = three();
    it.observe(&key("a"), Err(sick(Why::Refused)), ms(10));
    it.observe(&key("b"), Ok(primary(2)), ms(20));
    assert_eq!(leader(&it), "b:5432");
    // It comes back as if nothing had happened.
    it.observe(&key("a"), Ok(primary(1)), ms(30));
    it.observe(&key("a"), Ok(primary(1)), ms(40));
    assert_eq!(leader(&it), "b:5432");
    assert_eq!(role(&it, "a"), Role::Refused(Refused::OldTimeline));
    // And stays so when the new one is gone.
    it.observe(&key("b"), Err(sick(Why::Refused)), ms(50));
    assert_eq!(it.view().leader, Leader::None);
    assert_eq!(role(&it, "a"), Role::Refused(Refused::OldTimeline));
    // As a standby it is welcome.
    it.observe(&key("a"), Ok(standby(1000)), ms(60));
    assert_eq!(role(&it, "a"), Role::Standby);
}

#[test]
fn demotion_is_believed_at_once() {
    let mut it = three();
    it.observe(&key("a"), Ok(standby(1000)), ms(10));
    assert_eq!(it.view().leader, Leader::None);
    let fenced = Report {
        read_only: true,
        ..primary(1)
    };
    let mut it = three();
    it.observe(&key("a"), Ok(fenced), ms(10));
    assert_eq!(it.view().leader, Leader::None);
    assert_eq!(role(&it, "a"), Role::ReadOnlyPrimary);
}

#[test]
fn two_primaries_of_one_timeline_are_both_refused() {
    let mut it = three();
    it.observe(&key("b"), Ok(primary(1)), ms(10));
    assert_eq!(it.view().leader, Leader::Split(vec![key("a"), key("b")]));
    assert_eq!(role(&it, "a"), Role::Refused(Refused::Split));
    assert!(it.take_changes().iter().any(Change::is_grave));
    it.observe(&key("b"), Ok(standby(1000)), ms(20));
    assert_eq!(leader(&it), "a:5432");
}

#[test]
fn a_host_of_another_system_is_refused_whatever_it_says() {
    let mut it = three();
    let stranger = Report {
        system: 1,
        ..primary(9)
    };
    it.observe(&key("c"), Ok(stranger.clone()), ms(10));
    assert_eq!(leader(&it), "a:5432");
    assert_eq!(role(&it, "c"), Role::Refused(Refused::OtherSystem));
    // From the start, the most decide, and where that is nobody, nobody is trusted.
    let mut it = cluster(&["a", "c"]);
    it.observe(&key("a"), Ok(primary(1)), ms(1));
    it.observe(&key("c"), Ok(stranger), ms(1));
    assert_eq!(it.view().leader, Leader::None);
    assert_eq!(role(&it, "a"), Role::Refused(Refused::OtherSystem));
}

#[test]
fn who_is_named_must_say_so_itself() {
    let mut it = three();
    let members = ["a", "b", "c"].map(|it| Member::plain(key(it)));
    it.set_members(members.to_vec(), Some(key("b")), ms(5));
    let says = it.view().leader.to_string();
    assert_eq!(
        says,
        "a:5432 says that it is the primary, and b:5432 is named as the leader"
    );
    it.observe(&key("b"), Ok(primary(2)), ms(20));
    assert_eq!(leader(&it), "b:5432");
}

#[test]
fn hosts_come_and_go_and_what_is_known_stays() {
    let mut it = three();
    let members = ["c", "a", "d"].map(|it| Member::plain(key(it)));
    it.set_members(members.to_vec(), None, ms(5));
    assert_eq!(leader(&it), "a:5432");
    assert_eq!(role(&it, "c"), Role::Standby);
    assert_eq!(
        it.take_changes(),
        [Change::Came(key("d")), Change::Went(key("b"))]
    );
    it.set_members(vec![Member::plain(key("c"))], None, ms(6));
    assert_eq!(it.view().leader, Leader::None);
}

#[test]
fn the_dead_are_asked_less_often_and_all_are_asked_often_while_nobody_is_written_to() {
    let mut it = three();
    assert_eq!(it.due(&key("a")), Some(ms(501)));
    let mut now = ms(1000);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        it.observe(&key("c"), Err(sick(Why::Refused)), now);
        let due = it.due(&key("c")).unwrap();
        pauses.push((due - now).as_millis());
        now = due;
    }
    assert_eq!(
        pauses,
        [500, 500, 500, 1000, 2000, 4000, 8000, 15000, 15000]
    );
    it.observe(&key("a"), Err(sick(Why::Refused)), now);
    it.observe(&key("b"), Ok(standby(1000)), now);
    assert_eq!(it.due(&key("b")), Some(now + ms(100)));
    it.suspect(&key("b"), now);
    assert_eq!(it.due(&key("b")), Some(now));
}

/// Another one may lead already when the leader is found dead: nobody's turn is waited for.
#[test]
fn all_are_asked_at_once_when_nobody_is_written_to_any_more() {
    let mut it = three();
    it.observe(&key("a"), Err(sick(Why::Refused)), ms(100));
    assert_eq!(it.view().leader, Leader::None);
    for name in ["b", "c"] {
        assert_eq!(it.due(&key(name)), Some(ms(100)), "{name}");
    }
    // One that leaves is as good as dead, and one that is dead is in no hurry.
    let mut it = three();
    it.observe(&key("c"), Err(sick(Why::Refused)), ms(2));
    let members = ["b", "c"].map(|it| Member::plain(key(it)));
    it.set_members(members.to_vec(), None, ms(100));
    assert_eq!(it.due(&key("b")), Some(ms(100)));
    assert_eq!(it.due(&key("c")), Some(ms(502)));
}

#[test]
fn all_are_asked_often_while_somebody_waits_for_another_leader() {
    let mut it = three();
    it.hurry(true, ms(50));
    assert_eq!(it.due(&key("b")), Some(ms(50)));
    it.observe(&key("b"), Ok(standby(1000)), ms(60));
    assert_eq!(it.due(&key("b")), Some(ms(160)));
    it.hurry(false, ms(70));
    it.observe(&key("b"), Ok(standby(1000)), ms(170));
    assert_eq!(it.due(&key("b")), Some(ms(670)));
}

#[test]
fn a_dead_host_is_trusted_again_after_some_answers() {
    let mut it = three();
    it.observe(&key("c"), Err(sick(Why::Refused)), ms(10));
    it.observe(&key("c"), Ok(standby(1000)), ms(20));
    assert!(!it.view().host(&key("c")).unwrap().health.is_up());
    it.observe(&key("c"), Err(sick(Why::Lost)), ms(30));
    it.observe(&key("c"), Ok(standby(1000)), ms(40));
    it.observe(&key("c"), Ok(standby(1000)), ms(50));
    assert!(it.view().host(&key("c")).unwrap().health.is_up());
}

fn chosen(view: &View, wish: Wish, reads: &Reads, turn: u64) -> String {
    let busy = |_: &Key| 0;
    let ready = Ready {
        busy: &busy,
        turn,
        chance: turn.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        now: ms(60_000),
        least: None,
    };
    match choose(view, wish, reads, &ready) {
        Choice::Leader => "leader".to_owned(),
        Choice::Standby(key) => key.to_string(),
        Choice::Nobody => "nobody".to_owned(),
    }
}

#[test]
fn wishes_lead_to_hosts() {
    let mut it = three();
    let round = Reads {
        balance: Balance::RoundRobin,
        ..Reads::default()
    };
    let near = Reads {
        lag_bytes_max: Some(10),
        ..round.clone()
    };
    let view = it.view();
    assert_eq!(chosen(&view, Wish::Primary, &round, 0), "leader");
    assert_eq!(chosen(&view, Wish::Standby, &near, 0), "b:5432");
    assert_eq!(chosen(&view, Wish::Standby, &near, 1), "b:5432");
    it.observe(&key("b"), Err(sick(Why::Refused)), ms(10));
    let view = it.view();
    assert_eq!(chosen(&view, Wish::Standby, &near, 0), "nobody");
    assert_eq!(chosen(&view, Wish::Standby, &round, 0), "c:5432");
    assert_eq!(chosen(&view, Wish::PreferStandby, &near, 0), "leader");
    it.observe(&key("a"), Err(sick(Why::Refused)), ms(10));
    let view = it.view();
    assert_eq!(chosen(&view, Wish::Primary, &round, 0), "nobody");
    // Nobody knows how far behind it is, and it is all there is.
    assert_eq!(chosen(&view, Wish::Any, &near, 0), "c:5432");
}

#[test]
fn each_host_gets_its_weight() {
    let mut it = Cluster::new(Rules::default());
    let weigh = |(name, weight)| Member {
        weight,
        ..Member::plain(key(name))
    };
    let members = [("a", 100), ("b", 100), ("c", 300)].map(weigh);
    it.set_members(members.to_vec(), None, ms(0));
    it.observe(&key("a"), Ok(primary(1)), ms(1));
    it.observe(&key("b"), Ok(standby(1000)), ms(1));
    it.observe(&key("c"), Ok(standby(1000)), ms(1));
    let view = it.view();
    for (balance, wish, least, most) in [
        (Balance::RoundRobin, Wish::Standby, 2500, 2500),
        (Balance::RoundRobin, Wish::Any, 2000, 2000),
        (Balance::LeastBusy, Wish::Any, 1800, 2200),
    ] {
        let reads = Reads {
            balance,
            ..Reads::default()
        };
        let turns = (0..10_000).map(|turn| chosen(&view, wish, &reads, turn));
        let b = turns.filter(|it| it == "b:5432").count();
        assert!((least..=most).contains(&b), "{balance:?} {wish:?} {b}");
    }
}

#[test]
fn the_own_zone_comes_first_and_the_busy_one_last() {
    let mut it = three();
    let zoned = |(name, zone): (&str, &str)| Member {
        zone: zone.to_owned(),
        ..Member::plain(key(name))
    };
    let members = [("a", "x"), ("b", "x"), ("c", "y")].map(zoned);
    it.set_members(members.to_vec(), None, ms(2));
    let view = it.view();
    let reads = Reads {
        zone: "y".to_owned(),
        ..Reads::default()
    };
    assert!((0..50).all(|turn| chosen(&view, Wish::Standby, &reads, turn) == "c:5432"));
    // Of two that are drawn the less busy one is taken.
    let busy = |key: &Key| usize::from(key.as_str() == "b:5432") * 10;
    let ready = |chance| Ready {
        busy: &busy,
        turn: 0,
        chance,
        now: ms(60_000),
        least: None,
    };
    let to_b = (0..1000u64).filter(|it| {
        let chance = it.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let choice = choose(&view, Wish::Standby, &Reads::default(), &ready(chance));
        choice == Choice::Standby(&key("b"))
    });
    let to_b = to_b.count();
    assert!((200..300).contains(&to_b), "{to_b}");
}

#[test]
fn one_that_came_back_begins_slowly() {
    let mut it = three();
    it.observe(&key("c"), Err(sick(Why::Refused)), ms(10));
    it.observe(&key("c"), Ok(standby(1000)), ms(20));
    it.observe(&key("c"), Ok(standby(1000)), ms(59_000));
    let reads = Reads {
        balance: Balance::RoundRobin,
        slow_start: ms(10_000),
        ..Reads::default()
    };
    let view = it.view();
    let turns = (0..1000).map(|turn| chosen(&view, Wish::Standby, &reads, turn));
    let c = turns.filter(|it| it == "c:5432").count();
    assert!((50..150).contains(&c), "{c}");
}

#[test]
fn who_wrote_reads_only_where_that_has_arrived() {
    let view = three().view();
    let busy = |_: &Key| 0;
    let ready = |least| Ready {
        busy: &busy,
        turn: 0,
        chance: 0,
        now: ms(0),
        least: Some(Lsn(least)),
    };
    let reads = Reads::default();
    let to = |wish, least| choose(&view, wish, &reads, &ready(least));
    assert_eq!(to(Wish::Standby, 950), Choice::Standby(&key("b")));
    assert_eq!(to(Wish::Standby, 1001), Choice::Nobody);
    assert_eq!(to(Wish::PreferStandby, 1001), Choice::Leader);
}

#[test]
fn positions_are_written_as_postgresql_does() {
    for (text, number) in [
        ("0/0", 0),
        ("16/B374D848", 0x16_b374_d848),
        ("FFFFFFFF/1", 0xffff_ffff_0000_0001),
    ] {
        assert_eq!(text.parse(), Ok(Lsn(number)));
        assert_eq!(Lsn(number).to_string(), text);
    }
    for bad in ["", "1", "1/", "1/g", "100000000/1", "1/2/3"] {
        assert!(bad.parse::<Lsn>().is_err(), "{bad}");
    }
}

fn outcome() -> impl Strategy<Value = Result<Report, Sick>> {
    prop_oneof![
        (1u32..4).prop_map(|it| Ok(primary(it))),
        (1u64..2000).prop_map(|it| Ok(standby(it))),
        Just(Ok(Report {
            system: 1,
            ..primary(3)
        })),
        Just(Ok(Report {
            read_only: true,
            ..primary(2)
        })),
        Just(Err(sick(Why::Refused))),
        Just(Err(sick(Why::TimedOut))),
    ]
}

proptest! {
    /// Whatever hosts say: who is written to is up and says by itself that it is the primary of the last timeline that
    /// anybody was written to on; nobody else says the same; and it is never a timeline that is over.
    #[test]
    fn who_is_written_to_is_the_only_one_that_can_be(
        steps in prop::collection::vec((0usize..3, outcome()), 1..60)
    ) {
        let names = ["a", "b", "c"];
        let mut it = cluster(&names);
        let mut last = 0;
        for (at, (host, outcome)) in steps.into_iter().enumerate() {
            it.observe(&key(names[host]), outcome, ms(at as u64));
            let view = it.view();
            let Some(leads) = view.leader.key() else { continue };
            let host = view.host(leads).unwrap();
            let (report, _) = host.report.as_ref().unwrap();
            prop_assert!(host.health.is_up() && host.role == Role::Primary);
            prop_assert!(!report.in_recovery && !report.read_only && report.timeline >= last);
            last = report.timeline;
            let same = view.hosts.iter().filter(|it| {
                let report = it.report.as_ref().map(|(it, _)| it);
                it.health.is_up() && report.is_some_and(|it| {
                    !it.in_recovery && !it.read_only && it.timeline >= last && it.system == report_system(&view)
                })
            });
            prop_assert_eq!(same.count(), 1);
        }
    }
}

fn report_system(view: &View) -> u64 {
    let leads = view.leader.key().and_then(|it| view.host(it));
    leads
        .and_then(|it| it.report.as_ref())
        .map_or(0, |(it, _)| it.system)
}
