//! Owns the judgement of what a database says of its mirror.

use super::Judge;
use crate::checked::Mirrored;
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections::{Database, Sections};
use crate::words::PoolMode;

/// The name that stands for every name.
const ANY: &str = "*";

impl Judge<'_, '_> {
    /// Where a database's statements are copied to, if anywhere.
    pub(super) fn mirrored(&self, sections: &Sections, database: &Database) -> Option<Mirrored> {
        let Some(to) = &database.mirror.value else {
            self.without_mirror(database);
            return None;
        };
        if let Err(conflict) = target(sections, database, to) {
            self.conflict(&database.mirror, conflict);
        }
        let general = sections.pool.as_ref().map(|it| it.pool_mode.value);
        if database.pool_mode.value.or(general) == Some(PoolMode::Session) {
            self.conflict(&database.mirror, Conflict::MirrorsTransactions);
        }
        Some(Mirrored {
            to: to.clone(),
            share: database.mirror_share.value,
            connections: database.mirror_connections.value,
            queue_max: database.mirror_queue_max.value,
            bytes_max: database.mirror_bytes_max.value,
            timeout: database.mirror_timeout.value,
        })
    }

    /// Notes what is said of copies where there are none.
    fn without_mirror(&self, database: &Database) {
        for number in [
            &database.mirror_share,
            &database.mirror_connections,
            &database.mirror_queue_max,
            &database.mirror_bytes_max,
        ] {
            self.mirror_needed(number);
        }
        self.mirror_needed(&database.mirror_timeout);
    }

    fn mirror_needed<T>(&self, setting: &Given<T>) {
        if setting.written {
            let conflict = Conflict::MirrorNeeded {
                setting: setting.name(),
            };
            self.conflict(setting, conflict);
        }
    }
}

/// Whether copies can go there.
fn target(sections: &Sections, from: &Database, to: &str) -> Result<(), Conflict> {
    if to == ANY || from.name.value == ANY {
        return Err(Conflict::MirrorOfAny);
    }
    if to == from.name.value {
        return Err(Conflict::MirrorOfItself);
    }
    let mut databases = sections.databases.iter().map(|it| &it.database);
    let Some(target) = databases.find(|it| it.name.value == to) else {
        return Err(Conflict::NoSuchDatabase);
    };
    let to = to.to_owned();
    if target.mirror.value.is_some() {
        return Err(Conflict::MirrorOfMirrored { to });
    }
    let has_password = target.password_file.value.is_some() || target.password_env.value.is_some();
    match target.user.value.is_some() && has_password {
        true => Ok(()),
        false => Err(Conflict::MirrorNeedsUser { to }),
    }
}
