//! Owns `portcullis test-rules`: what the rules of a configuration say about the statements of a file.
//!
//! A case is a text behind a comment line that says what is expected of it:
//!
//! ```sql
//! -- client: user=ann database=shop address=10.0.0.1
//! -- expect: deny by no-drops
//! DROP TABLE orders;
//! -- expect: allow
//! SELECT 1;
//! -- view: public.totals reads public.orders, public.rates
//! -- expect: deny by orders
//! SELECT * FROM totals;
//! ```

use crate::cli::TestRulesOptions;
use crate::fault::Fault;
use crate::material::rules_about_statements;
use crate::output::say;
use crate::{load, rules};
use policy::views::{Dependencies, Dependency, Leads, Sight, Through};
use policy::{Context, Decision, Moment, ParameterState, Rules, Subject, Tls, Why};
use sql::{Analysis, Asked, Lexing, Unsure};
use std::sync::Arc;

/// Judges all cases, and fails if one isn't as expected.
pub(crate) fn run(options: &TestRulesOptions) -> Result<(), Vec<Fault>> {
    let config = load::configuration(&options.config)?;
    let more = rules_about_statements(&config)?;
    let policy = config.policy.as_ref();
    let rules = policy.and_then(|policy| rules::rules(policy, &more));
    let rules = rules.ok_or_else(|| vec![Fault::NoRules])?;
    let text = std::fs::read_to_string(&options.cases).map_err(|fault| {
        vec![Fault::NoConfiguration {
            path: options.cases.clone(),
            kind: fault.kind(),
        }]
    })?;
    let judged = judge(&rules, &text).map_err(|line| vec![Fault::BadCase { line }])?;
    let mut wrong = 0;
    for case in &judged {
        let verdict = match case.is_right() {
            true => "ok",
            false => "WRONG",
        };
        wrong += usize::from(!case.is_right());
        say(&format!("line {}: {verdict}: {}", case.line, case.found));
        if !case.is_right() {
            say(&format!("    expected: {}", case.wanted));
        }
        for shape in &case.shapes {
            say(&format!("    shape: {shape}"));
        }
    }
    say(&format!("{} cases, {wrong} wrong", judged.len()));
    match wrong {
        0 => Ok(()),
        wrong => Err(vec![Fault::WrongVerdicts { wrong }]),
    }
}

/// One case and what became of it.
struct Case {
    /// The line of its expectation.
    line: usize,
    wanted: String,
    found: String,
    shapes: Vec<String>,
}

impl Case {
    /// `deny` is right for every refusal, `deny by NAME` for that rule's.
    fn is_right(&self) -> bool {
        let found = self.found.split(':').next().unwrap_or_default();
        found == self.wanted || (self.wanted == "deny" && found.starts_with("deny"))
    }
}

/// Judges the cases of a text; or the line that is none.
fn judge(rules: &Rules, text: &str) -> Result<Vec<Case>, usize> {
    let mut context = Context {
        tls: Tls::V1_3,
        ..Context::default()
    };
    let mut known = Vec::new();
    let mut views = Sight::Names;
    let mut cases = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(wanted) = line.strip_prefix("-- expect:") {
            if let Some(open) = open.take() {
                cases.push(case(rules, &context, open));
            }
            let wanted = wanted.trim().to_owned();
            let is_known = wanted == "allow" || wanted == "deny" || wanted.starts_with("deny by ");
            if !is_known {
                return Err(index + 1);
            }
            open = Some((index + 1, wanted, String::new()));
        } else if let Some(client) = line.strip_prefix("-- client:") {
            if let Some(open) = open.take() {
                cases.push(case(rules, &context, open));
            }
            context = self::client(client).ok_or(index + 1)?;
            context.views = views.clone();
        } else if let Some(view) = line.strip_prefix("-- view:") {
            if let Some(open) = open.take() {
                cases.push(case(rules, &context, open));
            }
            known.extend(self::view(view).ok_or(index + 1)?);
            let graph = Dependencies::new(known.iter().cloned()).map_err(|_| index + 1)?;
            views = Sight::Through(Arc::new(Through::new(rules, &graph)));
            context.views = views.clone();
        } else if let Some((_, _, statement)) = &mut open {
            statement.push_str(line);
            statement.push('\n');
        } else if !line.trim().is_empty() && !line.starts_with("--") {
            return Err(index + 1);
        }
    }
    if let Some(open) = open {
        cases.push(case(rules, &context, open));
    }
    Ok(cases)
}

