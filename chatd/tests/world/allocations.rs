//! What a message allocates at its sender, at the server and at its reader, so that no copy creeps in.

use crate::world::{World, acquainted};

const MESSAGES: u64 = 20;
/// At sender, server and reader: 1,041, 215 and 704 were reached, and a twentieth more is let pass. Rows in memory, which
/// stand in for a database, are about half of it at sender and reader.
const MOST: [u64; 3] = [1_093, 225, 739];

/// What alice's engine, the server and bob's engine allocated so far, their rows included.
fn allocations(world: &World, [alice, bob]: [usize; 2]) -> [u64; 3] {
    [world.nodes[alice].allocations, world.server.allocations.get(), world.nodes[bob].allocations]
}

#[test]
fn a_warm_message_and_its_receipt_allocate_no_more_than_they_did() {
    let (mut world, alice, bob) = acquainted();
    let mut before = [0; 3];
    for n in 0..2 * MESSAGES {
        if n == MESSAGES {
            before = allocations(&world, [alice, bob]);
        }
        world.send(alice, bob, &format!("text {n}"));
        world.settle();
    }
    let after = allocations(&world, [alice, bob]);
    let each = [0, 1, 2].map(|place| (after[place] - before[place]).div_ceil(MESSAGES));
    let within = each.iter().zip(&MOST).all(|(each, most)| each <= most);
    assert!(within, "{each:?} allocations at sender, server and reader, at most {MOST:?}: 5 % above what was reached");
}
