//! Owns the reading of the rules of who may log in, and their judgement beside the rest of the
//! configuration, which cannot see them.

use super::holding;
use crate::fault::{Fault, RuleProblem};
use auth::Method;
use auth::hba::Hba;
use config::{ClientCertificates, Config, Holds, ListenTls, Origin, Place};
use std::path::Path;

/// The most that a file of rules may have.
const FILE_MAX: u64 = 4 << 20;

/// The rules, if a file is named.
pub(super) fn rules(config: &Config) -> Result<Option<Hba>, Vec<Fault>> {
    let Some(source) = holding(config, Holds::Rules).next() else {
        return Ok(None);
    };
    let (place, Origin::File(path)) = (&source.place, &source.from) else {
        return Ok(None);
    };
    let text = text(place, path).map_err(|fault| vec![fault])?;
    let hba = Hba::parse(&text).map_err(|faults| {
        let placed = |fault| Fault::Rules {
            place: place.clone(),
            path: path.clone(),
            fault: Box::new(fault),
        };
        faults.into_iter().map(placed).collect::<Vec<_>>()
    })?;
    let fault = |(line, problem)| Fault::Rule {
        place: place.clone(),
        path: path.clone(),
        line,
        problem,
    };
    let faults: Vec<Fault> = problems(config, &hba).into_iter().map(fault).collect();
    match faults.is_empty() {
        true => Ok(Some(hba)),
        false => Err(faults),
    }
}

pub(super) fn text(place: &Place, path: &Path) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| Fault::Unreadable {
        place: place.clone(),
        path: path.to_owned(),
        kind: error.kind(),
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_MAX {
        return Err(Fault::TooBig {
            place: place.clone(),
            path: path.to_owned(),
            most: FILE_MAX,
        });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Each kind of problem at the first rule that has it.
fn problems(config: &Config, hba: &Hba) -> Vec<(usize, RuleProblem)> {
    let first = |wanted: &[Method]| {
        let found = hba.methods().find(|(method, _)| wanted.contains(method));
        found.map(|(_, line)| line)
    };
    let trust = first(&[Method::Trust]).filter(|_| !config.listen.allow_trust);
    let asks = match &config.listen.tls {
        ListenTls::On(tls) => tls.client_certificates != ClientCertificates::NotAsked,
        ListenTls::Disabled => false,
    };
    let certificates = hba.wants_certificates().filter(|_| !asks);
    let known = config.auth.auth_file.is_some() || config.auth.auth_query.is_some();
    let users = first(&[Method::ScramSha256, Method::Md5]).filter(|_| !known);
    let found = [
        trust.map(|line| (line, RuleProblem::Trust)),
        certificates.map(|line| (line, RuleProblem::ClientCa)),
        users.map(|line| (line, RuleProblem::NoUsers)),
    ];
    found.into_iter().flatten().collect()
}
