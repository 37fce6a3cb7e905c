//! Owns the question where a client's next request may go: to the primary, or to a standby as well.
//!
//! Takes the bytes of the request as they lie in front, what the client's names stand for, and how its texts are read;
//! gives a [`Route`] with its reason. Errs on one side: what isn't all there, isn't read to its end, or might do
//! anything but read, goes to the primary.

use crate::statements::{Ahead, Pooled, Statement};
use policy::{Context, Lead, Moment, Rules, Subject};
use sql::{Access, Analysis, Asked, Impact, Kind, Lexer, Lexing, NAME_MAX, Plain, Verb};
use std::fmt;
use wire::Message;
use wire::frame::{HEADER, Header};
use wire::from_client::{BindFront, Parse, tag};

/// Where a request may go, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the primary alone.
    Primary(ToPrimary),
    /// To a standby as well.
    Standby(ToStandby),
}

/// Why a request goes to the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToPrimary {
    /// It does something else than read.
    Does(Impact),
    /// It locks rows.
    Locks,
    /// A function whose effect or result belongs to the primary.
    Function,
    /// It can't be read to its end.
    Unsure,
    /// Not all of it has come, or it is none that is looked into.
    NotSeen,
    /// A statement that nobody knows here.
    UnknownStatement,
    /// A transaction begins that may write.
    MayWrite,
    /// A comment or `SET portcullis.route` says so.
    Hint,
    /// The rule with this index says so.
    Rule(usize),
    /// It only reads, and neither a rule nor a hint leads it to a standby.
    NotLed,
    /// There is nothing to do.
    Nothing,
}

/// Why a request may go to a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToStandby {
    /// It only reads.
    Reads,
    /// A transaction begins that only reads.
    ReadOnly,
    /// A comment or `SET portcullis.route` says so.
    Hint,
    /// The rule with this index says so.
    Rule(usize),
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Route::Primary(ToPrimary::Does(impact)) => write!(f, "to the primary: it may do more than read ({impact:?})"),
            Route::Primary(ToPrimary::Locks) => f.write_str("to the primary: it locks rows"),
            Route::Primary(ToPrimary::Function) => f.write_str(
                "to the primary: it calls a volatile function, whose effect or result belongs there",
            ),
            Route::Primary(ToPrimary::Unsure) => f.write_str("to the primary: it can't be read to its end"),
            Route::Primary(ToPrimary::NotSeen) => {
                f.write_str("to the primary: not all of it was there when it was looked at")
            }
            Route::Primary(ToPrimary::UnknownStatement) => {
                f.write_str("to the primary: it executes a statement that is not known here")
            }
            Route::Primary(ToPrimary::MayWrite) => f.write_str("to the primary: a transaction begins that may write"),
            Route::Primary(ToPrimary::Hint) => f.write_str("to the primary: a hint says so"),
            Route::Primary(ToPrimary::Rule(_)) => f.write_str("to the primary: a rule says so"),
            Route::Primary(ToPrimary::NotLed) => {
                f.write_str("to the primary: neither a rule nor a hint leads it to a standby")
            }
            Route::Primary(ToPrimary::Nothing) => f.write_str("to the primary: there is no statement in it"),
            Route::Standby(ToStandby::Reads) => f.write_str("to a standby: it only reads"),
            Route::Standby(ToStandby::ReadOnly) => f.write_str("to a standby: a transaction begins that only reads"),
            Route::Standby(ToStandby::Hint) => f.write_str("to a standby: a hint says so"),
            Route::Standby(ToStandby::Rule(_)) => f.write_str("to a standby: a rule says so"),
        }
    }
}

/// A hint that goes before what the text shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// To the primary.
    Primary,
    /// To a standby.
    Standby,
}