/// `user=ann database=shop`, and so on.
fn client(words: &str) -> Option<Context> {
    let mut context = Context {
        tls: Tls::V1_3,
        ..Context::default()
    };
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=')?;
        let text = value.to_owned();
        match key {
            "user" => context.user = text,
            "role" => context.role = text,
            "database" => context.database = text,
            "application" => context.application = text,
            "address" => context.address = Some(value.parse().ok()?),
            "tls" => {
                context.tls = match value {
                    "none" => Tls::None,
                    "TLSv1.2" => Tls::V1_2,
                    "TLSv1.3" => Tls::V1_3,
                    _ => return None,
                };
            }
            "client_certificate" => context.client_certificate = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(context)
}

/// `schema.view reads schema.relation, …`, with names as the catalogs have them; without a schema it is `public`.
fn view(words: &str) -> Option<Vec<Dependency>> {
    let name = |written: &str| {
        let (schema, name) = written.split_once('.').unwrap_or(("public", written));
        let is_name = |it: &str| !it.is_empty() && !it.contains(char::is_whitespace);
        (is_name(schema) && is_name(name)).then(|| (schema.into(), name.into()))
    };
    let (view, relations) = words.trim().split_once(" reads ")?;
    let from: (Vec<u8>, Vec<u8>) = name(view.trim())?;
    let dependency = |relation: &str| {
        Some(Dependency {
            leads: Leads::View,
            from: from.clone(),
            to: name(relation.trim())?,
        })
    };
    relations.split(',').map(dependency).collect()
}

fn case(rules: &Rules, context: &Context, (line, wanted, text): (usize, String, String)) -> Case {
    let mut analysis = Analysis::new();
    let text = text.trim().as_bytes();
    let asked = Asked {
        shape: Some(&[]),
        ..Asked::facts(Lexing::default())
    };
    analysis.read(text, &asked);
    let when = (context, Moment::default());
    let unread = match analysis.unsure() {
        Some(unsure @ Unsure::Text(_)) => Some(Subject::Unread {
            unsure,
            bytes: text.len(),
        }),
        _ => None,
    };
    let subjects = analysis.statements().iter().map(|facts| Subject::Read {
        text,
        is_utf8: true,
        analysis: &analysis,
        facts,
    });
    let verdict = match unread {
        Some(unread) => rules.judge(when, [unread], ParameterState::None),
        None => rules.judge(when, subjects, ParameterState::None),
    };
    let found = match verdict.decision {
        Decision::Allow | Decision::Later => "allow".to_owned(),
        Decision::Deny(Why::Rule(index) | Why::Unseen(index)) => {
            let name = rules.rule(index).map_or("", |rule| &rule.name);
            format!("deny by {name}")
        }
        Decision::Deny(Why::Default) => "deny: no rule allows it".to_owned(),
        Decision::Deny(Why::Unsure(unsure)) => format!("deny: it can't be judged ({unsure})"),
    };
    let shapes = analysis.statements().iter().filter_map(|it| it.shape);
    Case {
        line,
        wanted,
        found,
        shapes: shapes.map(|it| it.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    /// The parts of a Markdown text between fences of one kind, in order, with the kind.
    fn blocks(text: &str) -> Vec<(String, String)> {
        let mut blocks = Vec::new();
        let mut open: Option<(String, String)> = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(kind), None) => open = Some((kind.to_owned(), String::new())),
                (None, Some((_, block))) => {
                    block.push_str(line);
                    block.push('\n');
                }
                (None, None) => {}
            }
        }
        blocks
    }

    const BASE: &str = "[listen]\n[listen.tls]\nmode = \"disable\"\n[auth]\nauth_file = \"u\"\n\
                        [[database]]\nname = \"*\"\nhost = \"localhost\"\n[database.tls]\nca = \"ca\"\n";

    /// Every recipe of the page is a configuration, and says of the cases behind it what the page says.
    #[test]
    fn the_page_of_recipes_is_true() {
        let page = include_str!("../../../docs/rules.md");
        let mut rules = None;
        let mut count = 0;
        for (kind, block) in blocks(page) {
            match kind.as_str() {
                "toml" => {
                    let text = format!("{BASE}{block}");
                    let (config, _) =
                        Config::from_text(&text, "rules.md").unwrap_or_else(|invalid| {
                            panic!("{:?} in {block}", invalid.errors);
                        });
                    rules = rules::rules(&config.policy.unwrap(), &[]);
                }
                "sql" => {
                    let cases = judge(rules.as_ref().unwrap(), &block).unwrap();
                    for case in &cases {
                        assert!(
                            case.is_right(),
                            "{} for {} in {block}",
                            case.found,
                            case.line
                        );
                    }
                    count += cases.len();
                }
                _ => {}
            }
        }
        assert!(count > 15, "{count} cases");
    }

    #[test]
    fn cases_that_are_none_are_told_by_line() {
        let rules = Rules::new(policy::Default::Allow, Vec::new()).unwrap();
        for (text, line) in [
            ("SELECT 1", 1),
            ("-- expect: perhaps\nSELECT 1", 1),
            ("-- expect: allow\nSELECT 1\n-- client: colour=red\n", 3),
            ("-- view: v depends on t\n", 1),
            ("-- view: v reads\n", 1),
        ] {
            assert_eq!(judge(&rules, text).err(), Some(line), "{text}");
        }
        let wrong = judge(&rules, "-- expect: deny\nSELECT 1\n").unwrap();
        assert!(!wrong[0].is_right());
    }
}
