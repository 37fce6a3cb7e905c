//! Over PostgreSQL's regression SQL: what the scanner says is what the parser says, or it says that it doesn't
//! know. Never anything else.

use std::collections::{BTreeMap, BTreeSet};

use sql::{Access, Analysis, Asked, Lexer, Lexing, NAME_MAX, Relation, Span, name};

fn main_dir() -> Option<String> {
    std::env::var("PORTCULLIS_REGRESS_SQL").ok()
}

/// A psql script without what is psql's: its commands, and data behind COPY.
fn cleaned(script: &str) -> String {
    let mut out = String::new();
    let mut is_data = false;
    for line in script.lines() {
        if is_data {
            is_data = line != "\\.";
            continue;
        }
        if line.starts_with('\\') {
            continue;
        }
        let line = match line.find(" \\g").or(line.find("\\;")) {
            Some(at) => &line[..at],
            None => line,
        };
        out.push_str(line);
        out.push('\n');
        let lower = line.to_ascii_lowercase();
        is_data = lower.contains("copy ")
            && lower.contains("from stdin")
            && lower.trim_end().ends_with(';');
    }
    out
}

fn folded(text: &str, span: Span) -> String {
    let mut room = [0; NAME_MAX];
    let name = name(text.as_bytes(), span, true, &mut room).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn shown(text: &str, found: &Relation) -> (String, char) {
    let parts = [found.catalog, found.schema, Some(found.name)];
    let parts: Vec<_> = parts
        .into_iter()
        .flatten()
        .map(|span| folded(text, span))
        .collect();
    let access = match found.access {
        Access::Read => 'r',
        Access::Write => 'w',
        Access::Ddl => 'd',
    };
    (parts.join("."), access)
}

/// Where the two disagree about one statement, `Ok(false)` where the scanner doesn't know.
fn compare(text: &str, analysis: &mut Analysis) -> Option<Result<bool, String>> {
    let truth = oracle::parse(text)?;
    analysis.read(text.as_bytes(), &Asked::facts(Lexing::default()));
    if analysis.unsure().is_some() {
        return Some(Ok(false));
    }
    let facts = analysis.statements();
    if facts.len() != truth.len() {
        return Some(Err(format!(
            "{} statements, not {}",
            facts.len(),
            truth.len()
        )));
    }
    for (facts, (_, _, truth)) in facts.iter().zip(&truth) {
        let relations: BTreeSet<_> = analysis
            .relations(facts)
            .iter()
            .map(|found| shown(text, found))
            .collect();
        let lists_objects = matches!(facts.statement.verb, sql::Verb::Define);
        let agree = if lists_objects {
            truth.relations.is_subset(&relations)
        } else {
            truth.relations == relations
        };
        if !agree {
            return Some(Err(format!(
                "relations {relations:?}, not {:?}",
                truth.relations
            )));
        }
        let calls: BTreeSet<_> = analysis
            .calls(facts)
            .iter()
            .map(|call| folded(text, call.name))
            .collect();
        for call in &truth.calls {
            let last = call.rsplit('.').next().unwrap_or_default();
            if !calls.contains(last) {
                return Some(Err(format!("misses the call of {call}: {calls:?}")));
            }
        }
        if truth.without_where != facts.without_where {
            return Some(Err(format!("without WHERE: {}", facts.without_where)));
        }
        if !truth.verbs.is_empty() && !facts.impact.has(sql::Impact::WRITE) && !facts.only_explained
        {
            return Some(Err(format!("writes: {:?} {:?}", facts.impact, truth.verbs)));
        }
    }
    Some(Ok(true))
}

/// Statements that hold other statements.
const AROUND: [(&str, &str); 14] = [
    ("EXPLAIN ANALYZE ", ""),
    ("EXPLAIN (ANALYZE, BUFFERS) ", ""),
    ("PREPARE p (int) AS ", ""),
    ("CREATE VIEW v (a) WITH (security_barrier) AS ", ""),
    (
        "CREATE TABLE IF NOT EXISTS x.n (a, b) ON COMMIT DROP AS ",
        " WITH NO DATA",
    ),
    ("WITH q AS MATERIALIZED (", ") SELECT * FROM q, r"),
    (
        "WITH RECURSIVE a AS (SELECT * FROM b, c), b AS (",
        ") DELETE FROM b USING a",
    ),
    ("INSERT INTO n ", ""),
    (
        "INSERT INTO n (a) (",
        ") ON CONFLICT (a) DO UPDATE SET b = (SELECT c FROM d), e = 1",
    ),
    ("COPY (", ") TO STDOUT"),
    ("DECLARE c SCROLL CURSOR WITH HOLD FOR ", ""),
    (
        "SELECT a, (",
        ") FROM ((SELECT 1) UNION TABLE o) y JOIN z ON join(a, b)",
    ),
    (
        "CREATE RULE r AS ON INSERT TO n WHERE NEW.a IS DISTINCT FROM 1 DO ALSO (",
        "; DELETE FROM m)",
    ),
    (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC ",
        "; SELECT 1 FROM l; END",
    ),
];

/// Whether the parser's scanner cuts the same tokens.
fn same_tokens(text: &str) -> Result<(), String> {
    let Ok(theirs) = pg_query::scan(text) else {
        return Ok(());
    };
    let Ok(mut lexer) = Lexer::new(text.as_bytes(), Lexing::default()) else {
        return Ok(());
    };
    let comments = [
        pg_query::protobuf::Token::SqlComment as i32,
        pg_query::protobuf::Token::CComment as i32,
    ];
    let theirs = theirs
        .tokens
        .iter()
        .filter(|token| !comments.contains(&token.token));
    for wanted in theirs {
        match lexer.significant() {
            Ok(Some(found)) => {
                if found.span.start != wanted.start as usize
                    || found.span.end != wanted.end as usize
                {
                    return Err(format!("{found:?}, not {}..{}", wanted.start, wanted.end));
                }
            }
            Ok(None) => return Err("ends early".to_owned()),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

#[test]
fn equal_or_unknown() {
    let Some(directory) = main_dir() else {
        eprintln!(
            "*** SKIPPED, NOTHING WAS COMPARED: PORTCULLIS_REGRESS_SQL names no directory ***"
        );
        return;
    };
    let mut analysis = Analysis::new();
    let (mut equal, mut unknown, mut unparsed) = (0, 0, 0);
    let (mut wrapped, mut unknown_wrapped) = (0, 0);
    let mut wrong = Vec::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .expect("the directory of the regression SQL")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    for path in &files {
        let Ok(script) = std::fs::read_to_string(path) else {
            continue;
        };
        let script = cleaned(&script);
        let Ok(pieces) = pg_query::split_with_scanner(&script) else {
            continue;
        };
        for piece in pieces {
            if let Err(why) = same_tokens(piece) {
                wrong.push(format!("{}: tokens: {why}: {piece}", path.display()));
            }
            for (before, behind) in AROUND {
                let whole = format!("{before}{piece}\n{behind}");
                match compare(&whole, &mut analysis) {
                    Some(Ok(true)) => wrapped += 1,
                    Some(Ok(false)) => unknown_wrapped += 1,
                    Some(Err(why)) => wrong.push(format!("{}: {why}: {whole}", path.display())),
                    None => {}
                }
            }
            match compare(piece, &mut analysis) {
                None => unparsed += 1,
                Some(Ok(true)) => equal += 1,
                Some(Ok(false)) => {
                    unknown += 1;
                    let verb = analysis
                        .statements()
                        .first()
                        .map(|facts| facts.statement.verb);
                    *reasons
                        .entry(format!("{:?} {verb:?}", analysis.unsure()))
                        .or_default() += 1;
                    if std::env::var("SHOW_UNKNOWN").is_ok() {
                        eprintln!("UNKNOWN {:?} {piece}", analysis.unsure());
                    }
                }
                Some(Err(why)) => wrong.push(format!("{}: {why}: {piece}", path.display())),
            }
        }
    }
    eprintln!(
        "{equal} equal, {unknown} unknown, {unparsed} that PostgreSQL doesn't parse, {} wrong",
        wrong.len()
    );
    eprintln!("within other statements: {wrapped} equal, {unknown_wrapped} unknown");
    for (reason, count) in reasons {
        eprintln!("  unknown: {count} {reason}");
    }
    assert!(equal > 10_000, "too little was compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
