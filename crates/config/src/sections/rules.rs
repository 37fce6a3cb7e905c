//! Owns the settings of rules about statements.

use super::NAME;
use crate::rule_values::{Accesses, Days, Effects, Hours, NameList, Patterns, Pers, Shapes, Texts};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::{EnvName, Networks};
use crate::words::{
    LeastTls, PolicyDefault, PolicyViews, RuleAction, RuleExcess, RuleLog, RuleMode, RuleTarget,
};
use std::path::PathBuf;
use std::time::Duration;

/// Tokens a second.
const RATE: Bounds = Bounds::new(1, 100_000_000_000);
/// Milliseconds of an hour.
const HOUR: u64 = 3_600_000;

section! {
    /// Rules about statements, as a whole. With a rule in the file, every statement that clients send is judged
    /// before it goes to a server.
    Policy = "policy", Once {
        /// What becomes of statements that no rule decides about.
        default: Option<PolicyDefault> {
            fallback: Unset("it must be written as soon as there is a [[rule]]"),
            sample: "\"deny\"",
        }
        /// Bytes of the longest message that is judged; longer ones are refused (54000).
        message_bytes_max: u32 { fallback: Value("1048576"), bounds: Bounds::new(1024, 1_048_576) }
        /// Whether rules that name relations are for statements, too, that reach them through views, materialized views,
        /// rules of the server, partitions, or parents. Rules that allow go by names alone.
        views: PolicyViews { fallback: Value("\"auto\"") }
        /// Server user that reads in the catalogs what views depend on, in each database to which such rules apply. It
        /// needs no right but to connect.
        catalog_user: Option<String> {
            fallback: Unset("the database's own user, else auth.auth_user"),
            bounds: NAME,
            sample: "\"portcullis\"",
        }
        /// File whose first line is the password of catalog_user.
        catalog_password_file: Option<PathBuf> {
            fallback: Unset("no password, unless catalog_password_env is set"),
            sample: "\"catalog_user.password\"",
        }
        /// Environment variable with the password of catalog_user.
        catalog_password_env: Option<EnvName> {
            fallback: Unset("no password, unless catalog_password_file is set"),
            sample: "\"CATALOG_PASSWORD\"",
        }
        /// How often the catalogs are read, beside when a definition that passes through here may have changed them.
        catalog_interval: Duration { fallback: Value("\"60s\""), bounds: Bounds::new(1000, 24 * HOUR) }
        /// A file with further [[rule]]s, which are asked behind those here: for example one that was learned.
        rules_file: Option<PathBuf> {
            fallback: Unset("none"),
            sample: "\"/etc/portcullis/learned.toml\"",
        }
        /// Nothing is refused by rules; what clients execute is written to this file instead, as rules that allow just
        /// that. Only its owner may read it. What it holds already is kept.
        learn: Option<PathBuf> {
            fallback: Unset("nothing is learned"),
            sample: "\"/var/lib/portcullis/learned.toml\"",
        }
        /// Statements that are learned, of all clients; what comes beyond is counted.
        learn_max: u32 { fallback: Value("10000"), bounds: Bounds::new(1, 1_000_000) }
    }
}

