//! Owns the judgement of `[auth]`, `[[auth.map]]` and `[[user]]`, beside the listener they serve.

use super::{Judge, pool};
use crate::checked::{
    Auth, AuthQuery, CertificateMapping, DatabaseUser, Holds, Piece, TimeoutsOfUser, User,
};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections::{self, Sections};
use crate::values::Timeout;
use crate::warning::Weakness;
use crate::words::{ChannelBinding, ListenMode, Method, UnixSocketMethod};
use std::collections::HashMap;

/// The sections that methods are judged by.
struct Listener<'s> {
    listen: &'s sections::Listen,
    tls: &'s sections::ListenTls,
    auth: &'s sections::Auth,
}

impl Judge<'_, '_> {
    pub(super) fn auth(&self, sections: &Sections) -> Option<Auth> {
        let listener = Listener {
            listen: sections.listen.as_ref()?,
            tls: sections.listen_tls.as_ref()?,
            auth: sections.auth.as_ref()?,
        };
        let auth = listener.auth;
        match auth.auth_hba_file.value {
            Some(_) => self.methods_elsewhere(sections, &listener),
            None => self.methods(sections, &listener),
        }
        self.client_binding(&listener, auth.method.value);
        self.map_used(sections, &listener);
        self.roles(&sections.auth_map);
        let auth_query = self.auth_query(auth, &sections.databases);
        Some(Auth {
            method: auth.method.value,
            unix_socket_method: auth.unix_socket_method.value,
            channel_binding: auth.channel_binding.value,
            hba_file: self.optional_file(&auth.auth_hba_file, Holds::Rules),
            auth_file: self.optional_file(&auth.auth_file, Holds::Users),
            auth_query,
            map: sections.auth_map.iter().map(mapping).collect(),
        })
    }

    fn methods(&self, sections: &Sections, listener: &Listener<'_>) {
        let auth = listener.auth;
        if !listener.listen.address.value.0.is_empty() {
            self.method(&auth.method, auth.method.value, listener);
        }
        self.methods_of_listeners(sections, listener);
        for user in &sections.users {
            if let Some(method) = user.method.value {
                self.method(&user.method, method, listener);
            }
        }
        if listener.listen.unix_socket_dir.value.is_some() {
            self.unix_socket_method(listener);
        }
    }

    /// With rules, nothing else says how clients prove who they are.
    fn methods_elsewhere(&self, sections: &Sections, listener: &Listener<'_>) {
        let auth = listener.auth;
        if listener.listen.allow_trust.value {
            self.warn(&listener.listen.allow_trust, Weakness::Trust);
        }
        if auth.method.written {
            self.conflict(&auth.method, Conflict::RulesHaveMethods);
        }
        if auth.unix_socket_method.written {
            self.conflict(&auth.unix_socket_method, Conflict::RulesHaveMethods);
        }
        for it in &sections.listeners {
            if it.listener.method.value.is_some() {
                self.conflict(&it.listener.method, Conflict::RulesHaveMethods);
            }
        }
        for user in &sections.users {
            if user.method.value.is_some() {
                self.conflict(&user.method, Conflict::RulesHaveMethods);
            }
        }
    }

    /// Methods at the further listeners. What one does not say itself has been warned about.
    fn methods_of_listeners(&self, sections: &Sections, first: &Listener<'_>) {
        for it in &sections.listeners {
            let listener = Listener {
                listen: first.listen,
                tls: &it.tls,
                auth: first.auth,
            };
            let auth = first.auth;
            match it.listener.method.value {
                Some(method) => self.method(&it.listener.method, method, &listener),
                None => self.method_fits(&auth.method, auth.method.value, &listener),
            }
            for user in &sections.users {
                if let Some(method) = user.method.value {
                    self.method_fits(&user.method, method, &listener);
                }
            }
            let method = it.listener.method.value.unwrap_or(auth.method.value);
            self.client_binding(&listener, method);
        }
    }

    /// What a method needs of a listener's TLS.
    fn method_fits<T>(&self, setting: &Given<T>, method: Method, listener: &Listener<'_>) {
        if matches!(method, Method::Password | Method::Cert) {
            self.method(setting, method, listener);
        }
    }

    /// Parts of roles have to be captured.
    fn roles(&self, map: &[sections::AuthMap]) {
        for entry in map {
            let captured = &entry.certificate.value.pattern().0;
            for piece in &entry.user.value.0.0 {
                if let (Piece::Capture(name), false) = (piece, captured.contains(piece)) {
                    let conflict = Conflict::NotCaptured { name: name.clone() };
                    self.conflict(&entry.user, conflict);
                }
            }
        }
    }

    fn method<T>(&self, setting: &Given<T>, method: Method, listener: &Listener<'_>) {
        match method {
            Method::ScramSha256 => self.users_known(setting, method.word(), listener),
            Method::Md5 => {
                self.warn(setting, Weakness::Md5);
                self.users_known(setting, method.word(), listener);
            }
            Method::Password => self.inside_tls(setting, method, listener),
            Method::Cert => {
                self.inside_tls(setting, method, listener);
                if listener.tls.client_ca.value.is_none() {
                    let wanted = "method = \"cert\"";
                    self.conflict(setting, Conflict::ClientCaNeeded { wanted });
                }
            }
            Method::Trust => self.trust(setting, listener),
        }
    }

