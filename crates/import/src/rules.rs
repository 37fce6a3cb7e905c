//! Owns PgBouncer's file of rules, in the format of `pg_hba.conf`: the lines that mean the same here
//! are taken as they are. Where one doesn't, everybody who would come to it is refused until somebody
//! has rewritten it: leaving it out could let a later, weaker rule decide.

use crate::fault::{At, Fault};
use crate::note::Kind;
use crate::{File, Translation, file, ini};
use auth::Method;
use auth::hba::{Hba, HbaFaultKind};
use buf::Secret;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Nobody gets in.
const CLOSED: &str = "local all all reject\nhost all all all reject\n";

/// What the rules need of the rest.
pub(crate) struct Rules {
    /// Somebody gets in without a proof.
    pub(crate) trust: bool,
    /// Somebody proves himself by a certificate.
    pub(crate) certificates: bool,
}

impl Translation<'_> {
    /// Reads `auth_hba_file`, and writes it anew.
    pub(crate) fn rules(&mut self, load: &mut ini::Load<'_>) -> Rules {
        let text = self.rules_text(load);
        let hba = Hba::parse(&text).ok();
        let methods: Vec<Method> = hba
            .iter()
            .flat_map(|it| it.methods())
            .map(|it| it.0)
            .collect();
        let wanted = hba.as_ref().and_then(Hba::wants_certificates);
        self.files.push(File {
            name: file::RULES.to_owned(),
            content: Secret::from_vec(text.into_bytes()),
        });
        Rules {
            trust: methods.contains(&Method::Trust),
            certificates: wanted.is_some() || methods.contains(&Method::Certificate),
        }
    }

    fn rules_text(&mut self, load: &mut ini::Load<'_>) -> String {
        let Some((entry, value)) = self.general("auth_hba_file") else {
            let text =
                "auth_type is hba, and no file is named; the rules in hba.conf let nobody in";
            self.note(Kind::ToDo, ("auth_hba_file", None), text);
            return CLOSED.to_owned();
        };
        let path = PathBuf::from(value);
        let text = match load(&path) {
            Ok(text) => text,
            Err(ErrorKind::NotFound) => {
                let text = "there is no such file; the rules in hba.conf let nobody in";
                self.note(Kind::ToDo, ("auth_hba_file", Some(&entry.at)), text);
                return CLOSED.to_owned();
            }
            Err(kind) => {
                let at = Some(entry.at.clone());
                self.faults.push(Fault::Unreadable { at, path, kind });
                return CLOSED.to_owned();
            }
        };
        match std::str::from_utf8(text.expose()) {
            Ok(text) => self.rewritten(&path, text),
            Err(_) => {
                self.faults.push(Fault::NotText { path });
                CLOSED.to_owned()
            }
        }
    }

    fn rewritten(&mut self, path: &Path, text: &str) -> String {
        let file: Arc<Path> = path.into();
        let mut written = String::new();
        for (line, content) in (1..).zip(text.lines()) {
            let Err(faults) = Hba::parse(content) else {
                // A backslash at the end joins lines here, and not in PgBouncer.
                written.push_str(content.trim_end_matches('\\'));
                written.push('\n');
                continue;
            };
            let at = At {
                file: file.clone(),
                line,
            };
            for fault in faults {
                let text = format!(
                    "{}; until this is rewritten in hba.conf, whoever comes to it is refused",
                    without_values(fault.kind)
                );
                self.note(Kind::ToDo, ("rule", Some(&at)), &text);
            }
            let content = content.trim_end_matches('\\');
            written.push_str(&format!(
                "# to be rewritten: {content}\n{}",
                closed(content)
            ));
        }
        written
    }
}

/// The fault without the value of an option, which may be a password.
fn without_values(kind: HbaFaultKind) -> HbaFaultKind {
    match kind {
        HbaFaultKind::Option { word } => HbaFaultKind::Option {
            word: word.split('=').next().unwrap_or_default().to_owned(),
        },
        kind => kind,
    }
}

/// What refuses everybody whom a rule could be for.
fn closed(rule: &str) -> String {
    match rule.split_whitespace().next() {
        Some("local") => "local all all reject\n".to_owned(),
        Some(kind @ ("host" | "hostssl" | "hostnossl")) => format!("{kind} all all all reject\n"),
        _ => CLOSED.to_owned(),
    }
}
