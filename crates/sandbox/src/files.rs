//! Owns the confinement of files: a plan as Landlock's rules (`landlock(7)`). The network is not
//! confined: a proxy connects to wherever its next configuration says.

use crate::plan::Plan;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use std::path::PathBuf;

/// The interface that this was written for and tested with: with a newer kernel nothing more is
/// refused, with an older one what it can refuse.
const WRITTEN_FOR: ABI = ABI::V6;

/// Confines the thread. Gives the version of the kernel's interface; `None`: it has none.
pub(crate) fn confine(plan: &Plan) -> Result<Option<u32>, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(WRITTEN_FOR))?
        // No signals to other processes, not even those of the same account.
        .scope(Scope::Signal)?
        .create()?;
    let directory = AccessFs::ReadFile | AccessFs::ReadDir;
    ruleset = allow(ruleset, plan.reads.iter(), directory)?;
    let sockets = AccessFs::MakeSock | AccessFs::RemoveFile;
    ruleset = allow(ruleset, plan.sockets.iter(), sockets)?;
    let writes = AccessFs::MakeReg | AccessFs::WriteFile;
    ruleset = allow(ruleset, plan.appends.iter(), writes)?;
    let logs = writes | AccessFs::RemoveFile | AccessFs::ReadDir;
    ruleset = allow(ruleset, plan.logs.iter(), logs)?;
    let status = ruleset.restrict_self()?;
    let abi = match status.landlock {
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => kernel_abi
            .and_then(|abi| u32::try_from(abi).ok())
            .unwrap_or(effective_abi as u32),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => return Ok(None),
    };
    Ok((status.ruleset != RulesetStatus::NotEnforced).then_some(abi))
}

/// Allows this below each of the places. One that is gone by now needs no rule.
fn allow<'a>(
    mut ruleset: RulesetCreated,
    places: impl Iterator<Item = &'a PathBuf>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for place in places {
        let Ok(opened) = PathFd::new(place) else {
            continue;
        };
        // Of a file, only what can be done with one.
        let access = match place.is_dir() {
            true => access,
            false => access & AccessFs::from_file(WRITTEN_FOR),
        };
        ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
    }
    Ok(ruleset)
}