    fn unix_socket_method(&self, listener: &Listener<'_>) {
        let setting = &listener.auth.unix_socket_method;
        match setting.value {
            UnixSocketMethod::Peer => {}
            UnixSocketMethod::ScramSha256 => {
                self.users_known(setting, setting.value.word(), listener);
            }
            UnixSocketMethod::Md5 => {
                self.warn(setting, Weakness::Md5);
                self.users_known(setting, setting.value.word(), listener);
            }
            UnixSocketMethod::Trust => self.trust(setting, listener),
        }
    }

    fn users_known<T>(&self, setting: &Given<T>, method: &'static str, listener: &Listener<'_>) {
        let auth = listener.auth;
        if auth.auth_file.value.is_none() && auth.auth_user.value.is_none() {
            self.conflict(setting, Conflict::NoUsers { method });
        }
    }

    fn inside_tls<T>(&self, setting: &Given<T>, method: Method, listener: &Listener<'_>) {
        if !always_encrypted(listener) {
            let method = method.word();
            self.conflict(setting, Conflict::MethodNeedsTls { method });
        }
    }

    fn trust<T>(&self, setting: &Given<T>, listener: &Listener<'_>) {
        match listener.listen.allow_trust.value {
            true => self.warn(setting, Weakness::Trust),
            false => self.conflict(setting, Conflict::TrustNotAllowed),
        }
    }

    fn client_binding(&self, listener: &Listener<'_>, method: Method) {
        let auth = listener.auth;
        if auth.channel_binding.value != ChannelBinding::Require {
            return;
        }
        if !always_encrypted(listener) {
            self.conflict(&auth.channel_binding, Conflict::BindingNeedsTls);
        }
        let by_rules = auth.auth_hba_file.value.is_some();
        if !by_rules && method != Method::ScramSha256 {
            self.conflict(&auth.channel_binding, Conflict::BindingNeedsScram);
        }
    }

    fn map_used(&self, sections: &Sections, listener: &Listener<'_>) {
        let by_user = sections.users.iter().filter_map(|user| user.method.value);
        let of_listeners = sections.listeners.iter().any(|it| {
            it.tls.mode.value == ListenMode::VerifyFull
                || it.listener.method.value == Some(Method::Cert)
        });
        let used = listener.tls.mode.value == ListenMode::VerifyFull
            || listener.auth.auth_hba_file.value.is_some()
            || of_listeners
            || listener.auth.method.value == Method::Cert
            || by_user.into_iter().any(|method| method == Method::Cert);
        if let (false, Some(entry)) = (used, sections.auth_map.first()) {
            self.conflict(&entry.certificate, Conflict::MapUnused);
        }
    }

    fn auth_query(
        &self,
        auth: &sections::Auth,
        databases: &[sections::DatabaseSections],
    ) -> Option<AuthQuery> {
        let password = self.password(
            &auth.auth_password_file,
            &auth.auth_password_env,
            &auth.auth_user,
        );
        if auth.auth_user.value.is_none() {
            self.auth_user_needed(&auth.auth_query);
            self.auth_user_needed(&auth.auth_dbname);
        }
        if !auth.auth_query.value.contains("$1") {
            self.conflict(&auth.auth_query, Conflict::QueryWithoutUser);
        }
        if let Some(wanted) = &auth.auth_dbname.value {
            let fits = |name: &str| name == wanted || name == "*";
            if !databases.iter().any(|it| fits(&it.database.name.value)) {
                self.conflict(&auth.auth_dbname, Conflict::NoSuchDatabase);
            }
        }
        Some(AuthQuery {
            user: auth.auth_user.value.clone()?,
            password,
            dbname: auth.auth_dbname.value.clone(),
            query: auth.auth_query.value.clone(),
        })
    }

    fn auth_user_needed<T>(&self, setting: &Given<T>) {
        if setting.written {
            let setting_name = setting.name();
            let conflict = Conflict::AuthUserNeeded {
                setting: setting_name,
            };
            self.conflict(setting, conflict);
        }
    }

    pub(super) fn users(&self, users: &[sections::User]) -> Vec<User> {
        let mut names = HashMap::new();
        for user in users {
            match names.get(&user.name.value) {
                Some(&first) => self.duplicate(&user.name, first),
                None => drop(names.insert(&user.name.value, user.name.span)),
            }
        }
        users.iter().map(|user| self.user(user)).collect()
    }

    fn user(&self, user: &sections::User) -> User {
        let password = self.password(
            &user.server_password_file,
            &user.server_password_env,
            &user.server_user,
        );
        let server_user = user.server_user.value.clone();
        User {
            name: user.name.value.clone(),
            method: user.method.value,
            server_user: server_user.map(|name| DatabaseUser { name, password }),
            pool: pool::of_user(user),
            timeouts: timeouts(user),
        }
    }
}

fn timeouts(user: &sections::User) -> TimeoutsOfUser {
    let said = |given: &Given<Option<Timeout>>| given.value.as_ref().map(|it| it.0);
    TimeoutsOfUser {
        client_idle: said(&user.client_idle_timeout),
        idle_transaction: said(&user.idle_transaction_timeout),
        transaction: said(&user.transaction_timeout),
        query: said(&user.query_timeout),
    }
}

fn mapping(entry: &sections::AuthMap) -> CertificateMapping {
    CertificateMapping {
        certificate: entry.certificate.value.clone(),
        user: entry.user.value.0.clone(),
    }
}

/// True if no client can come without TLS.
fn always_encrypted(listener: &Listener<'_>) -> bool {
    match listener.tls.mode.value {
        ListenMode::Disable | ListenMode::Allow | ListenMode::Prefer => false,
        ListenMode::Require | ListenMode::VerifyCa | ListenMode::VerifyFull => true,
    }
}
