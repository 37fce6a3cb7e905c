//! Owns the beginning of a statement: its verb, the name it concerns, and the effects that its own words
//! have. Functions and what lies further back are the business of `statement`.

use crate::effects::Effects;
use crate::look::Look;
use crate::token::{Kind, Span};
use crate::unknown::Unknown;
use crate::verb::Verb;
use crate::word::{NAME_MAX, fold, w};

/// How deeply statements may lie in one another (EXPLAIN PREPARE … never gets near).
const NESTING_MAX: u8 = 8;

/// What the first words say.
pub(crate) struct Head {
    pub(crate) verb: Verb,
    pub(crate) effects: Effects,
    pub(crate) name: Option<Span>,
    /// Where the value begins: it ends with the statement.
    pub(crate) value: Option<usize>,
    pub(crate) inner: Option<Verb>,
    /// CREATE FUNCTION and PROCEDURE, which may have a body of statements.
    pub(crate) may_have_body: bool,
}

impl Head {
    /// Of no statement yet.
    pub(crate) fn none() -> Self {
        Self::new(Verb::Select, Effects::NONE)
    }

    fn new(verb: Verb, effects: Effects) -> Self {
        Self {
            verb,
            effects,
            name: None,
            value: None,
            inner: None,
            may_have_body: false,
        }
    }

    fn named(mut self, look: &Look<'_>) -> Self {
        self.name = look.token.map(|token| token.span);
        self
    }

    /// Of a statement inside: its effects count as well.
    fn with_inner(mut self, inner: &Head) -> Self {
        self.inner = Some(inner.inner.unwrap_or(inner.verb));
        self.effects |= inner.effects;
        self
    }
}

/// Reads the beginning of a statement.
pub(crate) fn read(look: &mut Look<'_>, nesting: u8) -> Result<Head, Unknown> {
    if nesting > NESTING_MAX {
        return Err(Unknown::Nesting);
    }
    while look.is(Kind::Open) {
        look.advance()?;
    }
    if let Some(head) = plain(look.word) {
        return Ok(head);
    }
    let word = look.word;
    if word == 0 {
        return Err(Unknown::Verb);
    }
    look.advance()?;
    if word == w("with") {
        return with(look, nesting);
    }
    if word == w("set") {
        return set(look);
    }
    if word == w("reset") {
        return reset(look);
    }
    if word == w("create") {
        return create(look);
    }
    if word == w("alter") {
        return Ok(define(look, Verb::Alter));
    }
    if word == w("copy") {
        return copy(look);
    }
    if word == w("explain") {
        return explain(look, nesting);
    }
    if word == w("prepare") {
        return prepare(look, nesting);
    }
    if word == w("declare") {
        return declare(look, nesting);
    }
    if let Some(head) = transaction(look, word)? {
        return Ok(head);
    }
    named(look, word)
}

