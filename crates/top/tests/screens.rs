//! Screens as text: each view, sorting, the filter, details, questions, a lost connection, small terminals. After a
//! change that is meant, `GOLDEN=write cargo test -p top --test screens` writes them anew.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};
use std::path::Path;
use std::time::Duration;
use top::{Answer, Connected, Effect, Event, Key, Model, Options, Source, Table, Theme};
use unicode_width::UnicodeWidthStr as _;

const CLIENT_TLS: &str = "TLSv1.3/TLS_AES_128_GCM_SHA256/X25519";
const SERVER_TLS: &str = "TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384";

/// A table of rows whose values stand between bars, `~` for null.
fn table(columns: &str, rows: &[&str]) -> Table {
    let columns: Vec<String> = columns.split('|').map(str::to_owned).collect();
    let value = |value: &str| (value != "~").then(|| value.to_owned());
    let row = |row: &&str| row.split('|').map(value).collect::<Vec<_>>();
    let rows: Vec<_> = rows.iter().map(row).collect();
    assert!(rows.iter().all(|row| row.len() == columns.len()));
    Table::new(&columns, &rows, 0)
}

fn activity() -> Table {
    let [c, s] = [CLIENT_TLS, SERVER_TLS];
    table(
        "id|user|database|application_name|addr|port|state|wait_reason|age_us|pattern|query|rows|bytes|queued|tls|pool_user|server|server_pid|server_tls",
        &[
            &format!(
                "12|ann|shop|web|10.0.0.7|50112|executing|the server answers|75300000|17|select * from orders where id = ?|0|0|0|{c}|ann|10.0.1.5:5432|4711|{s}"
            ),
            &format!(
                "14|bob|shop|report|10.0.0.9|50200|streaming|the client reads|2500000|18|select a, b from events|1250000|83886080|2|{c}|bob|10.0.1.5:5432|4712|"
            ),
            &format!(
                "9|日本語|shop|\u{1b}]0;owned\u{7}\u{1b}[2J|unix|0|waiting for a server|a server connection|310000|~|~|0|0|0|{c}|日本語||0|"
            ),
            &format!(
                "31|ann|shop|web|10.0.0.7|50113|idle in transaction|the client sends|12000000|~|~|0|0|0|{c}|ann|10.0.1.5:5432|4713|{s}"
            ),
        ],
    )
}

fn clients() -> Table {
    let c = CLIENT_TLS;
    table(
        "type|user|database|state|addr|port|wait|wait_us|ptr|link|tls|application_name|id",
        &[
            &format!("C|ann|shop|active|10.0.0.7|50112|0|0|0xc|0x1f|{c}|web|12"),
            &format!("C|bob|shop|waiting|2001:db8::9|50200|3|250000|0xe||{c}|report|14"),
            "C|old|shop|idle|10.0.0.4|40000|0|0|0xf|||psql|15",
        ],
    )
}

fn servers() -> Table {
    table(
        "type|user|database|state|addr|port|connect_time|ptr|link|remote_pid|tls",
        &[
            &format!(
                "S|ann|shop|active|10.0.1.5|5432|2026-01-02 03:04:05 UTC|0x1f|0xc|4711|{SERVER_TLS}"
            ),
            "S|bob|shop|idle|10.0.1.5|5432|2026-01-02 03:04:09 UTC|0x20||4712|",
        ],
    )
}

/// After so many seconds.
fn patterns(seconds: u64) -> Table {
    let columns =
        "pattern|query|database|role|application_name|calls|errors|rows|total_us|p50_us|p95_us";
    let row = |number: u64, each: u64, errors: u64, query: &str| {
        let calls = 1000 + each * seconds;
        let total = calls * 900;
        format!("{number}|{query}|shop|ann|web|{calls}|{errors}|{calls}|{total}|850|2300")
    };
    let rows = [
        row(17, 40, 0, "select * from orders where id = ?"),
        row(18, 250, 7, "insert into events values (?, ?)"),
    ];
    table(columns, &rows.each_ref().map(String::as_str))
}

