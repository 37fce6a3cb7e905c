//! Owns the reading of the file of rules about statements that a configuration names.

use super::holding;
use super::rules::text;
use crate::fault::Fault;
use config::{Config, Holds, Invalid, Origin, Rule};

/// The rules of that file; none if none is named.
pub(crate) fn rules(config: &Config) -> Result<Vec<Rule>, Vec<Fault>> {
    let Some(source) = holding(config, Holds::Statements).next() else {
        return Ok(Vec::new());
    };
    let (place, Origin::File(path)) = (&source.place, &source.from) else {
        return Ok(Vec::new());
    };
    let text = text(place, path).map_err(|fault| vec![fault])?;
    let rules = config.rules_of(&text, &path.to_string_lossy());
    rules.map_err(|Invalid { errors, .. }| errors.into_iter().map(Fault::from).collect())
}
