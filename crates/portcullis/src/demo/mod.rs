//! Owns `portcullis demo`: a throw-away PostgreSQL, the proxy before it with TLS required and
//! verified on both legs, one real session, and what was seen of it. Everything it makes is gone
//! when it ends, however it ends.

mod account;
mod child;
mod cluster;
mod fault;
mod place;
mod postgres;
mod psql;
mod scene;
mod seen;

pub(crate) use fault::DemoFault;

use crate::cli::DemoOptions;
use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::output::say;
use crate::witness::Witness;
use account::Account;
use place::Place;
use postgres::Postgres;
use scene::Scene;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Shows the session; stays until somebody wishes the end, unless it is to run once.
pub(crate) fn run(options: &DemoOptions) -> Result<(), Vec<Fault>> {
    let interrupt = Interrupt::watch().map_err(|error| vec![Fault::System(error)])?;
    let witness = Witness::default();
    tracing_subscriber::registry().with(witness.clone()).init();
    let shown = show(options, &interrupt, &witness);
    match shown {
        // Ctrl-C is how a demo ends, also early.
        Err(DemoFault::Interrupted) if !options.once => {
            say("Stopped; everything that was made is removed.");
            Ok(())
        }
        Err(fault) => Err(vec![Fault::Demo(fault)]),
        Ok(()) => Ok(()),
    }
}

fn show(options: &DemoOptions, interrupt: &Interrupt, witness: &Witness) -> Result<(), DemoFault> {
    let postgres = Postgres::find()?;
    let account = Account::choose()?;
    say(&format!(
        "Portcullis demo: one session, encrypted and verified on both legs.\n\n  \
         PostgreSQL {} from {}\n  making a throw-away cluster ...",
        postgres.version,
        postgres.directory.display()
    ));
    // The place is dropped last, when the cluster and the proxy in it have stopped.
    let place = Place::make(&account)?;
    let scene = Scene::set(&postgres, &account, &place, options.port, interrupt)?;
    let seen = scene.look(witness)?;
    let psql = match postgres.psql() {
        Some(program) => Some(psql::run(&program, &scene, &place, interrupt)?),
        None => None,
    };
    seen.print(psql.as_deref());
    seen.judge(&postgres, &scene)?;
    if interrupt.is_wished() {
        return Err(DemoFault::Interrupted);
    }
    if options.once {
        say("\nEverything is as it claims to be. The cluster is removed.");
        return Ok(());
    }
    say(&format!(
        "\nEverything is as it claims to be. Look for yourself, from another terminal:\n\n  \
         {}\n\nCtrl-C ends the demo and removes everything it made ({}).",
        psql::line(&scene),
        place.path().display()
    ));
    witness.speak_up();
    interrupt.wait();
    say("\nStopping ...");
    Ok(())
}
