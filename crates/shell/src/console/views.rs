//! Owns what the console tells of views that rules see through: `SHOW VIEWS`.

use super::show::count;
use crate::context::Context;
use crate::views::Catalog;

/// The databases whose views are known, or are to be.
pub(super) fn views(context: &Context) -> Vec<admin::View> {
    if !(context.rules.rules().0).is_some_and(|it| it.wants_views()) {
        return Vec::new();
    }
    let all = context.catalogs.all();
    all.iter().map(|it| row(it)).collect()
}

fn row(catalog: &Catalog) -> admin::View {
    let seen = catalog.views.seen();
    let time = |at_s: Option<u64>| at_s.map(|it| events::stamp(it.saturating_mul(1000)));
    admin::View {
        database: catalog.database.clone(),
        state: match (&seen.views, seen.trouble.is_empty()) {
            (Some(_), _) => "known",
            (None, true) => "reading",
            (None, false) => "unknown",
        },
        views: seen.views.unwrap_or(0) as u64,
        dependencies: seen.dependencies as u64,
        in_doubt: count(seen.in_doubt),
        read: time(seen.at_s).unwrap_or_default(),
        changed: time(seen.changed_s).unwrap_or_default(),
        trouble: seen.trouble,
    }
}
