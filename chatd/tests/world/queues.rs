//! What waits for one device, or cannot be said at once, holds up nothing else.

use chatd::engine::{commands, history};

use crate::world::World;

#[test]
fn what_was_read_of_more_devices_than_one_receipt_names_is_told_in_several() {
    let mut world = World::new();
    let (alice, mallory) = (world.user("alice"), world.user("mallory"));
    let tablet = world.another_device(alice);
    world.settle();
    // one device after another, so that there are few at a time
    for n in 0..17 {
        let device = world.another_device(mallory);
        world.settle();
        world.send(device, alice, &format!("from device {n}"));
        world.settle();
        world.revoke(mallory, &[device]);
        world.settle();
    }
    assert_eq!(world.inbox(alice).len(), 17);
    world.command(alice, |turn| commands::mark_read(turn, "@mallory", None)).unwrap();
    world.settle();
    let unread = |who: usize| history::chat(&world.nodes[who].rows, "@mallory").unwrap().unwrap().unread;
    assert_eq!((unread(alice), unread(tablet)), (0, 0));
}
