//! Owns how clients prove who they are: `auth_type`, `auth_hba_file`, `auth_query` and its user.

use crate::document::{Block, Value};
use crate::fault::{At, Problem};
use crate::listen::Needs;
use crate::note::Kind;
use crate::userlist::Passwords;
use crate::value::{is_plain, word};
use crate::{Translation, file, ini, pairs};

const TYPES: &[&str] = &[
    "any",
    "trust",
    "plain",
    "md5",
    "cert",
    "hba",
    "ldap",
    "pam",
    "scram-sha-256",
];

/// `auth_type`, as far as it has to be told apart.
struct Chosen<'s> {
    word: &'static str,
    at: Option<&'s At>,
}

impl Translation<'_> {
    /// The methods, and what they need of the listener's TLS.
    pub(crate) fn auth(
        &mut self,
        (listen, auth): (&mut Block, &mut Block),
        fit_for_scram: bool,
        load: &mut ini::Load<'_>,
    ) -> Needs {
        let written = self.general("auth_type");
        let at = written.map(|(entry, _)| &entry.at);
        let chosen = written.map_or(Some("md5"), |(_, value)| word(value, TYPES));
        let word = chosen.unwrap_or_else(|| {
            let words = "there are any, trust, plain, md5, cert, hba, pam, ldap and scram-sha-256";
            if let Some(at) = at {
                self.bad(("auth_type", at), Problem::Word(words));
            }
            "md5"
        });
        let chosen = Chosen { word, at };
        let users = self.general("auth_file").map(|(entry, _)| &entry.at);
        let needs = match word {
            "hba" => self.by_rules(listen, auth, load),
            _ => self.by_type((listen, auth), &chosen, fit_for_scram),
        };
        auth.set("auth_file", Value::Text(file::USERS.to_owned()), users);
        if let ("hba", Some((entry, _))) = (word, self.general("auth_ident_file")) {
            let text = "names in certificates are mapped in [[auth.map]]; who comes over the Unix \
                        socket has the name of the operating system";
            self.note(Kind::Differs, ("auth_ident_file", Some(&entry.at)), text);
        }
        needs
    }

    fn by_rules(
        &mut self,
        listen: &mut Block,
        auth: &mut Block,
        load: &mut ini::Load<'_>,
    ) -> Needs {
        let rules = self.rules(load);
        let from = self.general("auth_hba_file").map(|(entry, _)| &entry.at);
        auth.set("auth_hba_file", Value::Text(file::RULES.to_owned()), from);
        if rules.trust {
            let text = "a rule lets clients in without a proof, as any user, not only those of \
                        auth_file";
            self.note(Kind::Differs, ("auth_hba_file", from), text);
            listen.set("allow_trust", Value::Flag(true), from);
        }
        Needs {
            certificates: rules.certificates,
            encryption: false,
        }
    }

    fn by_type(
        &mut self,
        (listen, auth): (&mut Block, &mut Block),
        chosen: &Chosen<'_>,
        fit_for_scram: bool,
    ) -> Needs {
        let encrypted = self.client_mode().encrypts();
        let key = ("auth_type", chosen.at);
        let mut needs = Needs {
            certificates: false,
            encryption: false,
        };
        let (method, over_the_socket) = match chosen.word {
            "scram-sha-256" => ("scram-sha-256", "scram-sha-256"),
            "any" | "trust" => {
                let text = "anybody who can connect gets in, as any user, not only those of \
                            auth_file; \"scram-sha-256\" asks for a proof";
                self.note(Kind::Differs, key, text);
                listen.set("allow_trust", Value::Flag(true), chosen.at);
                ("trust", "trust")
            }
            "cert" => {
                (needs.certificates, needs.encryption) = (true, true);
                ("cert", "peer")
            }
            "plain" if encrypted => ("password", "md5"),
            "plain" => {
                let text = "passwords travel inside TLS only here; without it clients prove that \
                            they know them";
                self.note(Kind::Differs, key, text);
                ("md5", "md5")
            }
            "pam" | "ldap" if encrypted => {
                let text = "Portcullis asks neither PAM nor LDAP: it passes the password on to the \
                            server, inside TLS, and PostgreSQL can ask them (pg_hba.conf)";
                self.note(Kind::Differs, key, text);
                ("password", "peer")
            }
            "pam" | "ldap" => {
                let text = "Portcullis asks neither PAM nor LDAP. With TLS required of clients, \
                            method = \"password\" passes the password on to the server, and \
                            PostgreSQL can ask them (pg_hba.conf)";
                self.note(Kind::ToDo, key, text);
                ("scram-sha-256", "peer")
            }
            _ => {
                if fit_for_scram && self.general("auth_user").is_none() {
                    auth.remark(
                        "Nobody in users.txt has an MD5 hash: \"scram-sha-256\" works for all of \
                         them, unless a driver is too old for it.",
                    );
                }
                ("md5", "md5")
            }
        };
        auth.set("method", Value::Text(method.to_owned()), chosen.at);
        if listen.has("unix_socket_dir") {
            let value = Value::Text(over_the_socket.to_owned());
            auth.set("unix_socket_method", value, chosen.at);
        }
        if self.general("auth_hba_file").is_some() {
            let at = self.general("auth_hba_file").map(|(entry, _)| &entry.at);
            let text = "PgBouncer reads it only with auth_type = hba; it is left out";
            self.note(Kind::NotNeeded, ("auth_hba_file", at), text);
        }
        needs
    }

    /// The user that looks up others.
    pub(crate) fn auth_query(&mut self, auth: &mut Block, passwords: &Passwords) {
        let user = self.of_all("auth_user");
        let (query, database) = (self.of_all("auth_query"), self.of_all("auth_dbname"));
        let Some((user, at)) = user else {
            for (key, found) in [("auth_query", query), ("auth_dbname", database)] {
                if let Some((_, at)) = found {
                    let text = "without auth_user nobody is looked up; it is left out";
                    self.note(Kind::NotNeeded, (key, Some(&at)), text);
                }
            }
            return;
        };
        if !is_plain(&user, 128) {
            return self.bad(("auth_user", &at), Problem::Text);
        }
        match passwords.of(&user) {
            Some(password) => {
                let password = password.clone();
                let name = self.password_file(file::AUTH_PASSWORD, password);
                auth.set("auth_password_file", Value::Text(name), Some(&at));
            }
            None => {
                let text = "its password is not in auth_file as such; if the server asks for one, \
                            write it into a file and name that in auth_password_file";
                self.note(Kind::Differs, ("auth_user", Some(&at)), text);
            }
        }
        auth.set("auth_user", Value::Text(user), Some(&at));
        if let Some((database, at)) = database {
            let known = |name: &str| self.ini.databases.iter().any(|it| it.key == name);
            match known(&database) || known("*") {
                true if !is_plain(&database, 128) => {
                    self.bad(("auth_dbname", &at), Problem::Text);
                }
                true => auth.set("auth_dbname", Value::Text(database), Some(&at)),
                false => {
                    let text = "no database has this name; users are looked up in the one that the \
                                client asks for";
                    self.note(Kind::ToDo, ("auth_dbname", Some(&at)), text);
                }
            }
        }
        match query {
            Some((query, at)) if !query.contains("$1") => {
                self.bad(("auth_query", &at), Problem::Query);
            }
            Some((query, at)) if !is_plain(&query, 4096) => {
                self.bad(("auth_query", &at), Problem::Text);
            }
            Some((query, at)) => auth.set("auth_query", Value::Text(query), Some(&at)),
            None => {}
        }
    }

    /// A setting that PgBouncer has for all and for single databases, and Portcullis for all: the
    /// general one, or the first of a database.
    fn of_all(&mut self, key: &str) -> Option<(String, At)> {
        let general = self.general(key);
        let mut chosen = general.map(|(entry, value)| (value.to_owned(), entry.at.clone()));
        for entry in &self.ini.databases {
            // Faults of the pairs are said where the database is written.
            let pairs = pairs::pairs(entry).unwrap_or_default();
            let Some(pair) = pairs.iter().find(|pair| pair.key == key) else {
                continue;
            };
            let name = format!("{}: {key}", entry.key);
            match &chosen {
                None => {
                    let text = "here it holds for every database";
                    self.note(Kind::Differs, (&name, Some(&entry.at)), text);
                    chosen = Some((pair.value().to_owned(), entry.at.clone()));
                }
                Some((value, _)) if value == pair.value() => {}
                Some(_) => {
                    let text = "there is one for all databases here, and this is another; it is \
                                left out";
                    self.note(Kind::ToDo, (&name, Some(&entry.at)), text);
                }
            }
        }
        chosen
    }
}
