//! What is kept back until the user decides, and what it costs meanwhile.

use std::time::Duration;

use chatd::store::{Direction, Place, Rows, Table};

use crate::identities::{accept, impostor};
use crate::world::{World, acquainted};

const MINUTES: Duration = Duration::from_secs(120);

impl World {
    /// Changes the stored envelopes of a daemon, and says what they were.
    fn replace_held(&mut self, who: usize, by: impl Fn(u64) -> Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        let rows = &mut self.nodes[who].rows;
        let held = rows.scan(Table::Inbox, b"raw", 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap();
        for (position, _) in &held {
            let key = position.to_be_bytes();
            rows.put(Place::new(Table::Inbox, b"raw", &key), *position, &by(*position)).unwrap();
        }
        held
    }
}

#[test]
fn what_is_held_is_not_read_again_before_something_changes() {
    let (mut world, alice, bob_) = acquainted();
    let (thief, log) = impostor(&mut world, bob_);
    world.send(thief, alice, "i am bob");
    world.advance(MINUTES);
    // whoever reads these fails
    let held = world.replace_held(alice, |_| vec![0xff]);
    assert_eq!(held.len(), 1);
    let carol = world.user("carol");
    world.send(carol, alice, "hello");
    world.advance(MINUTES);
    assert!(world.inbox(alice).contains(&"carol: hello".to_owned()));

    world.replace_held(alice, |position| held.iter().find(|(at, _)| *at == position).unwrap().1.clone());
    accept(&mut world, alice, &log).unwrap();
    world.advance(MINUTES);
    assert!(world.inbox(alice).contains(&"bob: i am bob".to_owned()));
}
