//! Owns the looking up of a name in a list that is known when the program is compiled.

/// Slots: a power of two, at least twice as many as names.
const SLOTS: usize = 4096;

/// A hash table over a list of names, made by the compiler.
pub(crate) struct Names {
    names: &'static [&'static str],
    /// The place of a name in the list, plus one; 0 is empty. A collision goes to the next slot.
    slots: [u16; SLOTS],
}

impl Names {
    pub(crate) const fn new(names: &'static [&'static str]) -> Self {
        assert!(names.len() <= SLOTS / 2);
        let mut slots = [0u16; SLOTS];
        let mut at = 0;
        while at < names.len() {
            let mut slot = slot(names[at].as_bytes());
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            at += 1;
            slots[slot] = at as u16;
        }
        Self { names, slots }
    }

    pub(crate) fn contain(&self, name: &[u8]) -> bool {
        let mut slot = slot(name);
        loop {
            let place = usize::from(self.slots[slot]);
            if place == 0 {
                return false;
            }
            if self.names[place - 1].as_bytes() == name {
                return true;
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo), folded to the number of slots.
const fn slot(name: &[u8]) -> usize {
    let mut hash = 0x811c_9dc5u32;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ hash >> 12) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins::BUILTINS;
    use crate::reserved::RESERVED;

    #[test]
    fn what_is_listed_is_found_and_nothing_else() {
        static TABLE: Names = Names::new(&BUILTINS);
        for name in BUILTINS {
            assert!(TABLE.contain(name.as_bytes()), "{name}");
        }
        for name in RESERVED.iter().filter(|name| !BUILTINS.contains(name)) {
            assert!(!TABLE.contain(name.as_bytes()), "{name}");
        }
        assert!(!TABLE.contain(b""));
    }

    #[test]
    fn no_name_with_an_effect_is_listed_as_harmless() {
        for name in [
            "set_config",
            "nextval",
            "setval",
            "currval",
            "lastval",
            "setseed",
            "pg_advisory_lock",
            "pg_try_advisory_lock_shared",
            "pg_advisory_unlock_all",
            "lo_open",
            "loread",
            "lo_import",
            "pg_export_snapshot",
            "query_to_xml",
            "table_to_xml",
            "cursor_to_xml",
            "ts_stat",
            "ts_rewrite",
            "pg_stat_reset",
            "pg_replication_origin_session_setup",
            "pg_backup_start",
            "dblink",
            "pg_logical_slot_get_changes",
            "pg_create_logical_replication_slot",
            "pg_stat_clear_snapshot",
        ] {
            assert!(!BUILTINS.contains(&name), "{name}");
        }
    }
}