impl Hint {
    /// By its word, as in `SET portcullis.route = 'replica'` and in comments.
    pub fn parse(word: &[u8]) -> Option<Hint> {
        match word.to_ascii_lowercase().as_slice() {
            b"primary" => Some(Hint::Primary),
            b"replica" | b"standby" => Some(Hint::Standby),
            _ => None,
        }
    }
}

/// Which statements go to standbys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Led {
    /// Those that only read.
    #[default]
    Reads,
    /// Those of them that a rule or a hint leads there.
    Asked,
}

/// How a text is looked at.
#[derive(Clone, Copy, Default)]
pub struct Look<'a> {
    /// How it is read.
    pub lexing: Lexing,
    /// The session's hint.
    pub hint: Option<Hint>,
    /// Which texts go to standbys.
    pub led: Led,
    /// Rules that lead, and go before hints.
    pub rules: Option<Leading<'a>>,
}

impl Look<'_> {
    /// True if the same text may go elsewhere at another time.
    fn is_changed(&self) -> bool {
        self.hint.is_some() || self.rules.is_some()
    }

    /// Where what only reads may go.
    fn reads(&self) -> Route {
        match self.led {
            Led::Reads => Route::Standby(ToStandby::Reads),
            Led::Asked => Route::Primary(ToPrimary::NotLed),
        }
    }
}

/// Rules, and whom they are asked about.
#[derive(Clone, Copy)]
pub struct Leading<'a> {
    /// The rules in force.
    pub rules: &'a Rules,
    /// The client.
    pub context: &'a Context,
    /// The moment.
    pub now: Moment,
}

/// Before there is a server nobody knows its encoding. With another one, only names beyond ASCII may be taken for
/// others, and what a statement may do is not decided by names of relations.
const IS_UTF8: bool = true;

/// The setting that holds a session's hint.
pub const SETTING: &str = "portcullis.route";

/// Judges requests; kept, so that nothing is allocated once it has grown.
#[derive(Default)]
pub struct Router {
    analysis: Analysis,
}

impl Router {
    /// Where the request at the front of `input` may go; `hint` is the session's. What the relay wants to know of it
    /// as well, the client remembers.
    pub fn route(
        &mut self,
        input: &[u8],
        pooled: &mut Pooled,
        (hint, led): (Option<Hint>, Led),
    ) -> Route {
        pooled.ahead = Ahead::Unseen;
        let look = Look {
            lexing: pooled.dialect().lexing,
            hint,
            led,
            rules: pooled.leading(),
        };
        let (mut rest, mut found, mut unnamed) = (input, None::<Route>, None::<Route>);
        loop {
            let Some(header) = Header::peek(rest).filter(|it| it.total() <= rest.len()) else {
                return Route::Primary(ToPrimary::NotSeen);
            };
            let body = &rest[HEADER..header.total()];
            rest = &rest[header.total()..];
            let judged = match header.tag {
                tag::QUERY => {
                    let Some(text) = body.strip_suffix(b"\0") else {
                        return Route::Primary(ToPrimary::Unsure);
                    };
                    if look.is_changed() {
                        return self.judge(text, look);
                    }
                    let plain = Plain::of(text, look.lexing);
                    let route = match plain {
                        Some(Plain::Reads) => look.reads(),
                        Some(Plain::Changes) => Route::Primary(ToPrimary::Does(Impact::WRITE)),
                        Some(Plain::Selects) | None => self.read(text, look),
                    };
                    pooled.ahead = Ahead::Query(plain);
                    return route;
                }
                tag::SYNC => return found.unwrap_or(Route::Primary(ToPrimary::Nothing)),
                tag::PARSE => {
                    let judged = self.parsed(body, pooled, look);
                    if body.first() == Some(&0) {
                        unnamed = Some(judged);
                    }
                    judged
                }
                // What it binds can't change where it goes.
                tag::BIND if body.starts_with(b"\0\0") => {
                    unnamed.unwrap_or(Route::Primary(ToPrimary::UnknownStatement))
                }
                tag::BIND => match BindFront::decode(body) {
                    Some(bind) => {
                        let parsed = match bind.statement.is_empty() {
                            true => unnamed,
                            false => found,
                        };
                        let bound = self.bound(&bind.statement, pooled, look, parsed);
                        bound.unwrap_or(Route::Primary(ToPrimary::UnknownStatement))
                    }
                    None => Route::Primary(ToPrimary::Unsure),
                },
                tag::DESCRIBE | tag::EXECUTE | tag::CLOSE | tag::FLUSH => continue,
                _ => return Route::Primary(ToPrimary::NotSeen),
            };
            match (judged, found) {
                (Route::Primary(_), _) => return judged,
                // A transaction that begins inside a batch may go on behind it.
                (_, None) => found = Some(judged),
                (_, Some(_)) => {}
            }
        }
    }