/// Verbs that say all.
fn plain(word: u128) -> Option<Head> {
    const VERBS: [(u128, Verb, Effects); 30] = [
        (w("select"), Verb::Select, Effects::NONE),
        (w("insert"), Verb::Insert, Effects::WRITES),
        (w("update"), Verb::Update, Effects::WRITES),
        (w("delete"), Verb::Delete, Effects::WRITES),
        (w("values"), Verb::Select, Effects::NONE),
        (w("table"), Verb::Select, Effects::NONE),
        (w("merge"), Verb::Merge, Effects::WRITES),
        (w("truncate"), Verb::Truncate, Effects::WRITES),
        (w("drop"), Verb::Drop, Effects::DEFINES),
        (w("comment"), Verb::Define, Effects::DEFINES),
        (w("grant"), Verb::Define, Effects::DEFINES),
        (w("revoke"), Verb::Define, Effects::DEFINES),
        (w("reassign"), Verb::Define, Effects::DEFINES),
        (w("security"), Verb::Define, Effects::DEFINES),
        (w("import"), Verb::Define, Effects::DEFINES),
        (w("refresh"), Verb::Define, Effects::DEFINES),
        (w("vacuum"), Verb::Maintain, Effects::NONE),
        (w("analyze"), Verb::Maintain, Effects::NONE),
        (w("analyse"), Verb::Maintain, Effects::NONE),
        (w("cluster"), Verb::Maintain, Effects::NONE),
        (w("reindex"), Verb::Maintain, Effects::NONE),
        (w("checkpoint"), Verb::Maintain, Effects::NONE),
        (w("lock"), Verb::Lock, Effects::NONE),
        (w("load"), Verb::Load, Effects::LOAD),
        (w("do"), Verb::Do, Effects::CODE),
        (w("call"), Verb::Call, Effects::CODE),
        (w("show"), Verb::Show, Effects::NONE),
        (w("notify"), Verb::Notify, Effects::NONE),
        (w("fetch"), Verb::Fetch, Effects::CURSOR),
        (w("move"), Verb::Fetch, Effects::CURSOR),
    ];
    let found = VERBS.iter().find(|(verb, ..)| *verb == word)?;
    Some(Head::new(found.1, found.2))
}

/// Verbs with a name behind them.
fn named(look: &mut Look<'_>, word: u128) -> Result<Head, Unknown> {
    let all = look.word == w("all");
    let head = if word == w("listen") {
        Head::new(Verb::Listen, Effects::LISTEN)
    } else if word == w("unlisten") {
        Head::new(Verb::Unlisten, Effects::UNLISTEN)
    } else if word == w("execute") {
        Head::new(Verb::Execute, Effects::EXECUTE)
    } else if word == w("close") {
        Head::new(Verb::Close, Effects::CURSOR)
    } else if word == w("discard") {
        if all {
            Head::new(Verb::DiscardAll, Effects::DISCARD | Effects::DEALLOCATE_ALL)
        } else {
            Head::new(Verb::Discard, Effects::DISCARD)
        }
    } else if word == w("deallocate") {
        look.eat("prepare")?;
        if look.word == w("all") {
            return Ok(Head::new(Verb::DeallocateAll, Effects::DEALLOCATE_ALL));
        }
        Head::new(Verb::Deallocate, Effects::DEALLOCATE)
    } else {
        return Err(Unknown::Verb);
    };
    Ok(head.named(look))
}

fn transaction(look: &mut Look<'_>, word: u128) -> Result<Option<Head>, Unknown> {
    let of = |verb| Head::new(verb, Effects::TRANSACTION);
    if word == w("begin") || word == w("start") {
        look.eat_any(&["work", "transaction"])?;
        let mut head = of(Verb::Begin);
        head.value = look.token.map(|token| token.span.start);
        return Ok(Some(head));
    }
    if word == w("savepoint") {
        return Ok(Some(of(Verb::Savepoint).named(look)));
    }
    if word == w("release") {
        // The word may also be the savepoint's name.
        let before = *look;
        if look.eat("savepoint")? && look.token.is_none() {
            *look = before;
        }
        return Ok(Some(of(Verb::Release).named(look)));
    }
    let commits = word == w("commit") || word == w("end");
    if !commits && word != w("rollback") && word != w("abort") {
        return Ok(None);
    }
    if look.eat("prepared")? {
        let verb = if commits {
            Verb::CommitPrepared
        } else {
            Verb::RollbackPrepared
        };
        return Ok(Some(of(verb).named(look)));
    }
    look.eat_any(&["work", "transaction"])?;
    if look.eat("to")? {
        let before = *look;
        if look.eat("savepoint")? && look.token.is_none() {
            *look = before;
        }
        return Ok(Some(of(Verb::RollbackTo).named(look)));
    }
    let chains = look.eat("and")? && !look.eat("no")?;
    Ok(Some(of(match (commits, chains) {
        (true, false) => Verb::Commit,
        (true, true) => Verb::CommitAndChain,
        (false, false) => Verb::Rollback,
        (false, true) => Verb::RollbackAndChain,
    })))
}

