//! Owns the text of `SHOW HELP`.

use crate::tables::Table;

/// PgBouncer's notice has this for its message.
pub(crate) const TITLE: &str = "Console usage";

/// The commands, beside `SHOW` of a table.
const COMMANDS: &[&str] = &[
    "SET key = arg",
    "RELOAD",
    "PAUSE [<db>]",
    "RESUME [<db>]",
    "DISABLE <db>",
    "ENABLE <db>",
    "RECONNECT [<db>]",
    "KILL [<db>]",
    "KILL_CLIENT <client_id>",
    "CANCEL_CLIENT <client_id>",
    "RESET PATTERNS",
    "DRAIN <cluster> <host>",
    "UNDRAIN <cluster> <host>",
    "SWITCHOVER <cluster> [TO <host>]",
    "SUSPEND",
    "SHUTDOWN",
    "SHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS",
    "WAIT_CLOSE [<db>]",
];

/// Tables on one line of the text.
const ON_A_LINE: usize = 6;

/// All that may be said.
pub(crate) fn text() -> String {
    let mut text = String::new();
    let names: Vec<_> = Table::ALL.iter().map(|it| it.name()).collect();
    let shown = std::iter::once("HELP").chain(names).collect::<Vec<_>>();
    for line in shown.chunks(ON_A_LINE) {
        text.push_str("\n\tSHOW ");
        text.push_str(&line.join("|"));
    }
    for command in COMMANDS {
        text.push_str("\n\t");
        text.push_str(command);
    }
    text
}
