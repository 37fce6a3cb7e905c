//! Values of drivers that send them in binary form and leave their types to the server: the log reads them by what the
//! server told the driver.

use crate::log::{Place, records};
use crate::scene::{POOL_MODES, plan, role};
use e2e::drivers::described;
use serde_json::{Value, json};
use testkit::wait;

#[test]
fn values_are_read_by_the_types_that_the_server_told() {
    // Rules have sessions with a connection of their own go through the relay of those that share.
    const RULES: &str = "[policy]\ndefault = \"allow\"\n";
    for (mode, more) in POOL_MODES
        .map(|it| (it, ""))
        .into_iter()
        .chain([("session", RULES)])
    {
        let role = role(&format!("log_described_{mode}_{}", more.len()));
        let place = Place::new();
        let stage = plan(&role, mode)
            .set("query_log", "file", &format!("'{}'", place.log().display()))
            .set("query_log", "parameters", "\"values\"")
            .set("query_log", "plaintext_log", "true")
            .more(more)
            .start();
        described::run(&stage.endpoint(&role));
        let of = |pattern: &str| -> Vec<Value> {
            let all = records(&place.log());
            let found = all.iter().filter(|it| it["query"] == pattern);
            found.map(|it| it["parameters"].clone()).collect()
        };
        let pattern = "select ? + a, ?::text, ?::bytea from kept where b = ? and c = ?";
        wait::until("the records", wait::LONG, || of(pattern).len() == 2);
        let row = |number: i64, text: &str| {
            json!([
                {"type": "int8", "value": number.to_string()},
                {"type": "text", "value": "it's"},
                {"type": "bytea", "value": null},
                {"type": "bool", "value": "t"},
                {"type": "text", "value": text}
            ])
        };
        assert_eq!(of(pattern), [row(-5, "ü"), row(1 << 40, "")], "{mode}");
        // Described behind one that failed, in another batch, and while others were on their way.
        for (pattern, wanted) in [
            (
                "select ?::float8",
                json!([{"type": "float8", "value": "1.5"}]),
            ),
            ("select ?::int4", json!([{"type": "int4", "value": "7"}])),
            ("select ?::int2", json!([{"type": "int2", "value": "-7"}])),
        ] {
            assert_eq!(of(pattern), [wanted], "{mode} {pattern}");
        }
    }
}