fn pools() -> Table {
    table(
        "database|user|cl_active|cl_waiting|sv_active|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|pool_mode",
        &[
            "shop|ann|31|4|20|0|0|0|0|3|250000|transaction",
            "crm|bob|2|0|1|3|1|0|0|0|0|session",
        ],
    )
}

fn clusters() -> Table {
    table(
        "name|leader|state|leader_since|hosts|hosts_up|timeline|databases|waiting|without_primary|version",
        &[
            "main|db-1.example.com:5432||2026-01-02 03:04:05 UTC|4|2|7|shop,crm|0|wait|9",
            "old||no host says that it is the primary|~|1|0|~|archive|3|read_only|4",
        ],
    )
}

fn hosts() -> Table {
    table(
        "cluster|host|port|role|health|trouble|trouble_text|since_s|timeline|lsn|lag_bytes|lag_ms|weight|zone|drained|busy|sv_active|sv_total|last_answer_ms",
        &[
            "main|db-1.example.com|5432|primary|up|||90000|7|0/5000060|0|0|1|a|0|0|12|20|310",
            "main|db-2.example.com|5432|standby|up|||90000|7|0/4000060|16777216|6200|1|b|0|3|3|5|310",
            "main|db-3.example.com|5432|standby|up|||90000|7|0/5000060|0|0|4|b|1|0|0|0|310",
            "main|db-4.example.com|5432|refused: split brain|up|||40|6|0/5000060|~|~|1|c|0|0|0|0|310",
            "main|db-5.example.com|5432|standby|doubtful|timeout|no answer within 2s|3|7|0/5000060|0|0|1|c|0|0|0|1|2310",
            "old|2001:db8::7|5432|unknown|down|tls|the certificate \u{1b}[2J is signed by a stranger|61|~|~|~|~|1||0|0|0|0|~",
        ],
    )
}

fn answer(seconds: u64) -> Answer {
    let totals = format!(
        "shop|{}|{}|0|{}",
        1200 * seconds,
        400 * seconds,
        3_000_000 * seconds
    );
    let totals = table(
        "database|query_count|xact_count|bytes_received|bytes_sent",
        &[&totals],
    );
    let tables = [
        (Source::Activity, activity()),
        (Source::Clients, clients()),
        (Source::Servers, servers()),
        (Source::Patterns, patterns(seconds)),
        (Source::Pools, pools()),
        (
            Source::Databases,
            table("name|pool_size", &["shop|20", "*|50"]),
        ),
        (Source::Totals, totals),
        (
            Source::State,
            table("key|value", &["active|yes", "paused|no", "suspended|no"]),
        ),
        (Source::Clusters, clusters()),
        (Source::Hosts, hosts()),
    ];
    let tables = tables.into_iter().map(|(source, it)| (source, Ok(it)));
    Answer {
        tables: tables.collect(),
    }
}

fn connected(generation: u64) -> Event {
    let about = "ops@proxy.example.com:6432 · TLSv1.3".to_owned();
    Event::Connected(Connected { generation, about })
}

/// A monitor that has looked twice, after these keys.
fn model(keys: &[Key]) -> Model {
    let mut model = Model::new(Options {
        interval: Duration::from_secs(1),
        target: "ops@proxy.example.com:6432".to_owned(),
    });
    for (event, at) in [
        (connected(1), 0),
        (Event::Answer(answer(1)), 1),
        (Event::Answer(answer(2)), 2),
    ] {
        model.update(event, Duration::from_secs(at));
    }
    for key in keys {
        model.update(Event::Key(*key), Duration::from_secs(2));
    }
    model
}

fn screen(model: &Model, (width, height): (u16, u16), theme: Theme) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| model.view(frame, theme)).unwrap();
    terminal
}

