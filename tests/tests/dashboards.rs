//! The dashboard for Grafana asks for what is there: each series that it names is one that a proxy serves, and each
//! label one that the series has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use e2e::Stage;
use e2e::drivers::{Endpoint, succeed};
use e2e::observed::{METRICS, page};
use e2e::scripted::Session;
use serde_json::Value;
use testkit::guard::Workplace;
use testkit::{Authority, Cluster, Identity, ports};

/// What Prometheus adds, and what a histogram has.
const ADDED: [&str; 2] = ["instance", "le"];

fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/grafana/portcullis.json");
    let text = std::fs::read_to_string(path).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

/// Panels without the titles of rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let all = dashboard["panels"].as_array().expect("panels").iter();
    all.filter(|it| it["type"] != "row").collect()
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for panel in panels(dashboard) {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            all.push(target["expr"].as_str().expect("an expression").to_owned());
        }
    }
    let variables = dashboard["templating"]["list"].as_array();
    for variable in variables.expect("variables") {
        all.extend(variable["definition"].as_str().map(str::to_owned));
    }
    all
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The series in an expression, each with the names of labels that it is selected by.
fn series(expression: &str) -> Vec<(String, Vec<String>)> {
    let starts = expression.match_indices("portcullis_").map(|it| it.0);
    let of = |start: usize| {
        let text = &expression[start..];
        let end = text.find(|it| !is_word(it)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let selected = rest.strip_prefix('{').and_then(|it| it.split_once('}'));
        let labels = selected.map_or("", |it| it.0).split(", ");
        let labels = labels.filter_map(|it| it.split_once('=').map(|it| it.0));
        let trimmed = |it: &str| it.trim_end_matches(['!', '~']).to_owned();
        (name.to_owned(), labels.map(trimmed).collect())
    };
    starts.map(of).collect()
}

/// The labels that an expression groups by.
fn grouped(expression: &str) -> Vec<String> {
    let parts = expression.split("by (").skip(1);
    let lists = parts.filter_map(|it| it.split_once(')').map(|it| it.0));
    lists
        .flat_map(|it| it.split(", "))
        .map(str::to_owned)
        .collect()
}

/// A proxy with everything that has series of its own.
fn stage(role: &Endpoint) -> Stage {
    Stage::before(Cluster::shared())
        .user(role)
        .set("inspection", "statements", "true")
        .set("query_log", "file", "'queries.log'")
        .more(METRICS)
        .more(
            "[policy]\ndefault = 'allow'\n\
             [[rule]]\nname = 'calm'\naction = 'throttle'\nper = 'user'\nstatements_per_s = 1000\n",
        )
        .start()
}

/// Names with their types, as in `metrics.names`.
fn families(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|it| it.strip_prefix("# TYPE "))
        .collect()
}

/// The series of each name, with their labels.
fn samples(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|it| it.starts_with("portcullis_")) {
        let name: String = line.chars().take_while(|it| is_word(*it)).collect();
        let labels = all.entry(name.clone()).or_default();
        let Some(inside) = line[name.len()..].strip_prefix('{') else {
            continue;
        };
        let inside = inside.rsplit_once('}').expect("labels").0;
        for part in inside.split("\",") {
            labels.extend(part.split_once('=').map(|it| it.0.to_owned()));
        }
    }
    all
}

#[test]
fn every_series_of_the_dashboard_is_served() {
    let role = Endpoint::direct(Cluster::shared(), "dashboards");
    let stage = stage(&role);
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    client.query("SELECT 1");
    // A fault of a client, so that there is one to count.
    let refused = stage.endpoint(&role).with_password("wrong");
    refused.login().complains("password authentication failed");
    let page = page(&stage);
    let known = include_str!("metrics.names").lines();
    let more: Vec<&str> = include_str!("metrics.inspected.names").lines().collect();
    let always: BTreeSet<&str> = known.collect();
    let found = families(&page);
    let found_more: Vec<&str> = found
        .into_iter()
        .filter(|it| !always.contains(it))
        .collect();
    assert_eq!(found_more, more, "{}", found_more.join("\n"));

    let served = samples(&page);
    let dashboard = dashboard();
    let mut asked = BTreeSet::new();
    for expression in expressions(&dashboard) {
        for (name, selected) in series(&expression) {
            let of_family = always.iter().copied().chain(more.iter().copied());
            let family = name.trim_end_matches("_bucket");
            let is_known = |it: &str| it.split(' ').next() == Some(family);
            assert!(of_family.into_iter().any(is_known), "{name}: {expression}");
            let labels = served
                .get(&name)
                .unwrap_or_else(|| panic!("no sample of {name}"));
            let wanted = selected.into_iter().chain(grouped(&expression));
            for label in wanted.filter(|it| !ADDED.contains(&it.as_str())) {
                assert!(
                    labels.contains(&label),
                    "{name} has no {label}: {expression}"
                );
            }
            asked.insert(name);
        }
    }
    assert!(asked.len() > 50, "only {} were understood", asked.len());
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64() >= Some(38));
    let source = &dashboard["templating"]["list"][0];
    assert_eq!(source["type"], "datasource");
    assert_eq!(source["query"], "prometheus");
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64()), "{}", panel["id"]);
        let title = panel["title"].as_str().unwrap_or_default();
        let is_row = panel["type"] == "row";
        assert!(
            !title.is_empty() && titles.insert((is_row, title)),
            "{panel}"
        );
    }
    for panel in panels(&dashboard) {
        let title = &panel["title"];
        let text = |value: &Value| value.as_str().is_some_and(|it| !it.is_empty());
        assert!(text(&panel["fieldConfig"]["defaults"]["unit"]), "{title}");
        assert!(text(&panel["description"]), "{title}");
        let own = panel["targets"].as_array().expect("targets").iter();
        for source in own
            .map(|it| &it["datasource"])
            .chain([&panel["datasource"]])
        {
            assert_eq!(source["uid"], "${datasource}", "{title}");
        }
    }
    for expression in expressions(&dashboard) {
        let is_selected = expression.contains("instance=~\"$instance\"");
        assert!(
            is_selected || expression.starts_with("label_values("),
            "{expression}"
        );
    }
}

