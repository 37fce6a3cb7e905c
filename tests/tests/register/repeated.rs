//! Failover after failover, each of another kind, while clients work.

use e2e::clustered::await_role;
use e2e::register::{Crowd, Register};

use super::blows::{Blow, Scene, await_none, writes_logged};
use super::scaled;

/// One of each kind in a row, and again.
#[test]
fn failover_after_failover_leaves_one_history() {
    let crowd = Crowd {
        clients: scaled(8, 64),
        idle: scaled(4, 16),
    };
    let blows = [Blow::Part, Blow::Kill, Blow::Hang];
    let blows = blows.into_iter().cycle().take(scaled(2, 21));
    let mut scene = Scene::new("repeated");
    let register = Register::start(&scene.stage, &scene.role, crowd);
    for (round, blow) in blows.enumerate() {
        register.await_progress();
        scene.strike(blow);
        let (old, promoted) = scene.succeed();
        let first = register.first_write_at(scene.primary().port(), promoted);
        println!("{round}: {blow:?}, the first write {first:?} after the promotion");
        register.await_progress();
        if let Blow::Part = blow {
            comes_back(&scene, old);
            register.await_progress();
        }
        scene.take_back(old);
        register.await_progress();
    }
    let story = register.stop();
    let figures = story.judge(scene.primary(), "repeated");
    println!(
        "{figures:?}, the longest {:?}, {} errors",
        story.longest(),
        story.errors.len()
    );
    assert_eq!(story.idle_lost, 0);
    story.only_lost_connections();
    let log = scene.stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// The old primary can be reached again, and would take writes: it gets none.
fn comes_back(scene: &Scene, old: usize) {
    let member = &scene.flock[old];
    assert!(!member.is_in_recovery());
    await_none(member, "repeated", "state = 'active'");
    let logged = writes_logged(member);
    scene.mend(old);
    await_role(&scene.stage, scene.port(old), "refused: old timeline");
    await_none(member, "repeated", "true");
    assert_eq!(writes_logged(member), logged, "{}", member.log());
}