section! {
    /// One rule. All its conditions have to hold. Rules are asked in their order, and the first in mode "enforce" that
    /// allows or denies and matches decides; those before it that delay, limit or throttle hold as well. A rule that
    /// allows matches if everything that a statement does is what it names; any other, if anything is.
    Rule = "rule", AnyTimes {
        /// Its name: clients read it in the hint of an error, and it stands in counts. No two rules have the same.
        name: String { bounds: Bounds::new(1, 60), sample: "\"no-drops\"" }
        /// How far it goes.
        mode: RuleMode { fallback: Value("\"enforce\"") }
        /// What it wants.
        action: RuleAction { sample: "\"deny\"" }
        /// What the client reads when it is denied something, or warned.
        message: Option<String> {
            fallback: Unset("a sentence of Portcullis"),
            bounds: Bounds::new(1, 300),
            sample: "\"Ask the data team for this.\"",
        }
        /// What it wants of the query log for statements that it matches; for those that it refuses, too.
        log: RuleLog { fallback: Value("\"default\"") }
        /// The name with which the client logged in.
        user: Option<NameList> {
            fallback: Unset("any"), bounds: NAME, sample: "[\"ann\", \"bob\"]",
        }
        /// The role of its server connections.
        role: Option<NameList> { fallback: Unset("any"), bounds: NAME, sample: "\"app\"" }
        /// The database that it asked for.
        database: Option<NameList> { fallback: Unset("any"), bounds: NAME, sample: "\"shop\"" }
        /// The application_name with which it came. Clients choose it freely.
        application: Option<NameList> { fallback: Unset("any"), bounds: NAME, sample: "\"psql\"" }
        /// Where it comes from; on a Unix-domain socket none of these.
        address: Option<Networks> { fallback: Unset("any"), sample: "[\"10.0.0.0/8\"]" }
        /// Its encryption is worse than this.
        tls_below: Option<LeastTls> { fallback: Unset("any"), sample: "\"TLSv1.3\"" }
        /// Whether it showed a certificate that was verified.
        client_certificate: Option<bool> { fallback: Unset("either"), sample: "false" }
        /// Time of day in UTC, from a minute to before another one.
        hours: Option<Hours> { fallback: Unset("any"), sample: "\"22:00-06:00\"" }
        /// Days of the week in UTC.
        days: Option<Days> { fallback: Unset("any"), sample: "[\"sat\", \"sun\"]" }
        /// What the statement does.
        effect: Option<Effects> { fallback: Unset("anything"), sample: "[\"ddl\", \"privilege\"]" }
        /// Tables, views and the like that it names: name, schema.name or schema.*, as the catalogs have them. One that a
        /// statement names without schema is meant by every rule on its name.
        relation: Option<Patterns> { fallback: Unset("any"), sample: "[\"public.secrets\"]" }
        /// What it does to them.
        access: Option<Accesses> { fallback: Unset("anything"), sample: "[\"write\"]" }
        /// Functions that it calls, written as relations are.
        function: Option<Patterns> { fallback: Unset("any"), sample: "[\"pg_sleep\"]" }
        /// Ids of exact statements, whatever their literals (SHA-256).
        shape: Option<Shapes> { fallback: Unset("any"), sample: "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"" }
        /// A parameter of a prepared statement, by its number, that has one of the values in parameter_value.
        parameter: Option<u32> {
            fallback: Unset("any"), bounds: Bounds::new(1, 65535), sample: "1",
        }
        /// These values, as texts. A rule that allows takes none that comes in binary form.
        parameter_value: Option<Texts> { fallback: Unset("any"), sample: "[\"42\"]" }
        /// Whether an UPDATE or DELETE in it has no WHERE.
        missing_where: Option<bool> { fallback: Unset("either"), sample: "true" }
        /// Its text has more bytes than this.
        longer_than: Option<u32> {
            fallback: Unset("any"), bounds: Bounds::new(1, 1_048_576), sample: "10000",
        }
        /// Where statements go (action = "route"): "primary", or "standby", where only those go that by their own words do
        /// nothing but read and call functions. It goes before hints. Each database that it is to be for needs
        /// route_reads.
        target: Option<RuleTarget> { fallback: Unset("nowhere else"), sample: "\"standby\"" }
        /// How long statements wait before they are sent (action = "delay").
        delay: Option<Duration> {
            fallback: Unset("none"), bounds: Bounds::new(1, HOUR), sample: "\"2s\"",
        }
        /// Rows that a result may have (action = "limit"); of a COPY to the client its messages, mostly a line each.
        rows_max: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "10000" }
        /// Bytes that a result may have (action = "limit"), with the frames around its rows.
        bytes_max: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "10000000" }
        /// What has these in common is counted together (action = "throttle").
        per: Option<Pers> { fallback: Unset("all is counted together"), sample: "[\"user\", \"database\"]" }
        /// Statements a second (action = "throttle").
        statements_per_s: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "100" }
        /// Rows a second in results. They are counted as they come: after a large result the next statement waits until
        /// it would have been paid for.
        rows_per_s: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "10000" }
        /// Bytes a second that clients send: messages with statements, and copied data.
        bytes_in_per_s: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "1000000" }
        /// Bytes a second in results, counted as rows are.
        bytes_out_per_s: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "1000000" }
        /// Connections a second, counted when a client has proved who it is. Such a rule has no conditions on statements,
        /// and no other rates.
        connections_per_s: Option<u64> { fallback: Unset("any number"), bounds: RATE, sample: "10" }
        /// Statements at once (action = "throttle").
        at_once: Option<u32> {
            fallback: Unset("any number"), bounds: Bounds::new(1, 1_000_000), sample: "4",
        }
        /// How much may come at once: what the rates give in this time, and one at least.
        burst: Option<Duration> {
            fallback: Unset("a second"), bounds: Bounds::new(1, 60_000), sample: "\"5s\"",
        }
        /// What becomes of what comes beyond the rates.
        excess: Option<RuleExcess> { fallback: Unset("it waits"), sample: "\"refuse\"" }
        /// How long it may wait; then it is refused.
        wait_max: Option<Duration> {
            fallback: Unset("10 s"), bounds: Bounds::new(1, HOUR), sample: "\"30s\"",
        }
        /// How many may wait that are counted together; more are refused.
        waiting_max: Option<u32> {
            fallback: Unset("100"), bounds: Bounds::new(1, 100_000), sample: "20",
        }
        /// How many are told apart by per; those beyond are counted together until there is room.
        keys_max: Option<u32> {
            fallback: Unset("10000"), bounds: Bounds::new(1, 1_000_000), sample: "1000",
        }
    }
}
