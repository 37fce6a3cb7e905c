//! Owns the judgement of `[admin]`.

use super::Judge;
use crate::checked::Admin;
use crate::conflict::Conflict;
use crate::sections;

impl Judge<'_, '_> {
    pub(super) fn admin(&self, admin: &sections::Admin) -> Option<Admin> {
        let (admins, viewers) = (&admin.admin_users, &admin.stats_users);
        if !admin.console.value {
            for users in [admins, viewers] {
                if !users.value.0.is_empty() {
                    self.conflict(users, Conflict::NoConsole);
                }
            }
            return None;
        }
        Some(Admin {
            admin_users: admins.value.0.clone(),
            stats_users: viewers.value.0.clone(),
        })
    }
}