/// The main statement behind the common table expressions.
fn with(look: &mut Look<'_>, nesting: u8) -> Result<Head, Unknown> {
    let mut writes = false;
    look.eat("recursive")?;
    loop {
        look.advance()?; // its name
        if look.is(Kind::Open) {
            look.skip_parentheses()?;
        }
        if !look.eat("as")? {
            return Err(Unknown::Verb);
        }
        look.eat("not")?;
        look.eat("materialized")?;
        if !look.is(Kind::Open) {
            return Err(Unknown::Verb);
        }
        writes |= look.skip_parentheses()?;
        if look.word == w("search") {
            skip_to(look, "set")?;
        }
        if look.word == w("cycle") {
            skip_to(look, "using")?;
        }
        if !look.is(Kind::Comma) {
            break;
        }
        look.advance()?;
    }
    let mut head = read(look, nesting + 1)?;
    if writes {
        head.effects |= Effects::WRITES;
    }
    Ok(head)
}

/// To behind the name that follows a word.
fn skip_to(look: &mut Look<'_>, word: &str) -> Result<(), Unknown> {
    while look.token.is_some() && look.word != w(word) {
        look.advance()?;
    }
    look.advance()?;
    look.advance()
}

fn set(look: &mut Look<'_>) -> Result<Head, Unknown> {
    let mut head = Head::new(Verb::Set, Effects::SET);
    let before = *look;
    if look.eat("local")? {
        head = Head::new(Verb::SetLocal, Effects::SET_LOCAL);
    } else if look.eat("session")? && look.word == w("characteristics") {
        return Ok(head.named(look));
    }
    if assigns(look) {
        // A parameter with the name of the key word.
        *look = before;
        head = Head::new(Verb::Set, Effects::SET);
    }
    if look.word == w("transaction") || look.word == w("constraints") {
        return Ok(Head::new(Verb::SetTransaction, Effects::SET_LOCAL));
    }
    let changes_role = names_role(look);
    head = parameter(look, head)?;
    if look.is(Kind::Punctuation) || !look.eat("to")? && is_equals(look) {
        look.advance()?;
    }
    head.value = look.token.map(|token| token.span.start);
    if changes_role && head.verb == Verb::Set {
        head.effects |= Effects::ROLE;
    }
    Ok(head)
}

fn is_equals(look: &Look<'_>) -> bool {
    look.token
        .is_some_and(|token| token.span.of(look.text()) == b"=")
}

fn assigns(look: &Look<'_>) -> bool {
    look.is(Kind::Dot) || look.word == w("to") || is_equals(look)
}

/// ROLE, SESSION AUTHORIZATION, or the parameters of these names, whose case never counts. What can't be
/// read may be one of them.
fn names_role(look: &Look<'_>) -> bool {
    let Some(token) = look.token else {
        return false;
    };
    let mut room = [0; NAME_MAX];
    match fold(look.text(), token, &mut room) {
        Some(name) => [
            &b"role"[..],
            b"authorization",
            b"session_authorization",
            b"session",
        ]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known)),
        None => true,
    }
}

/// Steps over a parameter's name: dotted, or the words that stand for one.
fn parameter(look: &mut Look<'_>, head: Head) -> Result<Head, Unknown> {
    let mut head = head.named(look);
    let first = look.word;
    look.advance()?;
    let second = look.word;
    let two_words = first == w("time") && second == w("zone")
        || first == w("session") && second == w("authorization")
        || first == w("xml") && second == w("option");
    while two_words && look.word == second || look.is(Kind::Dot) {
        if look.is(Kind::Dot) {
            look.advance()?;
        }
        if let (Some(name), Some(token)) = (&mut head.name, look.token) {
            name.end = token.span.end;
        }
        look.advance()?;
        if two_words {
            break;
        }
    }
    Ok(head)
}