    /// What a bound statement stands for: one of this batch, or one that the client has a name for.
    fn bound(
        &mut self,
        name: &[u8],
        pooled: &Pooled,
        look: Look<'_>,
        parsed: Option<Route>,
    ) -> Option<Route> {
        if name.is_empty() {
            // Its Parse came in this batch, and was judged there; or nobody remembers it.
            return parsed;
        }
        let statement = pooled.statement_of(name);
        statement.map_or(parsed, |it| Some(self.kept(it, look)))
    }

    /// What a Parse asks for. Who prepares the same again and again without a name has it read once.
    fn parsed(&mut self, body: &[u8], pooled: &Pooled, look: Look<'_>) -> Route {
        let is_it = |it: &&Statement| {
            it.dialect().lexing == look.lexing
                && matches!(body.split_first(), Some((0, rest)) if it.body() == rest)
        };
        if let Some(statement) = pooled.unnamed_statement().filter(is_it) {
            return self.kept(statement, look);
        }
        match Parse::decode(body) {
            Ok(parse) => self.judge(parse.sql.bytes(), look),
            Err(_) => Route::Primary(ToPrimary::Unsure),
        }
    }

    /// Where a statement may go whose text is kept.
    fn kept(&mut self, statement: &Statement, look: Look<'_>) -> Route {
        let lexing = statement.dialect().lexing;
        let (text, look) = (statement.text(), Look { lexing, ..look });
        if look.is_changed() {
            return self.judge(text, look);
        }
        // Executed again and again, it is read once.
        let alone = Look {
            lexing,
            ..Look::default()
        };
        let route = statement.route(|| self.judge(text, alone));
        match (route, look.led) {
            (Route::Standby(ToStandby::Reads), Led::Asked) => Route::Primary(ToPrimary::NotLed),
            (route, _) => route,
        }
    }

    /// Where a text may go.
    pub fn judge(&mut self, text: &[u8], look: Look<'_>) -> Route {
        if !look.is_changed() && Plain::of(text, look.lexing) == Some(Plain::Reads) {
            return look.reads();
        }
        self.read(text, look)
    }

