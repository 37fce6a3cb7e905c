//! Settings of routes: where sessions and statements are led.

use config::{Config, Route, RuleTarget, Target};

const BASE: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n\
    [[cluster]]\nname = \"main\"\nhosts = \"db1\"\ncheck_user = \"c\"\n\
    [[database]]\nname = \"app\"\ncluster = \"main\"\ntarget_by_client = true\n\
    [[database]]\nname = \"old\"\nhost = \"db9\"\n";

fn errors(text: &str) -> Vec<String> {
    match Config::from_text(&format!("{BASE}{text}"), "p.toml") {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_route_has_conditions_and_leads_somewhere() {
    let text = "[[route]]\nname = \"r\"\ndatabase = [\"app\", \"x\"]\nuser = \"ann\"\n\
        server_name = \"*.Example.com\"\napplication = \"bi\"\noption = \"My.Tier=a\"\n\
        address = \"10.0.0.0/8\"\nto = \"app\"\ntarget = \"read-only\"\n";
    let (config, _) = Config::from_text(&format!("{BASE}{text}"), "p.toml").expect("a route");
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let wanted = Route {
        name: "r".to_owned(),
        databases: texts(&["app", "x"]),
        users: texts(&["ann"]),
        server_names: texts(&["*.example.com"]),
        applications: texts(&["bi"]),
        options: vec![("my.tier".to_owned(), "a".to_owned())],
        addresses: vec![("10.0.0.0".parse().expect("an address"), 8)],
        to: Some("app".to_owned()),
        target: Some(Target::Standby),
    };
    assert_eq!(config.routes, [wanted]);
}

#[test]
fn what_leads_nowhere_is_refused() {
    let route = "[[route]]\nname = \"r\"\n";
    let table = [
        ("to = \"app\"\n", "would take every client"),
        ("user = \"a\"\n", "where does this route lead?"),
        (
            "user = \"a\"\nto = \"none\"\n",
            "no [[database]] serves this name",
        ),
        (
            "user = \"a\"\nto = \"*\"\n",
            "no [[database]] serves this name",
        ),
        (
            "user = \"a\"\nto = \"old\"\ntarget = \"standby\"\n",
            "database \"old\" is of none",
        ),
        (
            "user = \"a\"\ntarget = \"standby\"\n",
            "database \"old\" is of none",
        ),
        (
            "database = \"old\"\ntarget = \"standby\"\n",
            "database \"old\" is of none",
        ),
        (
            "server_name = \"10.0.0.1\"\nto = \"app\"\n",
            "not a host name",
        ),
        ("option = \"a\"\nto = \"app\"\n", "not a startup parameter"),
        (
            "user = \"a\"\nto = \"app\"\n[[route]]\nname = \"r\"\nuser = \"b\"\nto = \"app\"\n",
            "r",
        ),
    ];
    for (text, words) in table {
        let errors = errors(&format!("{route}{text}"));
        assert!(
            errors.len() == 1 && errors[0].contains(words),
            "{text}: {errors:#?}"
        );
    }
    assert_eq!(
        errors("[[route]]\nname = \"r\"\ndatabase = \"app\"\ntarget = \"standby\"\n"),
        [""; 0]
    );
    // Only clusters have several hosts to choose from.
    let alone = errors("[[database]]\nname = \"x\"\nhost = \"h\"\ntarget_by_client = true\n");
    assert!(
        alone.len() == 1 && alone[0].contains("target_by_client"),
        "{alone:#?}"
    );
}

#[test]
fn a_rule_leads_where_statements_are_led() {
    let rule = "[policy]\ndefault = \"allow\"\n[[rule]]\nname = \"r\"\naction = \"route\"\n";
    let led = "[[database]]\nname = \"led\"\ncluster = \"main\"\npool_mode = \"transaction\"\n\
        route_reads = \"asked\"\n";
    let right = format!("{BASE}{led}{rule}target = \"standby\"\n");
    let (config, _) = Config::from_text(&right, "p.toml").expect("a rule");
    let policy = config.policy.expect("rules");
    assert_eq!(policy.rules[0].means.target, Some(RuleTarget::Standby));
    let table = [
        (
            format!("{rule}target = \"standby\"\n"),
            "no [[database]] has its statements led",
        ),
        (format!("{led}{rule}"), "needs target"),
        (
            format!("{led}{rule}target = \"primary\"\nparameter = 1\nparameter_value = \"a\"\n"),
            "values of parameters come when",
        ),
        (
            format!(
                "{led}{}target = \"primary\"\n",
                rule.replace("route", "deny")
            ),
            "makes no use of target",
        ),
    ];
    for (text, words) in table {
        let errors = errors(&text);
        assert!(
            errors.len() == 1 && errors[0].contains(words),
            "{text}: {errors:#?}"
        );
    }
}