fn reset(look: &mut Look<'_>) -> Result<Head, Unknown> {
    let changes_role = names_role(look);
    let mut head = parameter(look, Head::new(Verb::Reset, Effects::SET))?;
    if changes_role {
        head.effects |= Effects::ROLE;
    }
    Ok(head)
}

fn create(look: &mut Look<'_>) -> Result<Head, Unknown> {
    let mut head = Head::new(Verb::Create, Effects::DEFINES);
    if look.eat("or")? {
        look.advance()?;
    }
    look.eat_any(&["global", "local"])?;
    if look.word == w("temp") || look.word == w("temporary") {
        head.effects |= Effects::TEMPORARY;
    } else if look.word == w("function") || look.word == w("procedure") {
        head.may_have_body = true;
    } else {
        head.effects |= define(look, Verb::Create).effects;
    }
    Ok(head)
}

/// CREATE and ALTER of an extension run its scripts; CREATE LANGUAGE may be one of an extension.
fn define(look: &Look<'_>, verb: Verb) -> Head {
    let runs_scripts =
        [w("extension"), w("language"), w("procedural"), w("trusted")].contains(&look.word);
    let effects = if runs_scripts {
        Effects::DEFINES | Effects::CODE
    } else {
        Effects::DEFINES
    };
    Head::new(verb, effects)
}

fn copy(look: &mut Look<'_>) -> Result<Head, Unknown> {
    let mut writes = false;
    while look.token.is_some() {
        if look.is(Kind::Open) {
            writes |= look.skip_parentheses()?;
        } else if look.word == w("from") {
            return Ok(Head::new(Verb::CopyFrom, Effects::COPY | Effects::WRITES));
        } else if look.word == w("to") {
            let effects = if writes {
                Effects::COPY | Effects::WRITES
            } else {
                Effects::COPY
            };
            return Ok(Head::new(Verb::CopyTo, effects));
        } else {
            look.advance()?;
        }
    }
    Err(Unknown::Verb)
}

fn explain(look: &mut Look<'_>, nesting: u8) -> Result<Head, Unknown> {
    if look.is(Kind::Open) {
        let mut inside = *look;
        inside.advance()?;
        let is_query = inside.is(Kind::Open)
            || [w("select"), w("values"), w("table"), w("with")].contains(&inside.word);
        if !is_query {
            look.skip_parentheses()?;
        }
    }
    while look.eat_any(&["analyze", "analyse", "verbose"])? {}
    let inner = read(look, nesting + 1)?;
    Ok(Head::new(Verb::Explain, Effects::NONE).with_inner(&inner))
}

fn prepare(look: &mut Look<'_>, nesting: u8) -> Result<Head, Unknown> {
    let name = *look;
    look.advance()?;
    if name.word == w("transaction") && !look.is(Kind::Open) && look.word != w("as") {
        return Ok(Head::new(Verb::PrepareTransaction, Effects::TRANSACTION).named(look));
    }
    if look.is(Kind::Open) {
        look.skip_parentheses()?;
    }
    if !look.eat("as")? {
        return Err(Unknown::Verb);
    }
    let inner = read(look, nesting + 1)?;
    Ok(Head::new(Verb::Prepare, Effects::PREPARE)
        .named(&name)
        .with_inner(&inner))
}

fn declare(look: &mut Look<'_>, nesting: u8) -> Result<Head, Unknown> {
    let mut head = Head::new(Verb::Declare, Effects::NONE).named(look);
    look.advance()?;
    while look.token.is_some() && look.word != w("for") {
        if look.word == w("hold") {
            head.effects |= Effects::HOLD;
        } else if look.word == w("without") {
            look.advance()?;
        }
        look.advance()?;
    }
    look.advance()?;
    let inner = read(look, nesting + 1)?;
    Ok(head.with_inner(&inner))
}