    /// The same by what all layers that read tokens find.
    fn read(&mut self, text: &[u8], look: Look<'_>) -> Route {
        let lexing = look.lexing;
        let shape = look.rules.filter(|it| it.rules.wants_shapes());
        let asked = Asked {
            server_is_utf8: IS_UTF8,
            shape: shape.map(|_| &[][..]),
            ..Asked::facts(lexing)
        };
        self.analysis.read(text, &asked);
        if self.analysis.unsure().is_some() {
            return Route::Primary(ToPrimary::Unsure);
        }
        match self.led(text, look) {
            Some((rule, Lead::Primary)) => return Route::Primary(ToPrimary::Rule(rule)),
            Some((rule, Lead::Standby)) => return self.vouched(ToStandby::Rule(rule)),
            None => {}
        }
        match comment(text).or(look.hint) {
            Some(Hint::Primary) => return Route::Primary(ToPrimary::Hint),
            Some(Hint::Standby) => return self.vouched(ToStandby::Hint),
            None => {}
        }
        let statements = self.analysis.statements();
        match statements {
            [] => return Route::Primary(ToPrimary::Nothing),
            [one] if one.statement.verb == Verb::Begin => {
                return match begins_read_only(text, lexing) {
                    true => Route::Standby(ToStandby::ReadOnly),
                    false => Route::Primary(ToPrimary::MayWrite),
                };
            }
            _ => {}
        }
        for facts in statements {
            if facts.unsure.is_some() {
                return Route::Primary(ToPrimary::Unsure);
            }
            if !facts.impact.is_within(Impact::READ) {
                return Route::Primary(ToPrimary::Does(facts.impact));
            }
            let reads = |it: &sql::Relation| it.access == Access::Read;
            if !self.analysis.relations(facts).iter().all(reads) {
                return Route::Primary(ToPrimary::Locks);
            }
            let belongs = |it: &sql::Call| belongs_to_primary(text, it);
            if self.analysis.calls(facts).iter().any(belongs) {
                return Route::Primary(ToPrimary::Function);
            }
        }
        look.reads()
    }

    /// Where rules lead the text that was read.
    fn led(&self, text: &[u8], look: Look<'_>) -> Option<(usize, Lead)> {
        let leading = look.rules?;
        let subjects = self
            .analysis
            .statements()
            .iter()
            .map(|facts| Subject::Read {
                text,
                is_utf8: IS_UTF8,
                analysis: &self.analysis,
                facts,
            });
        leading.rules.lead((leading.context, leading.now), subjects)
    }

    /// Whoever says that a text may go to a standby knows its functions; what writes by its own word can't go there.
    fn vouched(&self, why: ToStandby) -> Route {
        let statements = self.analysis.statements();
        if let [one] = statements
            && one.statement.verb == Verb::Begin
        {
            // Its session asks for a standby: what it writes there, the standby refuses.
            return Route::Standby(why);
        }
        let may = Impact::READ | Impact::CALLS;
        let found = statements
            .iter()
            .find(|it| it.unsure.is_some() || !it.impact.is_within(may));
        match found {
            Some(facts) if facts.unsure.is_some() => Route::Primary(ToPrimary::Unsure),
            Some(facts) => Route::Primary(ToPrimary::Does(facts.impact)),
            None if statements.is_empty() => Route::Primary(ToPrimary::Nothing),
            None => Route::Standby(why),
        }
    }
}

/// What a comment at the very beginning says: `/* portcullis.route=primary */`.
fn comment(text: &[u8]) -> Option<Hint> {
    let text = text.trim_ascii_start().strip_prefix(b"/*")?;
    let end = text.windows(2).position(|it| it == b"*/")?;
    let said = text[..end].trim_ascii();
    let word = said.strip_prefix(SETTING.as_bytes())?.trim_ascii_start();
    Hint::parse(word.strip_prefix(b"=")?.trim_ascii())
}

/// BEGIN and START TRANSACTION with READ ONLY among their modes, and without READ WRITE.
fn begins_read_only(text: &[u8], lexing: Lexing) -> bool {
    let (mut reads, mut only) = (false, false);
    let Ok(mut lexer) = Lexer::new(text, lexing) else {
        return false;
    };
    while let Ok(Some(token)) = lexer.significant() {
        let bytes = token.span.of(text);
        let is = |word: &[u8]| token.kind == Kind::Word && bytes.eq_ignore_ascii_case(word);
        if reads && is(b"write") {
            return false;
        }
        only |= reads && is(b"only");
        reads = is(b"read");
    }
    only
}

/// Functions that leave nothing in a session, and whose answer or effect is another one on a standby all the same: those
/// that `pg_proc` has as volatile.
fn belongs_to_primary(text: &[u8], call: &sql::Call) -> bool {
    let mut room = [0; NAME_MAX];
    match sql::name(text, call.name, IS_UTF8, &mut room) {
        Ok(name) => VOLATILE.binary_search(&name).is_ok(),
        Err(_) => true,
    }
}

