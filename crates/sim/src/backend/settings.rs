//! Owns the parameters of a model session, with what transactions do to them.
//!
//! Source: guc.c (`AtEOXact_GUC`, `ReportChangedGUCOptions`).

use std::collections::{BTreeMap, BTreeSet};

/// Parameters that are reported.
const REPORTED: [&str; 2] = ["application_name", "datestyle"];

type Values = BTreeMap<String, String>;

/// The parameters of one session.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What the login said: RESET leads there.
    base: Values,
    session: Values,
    local: Values,
    /// Those of before the transaction.
    saved: Option<(Values, Values)>,
    /// Custom ones that exist.
    seen: BTreeSet<String>,
    reported: Values,
}

impl Settings {
    /// Those of a session whose login set these.
    pub fn new(base: Values) -> Settings {
        Settings {
            seen: base.keys().cloned().collect(),
            base,
            ..Settings::default()
        }
    }

    /// The value that holds now; an unknown one is empty.
    pub fn value(&self, name: &str) -> String {
        let set = self.local.get(name).or(self.session.get(name));
        match set.or(self.base.get(name)) {
            Some(value) => value.clone(),
            None => default(name).to_owned(),
        }
    }

    /// True if the session set it.
    pub fn is_set(&self, name: &str) -> bool {
        self.local.contains_key(name) || self.session.contains_key(name)
    }

    /// True if such a parameter exists.
    pub fn exists(&self, name: &str) -> bool {
        !name.contains('.') || self.seen.contains(name)
    }

    /// All that the session set.
    pub fn set_names(&self) -> Vec<String> {
        self.session
            .keys()
            .chain(self.local.keys())
            .cloned()
            .collect()
    }

    /// SET.
    pub fn set(&mut self, name: &str, value: &str) {
        self.seen.insert(name.to_owned());
        self.local.remove(name);
        self.session.insert(name.to_owned(), value.to_owned());
    }

    /// SET LOCAL.
    pub fn set_local(&mut self, name: &str, value: &str) {
        self.seen.insert(name.to_owned());
        self.local.insert(name.to_owned(), value.to_owned());
    }

    /// RESET.
    pub fn reset(&mut self, name: &str) {
        self.local.remove(name);
        self.session.remove(name);
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        self.local.clear();
        self.session.clear();
    }

    /// A transaction begins, unless one is under way.
    pub fn begin(&mut self) {
        if self.saved.is_none() {
            self.saved = Some((self.session.clone(), self.local.clone()));
        }
    }

    /// It ends well.
    pub fn commit(&mut self) {
        self.saved = None;
        self.local.clear();
    }

    /// It ends badly.
    pub fn abort(&mut self) {
        if let Some((session, local)) = self.saved.take() {
            self.session = session;
            self.local = local;
        }
    }

    /// What is to be reported now.
    pub fn news(&mut self) -> Vec<(&'static str, String)> {
        let mut news = vec![];
        for name in REPORTED {
            let value = self.value(name);
            if self.reported.get(name) != Some(&value) {
                self.reported.insert(name.to_owned(), value.clone());
                news.push((name, value));
            }
        }
        news
    }
}

fn default(name: &str) -> &'static str {
    match name {
        "work_mem" => "4MB",
        "datestyle" => "ISO, MDY",
        "search_path" => "\"$user\", public",
        "statement_timeout" => "0",
        _ => "",
    }
}
