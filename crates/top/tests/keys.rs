//! Properties of the monitor: whatever keys, answers and sizes come, it goes on; and no text of a stranger
//! reaches the terminal as anything but text.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::time::Duration;
use top::{Answer, Connected, Effect, Event, Key, Model, Options, Source, Tab, Table, Theme};

/// What takes a terminal over, turns text around, or fills the screen.
const HOSTILE: [&str; 6] = [
    "\x1b]0;owned\x07\x1b[2J",
    "\u{202e}txet",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}",
    "日本語のアプリケーション",
    "line\r\n\tend\u{9b}31m",
    "x\" \"y; SHUTDOWN",
];

fn table(source: Source, hostile: usize) -> Table {
    let columns = match source {
        Source::Activity | Source::Clients => [
            "id",
            "user",
            "database",
            "state",
            "addr",
            "application_name",
            "query",
            "ptr",
            "link",
        ]
        .as_slice(),
        Source::Hosts => ["cluster", "host", "port", "role", "health", "lag_bytes"].as_slice(),
        Source::Clusters => ["name", "leader", "state", "hosts", "hosts_up"].as_slice(),
        Source::Patterns => ["id", "query", "role", "database", "calls", "errors"].as_slice(),
        _ => [
            "database",
            "user",
            "cl_active",
            "cl_waiting",
            "sv_active",
            "total_query_count",
        ]
        .as_slice(),
    };
    let columns: Vec<String> = columns.iter().map(|it| (*it).to_owned()).collect();
    let row = |number: usize| {
        let value = |name: &String| match name.as_str() {
            "id" | "calls" | "cl_active" => Some(number.to_string()),
            "link" => None,
            _ => Some(HOSTILE[(hostile + number) % HOSTILE.len()].to_owned()),
        };
        columns.iter().map(value).collect()
    };
    let rows: Vec<Vec<Option<String>>> = (0..7).map(row).collect();
    Table::new(&columns, &rows, 3)
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        prop::sample::select(vec![
            Key::Enter,
            Key::Escape,
            Key::Tab,
            Key::BackTab,
            Key::Backspace,
            Key::Up,
            Key::Down,
            Key::Left,
            Key::Right,
            Key::PageUp,
            Key::PageDown,
            Key::Home,
            Key::End,
            Key::Redraw,
        ]),
        prop::sample::select(
            "123456jkscKduSrpyn/<>?h \u{202e}é"
                .chars()
                .collect::<Vec<_>>()
        )
        .prop_map(Key::Char),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => key().prop_map(Event::Key),
        2 => Just(Event::Tick),
        1 => (0u16..60).prop_map(Event::Rows),
        1 => (1u64..4).prop_map(|generation| Event::Connected(Connected {
            generation,
            about: HOSTILE[0].to_owned(),
        })),
        4 => (0usize..6).prop_map(|hostile| Event::Answer(Answer {
            tables: [Source::Activity, Source::Clients, Source::Patterns, Source::Pools, Source::Totals,
                Source::Clusters, Source::Hosts]
                .map(|it| (it, Ok(table(it, hostile)))).to_vec(),
        })),
        1 => Just(Event::Lost(HOSTILE[0].to_owned())),
        1 => Just(Event::Ordered(Err(HOSTILE[4].to_owned()))),
    ]
}

fn model() -> Model {
    Model::new(Options {
        interval: Duration::from_secs(1),
        target: HOSTILE[0].to_owned(),
    })
}

/// Of one client by its number, or of one host by quoted names.
fn is_one_order(order: &str) -> bool {
    let Some((verb, rest)) = order.split_once(' ') else {
        return false;
    };
    let quotes = rest.matches('"').count() - 2 * rest.matches("\"\"").count();
    let is_quoted = rest.starts_with('"') && rest.ends_with('"') && quotes == 4;
    match verb {
        "CANCEL_CLIENT" | "KILL_CLIENT" => rest.parse::<u64>().is_ok(),
        "DRAIN" | "UNDRAIN" => is_quoted && rest.contains("\" \""),
        "SWITCHOVER" => is_quoted && rest.contains("\" TO \""),
        _ => false,
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_ends_it_and_orders_name_one_client_or_host(
        events in prop::collection::vec(event(), 0..80),
        (width, height) in (1u16..160, 1u16..50),
    ) {
        let mut model = model();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for (at, event) in events.into_iter().enumerate() {
            for effect in model.update(event, Duration::from_millis(300 * at as u64)) {
                if let Effect::Order { order, .. } | Effect::Errand(order) = effect {
                    prop_assert!(is_one_order(&order), "{order}");
                }
            }
            terminal.draw(|frame| model.view(frame, Theme::Colour)).unwrap();
            for cell in terminal.backend().buffer().content() {
                prop_assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
                let turned = cell.symbol().contains('\u{202e}');
                prop_assert!(!turned);
            }
        }
        let text = model.plain(width);
        prop_assert!(!text.chars().any(|it| it.is_control() && it != '\n'), "{text:?}");
    }
}

/// A cancel is given once somebody says yes, and to the connection that showed the client.
#[test]
fn orders_wait_for_a_yes() {
    let mut model = model();
    let now = Duration::from_secs(1);
    let connected = Connected {
        generation: 7,
        about: "here".to_owned(),
    };
    model.update(Event::Connected(connected), now);
    let tables = vec![(Source::Activity, Ok(table(Source::Activity, 3)))];
    model.update(Event::Answer(Answer { tables }), now);
    let mut press = |key| model.update(Event::Key(Key::Char(key)), now);
    assert_eq!(press('c'), []);
    assert_eq!(press('n'), []);
    assert_eq!(press('y'), []);
    press('c');
    let given = press('y');
    assert!(
        matches!(&given[..], [Effect::Order { generation: 7, order }] if order.starts_with("CANCEL_CLIENT ")),
        "{given:?}"
    );
    assert_eq!(model.open(Tab::Activity), []);
}