/// Of the functions that the scanner knows to leave nothing behind, those that are volatile in PostgreSQL 15. Sorted by
/// bytes.
#[rustfmt::skip]
const VOLATILE: [&[u8]; 44] = [
    b"clock_timestamp", b"current_query", b"gen_random_uuid", b"pg_advisory_xact_lock",
    b"pg_advisory_xact_lock_shared", b"pg_blocking_pids", b"pg_cancel_backend", b"pg_current_wal_flush_lsn",
    b"pg_current_wal_insert_lsn", b"pg_current_wal_lsn", b"pg_database_size", b"pg_indexes_size",
    b"pg_is_in_recovery", b"pg_is_wal_replay_paused", b"pg_last_committed_xact", b"pg_last_wal_receive_lsn",
    b"pg_last_wal_replay_lsn", b"pg_last_xact_replay_timestamp", b"pg_lock_status", b"pg_logical_emit_message",
    b"pg_notification_queue_usage", b"pg_notify", b"pg_partition_ancestors", b"pg_partition_tree",
    b"pg_prepared_xact", b"pg_relation_size", b"pg_reload_conf", b"pg_sequence_last_value",
    b"pg_show_all_file_settings", b"pg_sleep", b"pg_sleep_for", b"pg_sleep_until", b"pg_switch_wal",
    b"pg_table_size", b"pg_tablespace_size", b"pg_terminate_backend", b"pg_total_relation_size",
    b"pg_try_advisory_xact_lock", b"pg_try_advisory_xact_lock_shared", b"pg_xact_commit_timestamp",
    b"pg_xact_status", b"random", b"timeofday", b"txid_status",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framed::{frame, parse};
    use crate::statements::{CacheLimits, Interner, Mode, StatementLimits};

    const READS: Route = Route::Standby(ToStandby::Reads);
    const READ_ONLY: Route = Route::Standby(ToStandby::ReadOnly);
    const HINTED: Route = Route::Standby(ToStandby::Hint);

    fn does(impact: Impact) -> Route {
        Route::Primary(ToPrimary::Does(impact))
    }

    #[test]
    fn volatile_functions_are_in_order() {
        assert!(VOLATILE.is_sorted());
    }

    #[test]
    fn texts() {
        let primary = Route::Primary;
        let table = [
            ("SELECT * FROM t WHERE a = 1", READS),
            ("SELECT 1; TABLE t", READS),
            ("WITH a AS (SELECT 1) SELECT count(*) FROM a", READS),
            ("VALUES (1)", READS),
            ("EXPLAIN SELECT 1", READS),
            ("SHOW work_mem", READS),
            ("", primary(ToPrimary::Nothing)),
            (
                "SELECT * FROM t FOR UPDATE",
                does(Impact::READ | Impact::WRITE),
            ),
            (
                "SELECT * FROM t FOR SHARE",
                does(Impact::READ | Impact::WRITE),
            ),
            ("DELETE FROM t", does(Impact::WRITE)),
            (
                "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
                does(Impact::READ | Impact::WRITE),
            ),
            ("SELECT nextval('s')", does(Impact::READ | Impact::WRITE)),
            ("SELECT random()", primary(ToPrimary::Function)),
            ("SELECT mine(1)", does(Impact::READ | Impact::CALLS)),
            (
                "SELECT pg_advisory_xact_lock(1)",
                primary(ToPrimary::Function),
            ),
            ("SELECT pg_current_wal_lsn()", primary(ToPrimary::Function)),
            (
                "SELECT pg_catalog.pg_notify('a', 'b')",
                primary(ToPrimary::Function),
            ),
            ("SELECT 'never ends", primary(ToPrimary::Unsure)),
            ("BEGIN", primary(ToPrimary::MayWrite)),
            ("BEGIN READ ONLY", READ_ONLY),
            (
                "start transaction isolation level repeatable read, read only",
                READ_ONLY,
            ),
            ("BEGIN READ ONLY, READ WRITE", primary(ToPrimary::MayWrite)),
            ("BEGIN /* READ ONLY */", primary(ToPrimary::MayWrite)),
            (
                "/* portcullis.route=primary */ SELECT 1",
                primary(ToPrimary::Hint),
            ),
            ("/* portcullis.route = replica */ SELECT mine(1)", HINTED),
            ("/*portcullis.route=standby*/ BEGIN", HINTED),
            (
                "/* portcullis.route=replica */ DELETE FROM t",
                does(Impact::WRITE),
            ),
            ("SELECT '/* portcullis.route=primary */'", READS),
            ("/* portcullis.route=elsewhere */ SELECT 1", READS),
        ];
        let mut router = Router::default();
        for (text, route) in table {
            let judged = router.judge(text.as_bytes(), Look::default());
            assert_eq!(judged, route, "{text}");
        }
        let hinted = |text: &str, hint| {
            let hint = Some(hint);
            let look = Look {
                hint,
                ..Look::default()
            };
            Router::default().judge(text.as_bytes(), look)
        };
        assert_eq!(hinted("SELECT 1", Hint::Primary), primary(ToPrimary::Hint));
        assert_eq!(hinted("SELECT mine(1)", Hint::Standby), HINTED);
        assert_eq!(hinted("DELETE FROM t", Hint::Standby), does(Impact::WRITE));
    }

    fn bind(name: &str) -> Vec<u8> {
        frame(b'B', &[b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat())
    }

    fn pooled() -> Pooled {
        let interner = Interner::new([0; 32], CacheLimits::default());
        Pooled::new(interner, StatementLimits::default(), Mode::Transaction)
    }

    #[test]
    fn requests_by_all_that_is_in_them() {
        let execute = || frame(b'E', b"\0\0\0\0\0");
        let sync = || frame(b'S', b"");
        let query = |text: &str| frame(b'Q', format!("{text}\0").as_bytes());
        let unknown = Route::Primary(ToPrimary::UnknownStatement);
        let table = [
            (query("SELECT 1"), READS),
            // What follows is judged when its turn comes.
            ([query("SELECT 1"), query("DELETE FROM t")].concat(), READS),
            (
                [parse("", "SELECT 1"), bind(""), execute(), sync()].concat(),
                READS,
            ),
            (
                [
                    parse("", "SELECT 1"),
                    bind(""),
                    execute(),
                    parse("", "DELETE FROM t"),
                    bind(""),
                    execute(),
                    sync(),
                ]
                .concat(),
                does(Impact::WRITE),
            ),
            // The unnamed statement of before is not the one that was parsed here.
            (
                [parse("a", "SELECT 1"), bind(""), execute(), sync()].concat(),
                unknown,
            ),
            ([bind("nobody's"), execute(), sync()].concat(), unknown),
            (
                [parse("", "BEGIN READ ONLY"), bind(""), execute(), sync()].concat(),
                READ_ONLY,
            ),
            (sync(), Route::Primary(ToPrimary::Nothing)),
            (frame(b'F', b""), Route::Primary(ToPrimary::NotSeen)),
        ];
        let mut pooled = pooled();
        for (bytes, route) in table {
            let mut router = Router::default();
            assert_eq!(
                router.route(&bytes, &mut pooled, (None, Led::Reads)),
                route,
                "{bytes:?}"
            );
        }
    }

    /// What is not all there goes to the primary.
    #[test]
    fn parts_of_requests() {
        let bytes = [parse("", "SELECT 1"), bind(""), frame(b'S', b"")].concat();
        for cut in 0..bytes.len() {
            let route = Router::default().route(&bytes[..cut], &mut pooled(), (None, Led::Reads));
            assert_eq!(route, Route::Primary(ToPrimary::NotSeen), "{cut}");
        }
    }
}