/// The screen as lines without blanks at their ends.
fn text(model: &Model, size: (u16, u16)) -> String {
    let terminal = screen(model, size, Theme::Colour);
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(size.0)) {
        let mut line = String::new();
        let mut hidden = 0;
        for cell in row {
            // What lies under a wide character is not seen.
            if hidden == 0 {
                line.push_str(cell.symbol());
                hidden = cell.symbol().width().max(1);
            }
            hidden -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[track_caller]
fn is_golden(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("GOLDEN").is_some_and(|it| it == "write") {
        std::fs::write(path, shown).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(shown == expected, "{name} was\n{expected}\nand is\n{shown}");
}

fn typed(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

#[test]
fn each_view() {
    for (key, name) in [
        ('1', "activity"),
        ('2', "clients"),
        ('3', "patterns"),
        ('4', "pools"),
        ('5', "servers"),
        ('6', "clusters"),
    ] {
        let mut model = model(&[Key::Char(key)]);
        model.update(Event::Answer(answer(3)), Duration::from_secs(3));
        is_golden(name, &text(&model, (132, 16)));
        is_golden(&format!("{name}_narrow"), &text(&model, (80, 24)));
    }
}

#[test]
fn sorting_filtering_details_and_help() {
    for (keys, name) in [
        // By the next column from AGE on, then the other way round.
        (typed("sr"), "sorted"),
        ([typed("/shop BOB"), vec![Key::Enter]].concat(), "filtered"),
        (typed("/nobody"), "filter_typed"),
        (vec![Key::Down, Key::Enter], "details"),
        (
            [typed("2"), vec![Key::Enter]].concat(),
            "details_of_a_client",
        ),
        ([typed("6"), vec![Key::Enter]].concat(), "details_of_a_host"),
        (typed("?"), "help"),
        (typed("p"), "paused"),
    ] {
        is_golden(name, &text(&model(&keys), (100, 24)));
    }
}

#[test]
fn questions_name_whom_they_hit() {
    let mut model = model(&typed("c"));
    is_golden("cancel", &text(&model, (100, 20)));
    is_golden("cancel_small", &text(&model, (40, 10)));
    // Another process behind the same address gives the same numbers to others.
    model.update(connected(2), Duration::from_secs(3));
    assert_eq!(
        model.update(Event::Key(Key::Char('y')), Duration::from_secs(3)),
        []
    );
    let mut model = self::model(&[Key::Char('2'), Key::Down, Key::Char('K')]);
    is_golden("kill", &text(&model, (100, 20)));
    // Whoever leaves meanwhile is no longer asked about.
    let gone = (Source::Clients, Ok(table("id|user", &["12|ann"])));
    model.update(
        Event::Answer(Answer { tables: vec![gone] }),
        Duration::from_secs(4),
    );
    assert!(text(&model, (100, 20)).contains("has left"));
    assert_eq!(
        model.update(Event::Key(Key::Char('y')), Duration::from_secs(4)),
        []
    );
}

#[test]
fn hosts_are_drained_and_switched_to_after_a_question() {
    // What is wrong comes first, and names go into orders as names.
    let host = "\"main\" \"db-4.example.com:5432\"";
    for (key, order) in [
        ('d', format!("DRAIN {host}")),
        ('u', format!("UNDRAIN {host}")),
    ] {
        let mut model = model(&typed(&format!("6{key}")));
        assert!(text(&model, (100, 24)).contains(&format!("y: {order};")));
        let given = model.update(Event::Key(Key::Char('y')), Duration::from_secs(2));
        let generation = 1;
        assert_eq!(given, [Effect::Order { generation, order }]);
    }
    let mut model = model(&typed("6jjjjS"));
    is_golden("switchover", &text(&model, (100, 24)));
    let given = model.update(Event::Key(Key::Char('y')), Duration::from_secs(2));
    let order = "SWITCHOVER \"main\" TO \"db-2.example.com:5432\"".to_owned();
    assert_eq!(given, [Effect::Errand(order.clone())]);
    // It takes as long as it takes, and the screen says so until there is an answer.
    model.update(Event::Tick, Duration::from_secs(100));
    assert!(text(&model, (100, 24)).contains(&format!("{order} …")));
    let why = "a transaction goes on".to_owned();
    model.update(Event::Ordered(Err(why.clone())), Duration::from_secs(101));
    assert!(text(&model, (100, 24)).contains(&why));
    model.update(Event::Tick, Duration::from_secs(200));
    assert!(!text(&model, (100, 24)).contains(&why));
}

#[test]
fn a_host_that_leaves_is_no_longer_asked_about_and_clients_have_no_host() {
    let mut model = model(&typed("6d"));
    let tables = vec![(Source::Hosts, Ok(table("cluster|host|port", &[])))];
    let at = Duration::from_secs(4);
    model.update(Event::Answer(Answer { tables }), at);
    assert!(text(&model, (100, 20)).contains("belongs to main no more"));
    assert_eq!(model.update(Event::Key(Key::Char('y')), at), []);
    for (keys, said) in [
        ("1S", "choose a host first"),
        ("6K", "choose a client first"),
    ] {
        let model = self::model(&typed(keys));
        assert!(text(&model, (100, 20)).contains(said), "{keys}");
    }
}

#[test]
fn without_clusters_it_says_how_to_make_one() {
    let mut model = model(&typed("6"));
    let none = |source| (source, Ok(table("name", &[])));
    let tables = vec![none(Source::Clusters), none(Source::Hosts)];
    model.update(Event::Answer(Answer { tables }), Duration::from_secs(4));
    is_golden("clusters_none", &text(&model, (100, 14)));
}

/// Of more clusters than the terminal has room for, those in trouble are seen.
#[test]
fn of_many_clusters_those_in_trouble_are_seen() {
    let mut rows: Vec<String> = (0..40)
        .map(|it| format!("c{it}|db-{it}:5432||~|1|1|1||0|wait|1"))
        .collect();
    rows.push("late||no host answers|~|1|0|~||0|wait|1".to_owned());
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let columns = "name|leader|state|leader_since|hosts|hosts_up|timeline|databases|waiting|without_primary|version";
    let mut model = model(&typed("6"));
    let tables = vec![(Source::Clusters, Ok(table(columns, &rows)))];
    model.update(Event::Answer(Answer { tables }), Duration::from_secs(4));
    let shown = text(&model, (100, 24));
    assert!(
        shown.contains("late  NO PRIMARY: no host answers"),
        "{shown}"
    );
    assert!(shown.contains("and 34 clusters more"), "{shown}");
    assert!(shown.contains("db-5.example.com:5432"), "{shown}");
    assert!(model.plain(100).contains("c39"));
}

#[test]
fn a_lost_connection_shows_and_is_made_anew() {
    let mut model = model(&[]);
    let at = Duration::from_secs(10);
    model.update(
        Event::Lost("the server closed the connection".to_owned()),
        at,
    );
    is_golden("lost", &text(&model, (100, 14)));
    assert_eq!(model.update(Event::Tick, at), []);
    let later = at + Duration::from_secs(1);
    assert_eq!(model.update(Event::Tick, later), [Effect::Connect]);
    let asked = model.update(connected(2), later);
    assert!(matches!(&asked[..], [Effect::Ask(sources)] if sources.contains(&Source::Activity)));
}

/// Whatever the size: no panic, and rows before all else.
#[test]
fn small_terminals() {
    for keys in [
        typed(""),
        typed("c"),
        typed("?"),
        vec![Key::Enter],
        typed("/x"),
        typed("6S"),
    ] {
        let model = model(&keys);
        for (width, height) in [(80, 24), (40, 10), (20, 5), (10, 3), (5, 2), (1, 1)] {
            text(&model, (width, height));
        }
    }
    is_golden("small", &text(&model(&[]), (40, 10)));
}

#[test]
fn colour_is_a_choice() {
    let terminal = screen(&model(&[]), (100, 20), Theme::Mono);
    for cell in terminal.backend().buffer().content() {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
    let cells = terminal.backend().buffer().content().iter();
    assert!(
        cells
            .clone()
            .any(|cell| cell.modifier.contains(Modifier::REVERSED))
    );
    let terminal = screen(&model(&[]), (100, 20), Theme::Colour);
    let mut cells = terminal.backend().buffer().content().iter();
    assert!(cells.any(|cell| cell.fg == Color::Red));
}

#[test]
fn as_plain_text() {
    is_golden("plain", &(model(&[]).plain(120) + "\n"));
}
