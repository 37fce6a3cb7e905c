//! Owns how many sessions took which route, `SHOW ROUTES`, and its counts for `/metrics`.

use crate::context::Context;
use crate::setup::{Route, Setup};
use observe::{Family, Kind, Sample};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Sessions by the name of the route that they took: names of the configuration, so there are few.
#[derive(Default)]
pub(crate) struct Taken(Mutex<HashMap<String, u64>>);

impl Taken {
    /// A session began by this route.
    pub(crate) fn note(&self, route: &str) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(route) {
            Some(count) => *count += 1,
            None => drop(taken.insert(route.to_owned(), 1)),
        }
    }

    fn of(&self, route: &str) -> u64 {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(route).copied().unwrap_or_default()
    }
}

/// The routes in force.
pub(super) fn routes(context: &Context, setup: &Setup) -> Vec<admin::Route> {
    let row = |(index, route): (usize, &Route)| admin::Route {
        position: u32::try_from(index + 1).unwrap_or(u32::MAX),
        name: route.name.clone(),
        conditions: route.conditions.to_string(),
        database: route.to.clone().unwrap_or_default(),
        target: route.wish.map_or("", cluster::Wish::word),
        sessions: context.console.routes.of(&route.name),
    };
    setup.routes.iter().enumerate().map(row).collect()
}

/// Their counts; none without routes.
pub(super) fn families(context: &Context) -> Option<Family> {
    let setup = context.live.snapshot();
    let sample = |route: &Route| Sample {
        labels: vec![("route", route.name.clone())],
        value: (context.console.routes.of(&route.name) as f64).into(),
    };
    (!setup.routes.is_empty()).then(|| Family {
        name: "route_sessions_total".into(),
        help: "Sessions that took the route since the start.",
        kind: Kind::Counter,
        samples: setup.routes.iter().map(sample).collect(),
    })
}
