//! Owns the judgement of `[[route]]`: that each leads somewhere, and somebody there.

use super::Judge;
use crate::checked::Route;
use crate::conflict::Conflict;
use crate::read::Given;
use crate::rule_values::NameList;
use crate::sections::{self, Sections};
use std::collections::HashMap;

/// A section that takes every name.
const ANY: &str = "*";

impl Judge<'_, '_> {
    pub(super) fn session_routes(&self, sections: &Sections) -> Vec<Route> {
        let mut names = HashMap::new();
        for route in &sections.routes {
            match names.get(route.name.value.as_str()) {
                Some(&first) => self.duplicate(&route.name, first),
                None => drop(names.insert(route.name.value.as_str(), route.name.span)),
            }
            if is_about_all(route) {
                self.conflict(&route.name, Conflict::RouteForAll);
            }
            self.leads_somewhere(route, sections);
        }
        sections.routes.iter().map(route).collect()
    }

    fn leads_somewhere(&self, route: &sections::Route, sections: &Sections) {
        let named = |name: &str| {
            let mut all = sections.databases.iter();
            all.find(|it| it.database.name.value == name)
        };
        let served = |name: &str| named(name).or_else(|| named(ANY));
        if let Some(to) = &route.to.value
            && (to == ANY || served(to).is_none())
        {
            return self.conflict(&route.to, Conflict::NoDatabaseOfRoute);
        }
        if route.target.value.is_none() {
            if route.to.value.is_none() {
                self.conflict(&route.name, Conflict::RouteNowhere);
            }
            return;
        }
        let asked = route.database.value.as_ref().map(|it| it.0.as_slice());
        let meant: Vec<_> = match (&route.to.value, asked) {
            (Some(to), _) => served(to).into_iter().collect(),
            (None, Some(names)) => names.iter().filter_map(|name| served(name)).collect(),
            (None, None) => sections.databases.iter().collect(),
        };
        let of_none = meant
            .iter()
            .find(|it| it.database.cluster.value.is_none())
            .map(|it| it.database.name.value.clone());
        if let Some(name) = of_none {
            self.conflict(&route.target, Conflict::TargetOfNoCluster { name });
        }
    }
}

fn is_about_all(route: &sections::Route) -> bool {
    route.database.value.is_none()
        && route.user.value.is_none()
        && route.server_name.value.is_none()
        && route.application.value.is_none()
        && route.option.value.is_none()
        && route.address.value.is_none()
}

fn route(route: &sections::Route) -> Route {
    let names = |given: &Given<Option<NameList>>| {
        let names = given.value.clone();
        names.map(|it| it.0).unwrap_or_default()
    };
    Route {
        name: route.name.value.clone(),
        databases: names(&route.database),
        users: names(&route.user),
        server_names: (route.server_name.value.clone())
            .map(|it| it.0)
            .unwrap_or_default(),
        applications: names(&route.application),
        options: (route.option.value.clone())
            .map(|it| it.0)
            .unwrap_or_default(),
        addresses: (route.address.value.clone())
            .map(|it| it.0)
            .unwrap_or_default(),
        to: route.to.value.clone(),
        target: route.target.value.map(Into::into),
    }
}
