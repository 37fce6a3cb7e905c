//! Owns where a client's session goes, by the setup's routes and by what the client may choose for itself.

use super::Life;
use crate::setup::Servers;
use auth::LegFacts;
use cluster::Wish;
use session::arrival::Newcomer;
use session::fault::{Fault, FaultKind, Side};
use session::routes::{self, Asker};

/// The startup parameter with which clients say which hosts of a cluster they want.
const TARGET: &str = "portcullis.target";

/// Where a session goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// The database, by the name of its entry or as the client asks for it.
    pub(crate) database: String,
    /// Which hosts of its cluster; `None`: those that the database is led to.
    pub(crate) wish: Option<Wish>,
    /// The route that led there.
    pub(crate) route: Option<String>,
}

impl Course {
    /// Where the client asks to go.
    pub(super) fn as_asked(newcomer: &Newcomer) -> Course {
        Course {
            database: newcomer.database.clone(),
            wish: None,
            route: None,
        }
    }
}

impl Life<'_> {
    /// Where a newcomer's session goes. Nothing is said here about whether it may.
    pub(super) fn course(&self, newcomer: &Newcomer, leg: &LegFacts) -> Result<Course, Fault> {
        let asker = Asker {
            newcomer,
            server_name: leg.sni.as_deref(),
            address: self.address,
        };
        let mut routes = self.setup.routes.iter();
        let mut course = Course::as_asked(newcomer);
        if let Some(route) = routes.find(|it| it.conditions.hold(asker)) {
            if let Some(to) = &route.to {
                course.database.clone_from(to);
            }
            course.wish = route.wish;
            course.route = Some(route.name.clone());
        }
        if let Some(word) = routes::parameter(&newcomer.startup, TARGET) {
            course.wish = Some(self.wish_of_client(&course.database, &word)?);
        }
        Ok(course)
    }

    /// The hosts that a client chooses for itself, if it may.
    fn wish_of_client(&self, database: &str, word: &[u8]) -> Result<Wish, Fault> {
        let refused = |kind| Err(Fault::new(Side::Client, kind));
        let entry = self.setup.database(database);
        let may_choose = entry.is_some_and(|it| match &it.servers {
            Servers::Of(followed) => followed.by_client,
            Servers::Listed(_) => false,
        });
        if !may_choose {
            let name = database.to_owned();
            return refused(FaultKind::TargetRefused { name });
        }
        let wish = std::str::from_utf8(word).ok().and_then(Wish::parse);
        match wish {
            Some(wish) => Ok(wish),
            None => refused(FaultKind::UnknownTarget),
        }
    }
}