/// What reads expressions here reads them as they are.
#[test]
fn expressions_are_read() {
    let expression =
        "sum by (le, user) (rate(portcullis_a_bucket{x=~\"$x\", y!=\"1\"}[5m])) / portcullis_b";
    let wanted = [
        ("portcullis_a_bucket", vec!["x", "y"]),
        ("portcullis_b", vec![]),
    ];
    let read = series(expression);
    let read: Vec<(&str, Vec<&str>)> = read
        .iter()
        .map(|(name, labels)| (name.as_str(), labels.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(read, wanted);
    assert_eq!(grouped(expression), ["le", "user"]);
}

/// The blocks of the guide in this language.
fn guide(language: &str) -> Vec<&'static str> {
    let text = include_str!("../../docs/dashboards.md");
    let begin = format!("```{language}\n");
    let blocks = text.split(begin.as_str()).skip(1);
    let blocks = blocks.map(|it| it.split_once("```").expect("the end of a block").0);
    blocks.collect()
}

#[test]
fn the_guides_settings_and_commands_work() {
    let [settings] = guide("toml")[..] else {
        panic!("one block of settings");
    };
    let [token, questions] = guide("sh")[..] else {
        panic!("two blocks of commands");
    };
    let place = Workplace::new("portcullis-guide-");
    let authority = Authority::new("metrics");
    let files = authority.issue(&Identity::localhost());
    let files = files.write(place.path(), "metrics");
    let ca = authority.write(place.path(), "metrics-ca");
    assert!(ca.ends_with("metrics-ca.crt") && files.private_key.ends_with("metrics.key"));
    let shell = |commands: &str| {
        let mut command = Command::new("bash");
        command.args(["-euc", commands]).current_dir(place.path());
        succeed(&mut command)
    };
    shell(token);
    let port = ports::reserve();
    let mut settings = settings.replace("127.0.0.1:9127", &port.address());
    for name in ["metrics.crt", "metrics.key", "metrics.token"] {
        let path = place.path().join(name);
        settings = settings.replace(name, &path.display().to_string());
    }
    let role = Endpoint::direct(Cluster::shared(), "guide");
    let stage = Stage::before(Cluster::shared())
        .user(&role)
        .more(&settings)
        .start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    client.query("SELECT 1");
    let questions = questions.replace("9127", &port.number.to_string());
    let answers = shell(&questions.replace("\ncurl", "\necho\ncurl"));
    let answers: Vec<Value> = answers
        .lines()
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect();
    let [overview, pools] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(overview["transactions"], 1);
    assert_eq!(overview["statement_errors"], 0);
    assert_eq!(pools["all"], 1);
    assert_eq!(pools["rows"][0]["database"], role.database);

    // What else the guide names is there.
    let bearer = "curl --silent --fail --cacert metrics-ca.crt --output /dev/null \
         --header \"Authorization: Bearer $(cat metrics.token)\" https://localhost:";
    let text = include_str!("../../docs/dashboards.md");
    let tables = text.split_once("NAME is ").expect("tables").1;
    let tables = tables.split_once(" |").expect("an end").0;
    let tables = tables.replace(" or ", ", ");
    let tables: Vec<&str> = tables.split(", ").collect();
    assert_eq!(tables.len(), 9, "{tables:?}");
    for path in tables
        .iter()
        .map(|it| format!("tables/{it}"))
        .chain(["times".to_owned()])
    {
        shell(&format!("{bearer}{}/{path}", port.number));
    }
}
