//! What a step of the engine costs, on rows in memory: a message is sent, and a message comes.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    unused,
    reason = "a benchmark's values are its own, and it needs a part of what tests have"
)]

#[path = "../tests/world/disk.rs"]
mod disk;
#[path = "../tests/world/lies.rs"]
mod lies;
#[path = "../tests/world/network.rs"]
mod network;
#[path = "../tests/world/node.rs"]
mod node;
#[path = "../tests/world/people.rs"]
mod people;
#[path = "../tests/world/server.rs"]
mod server;
#[path = "../tests/world/world.rs"]
mod world;

use std::cell::RefCell;

use chat_protocol::message::server::Push;
use chatd::engine::Input;
use divan::Bencher;

use crate::node::Down;
use crate::world::{Fate, Next, World, acquainted};

fn main() {
    divan::main();
}

/// A text is stored and shown, sealed for its reader and handed to the connection.
#[divan::bench(sample_size = 1)]
fn send(bencher: Bencher<'_, '_>) {
    let (world, alice, bob) = acquainted();
    let world = RefCell::new(world);
    bencher.with_inputs(|| world.borrow_mut().settle()).bench_local_values(|()| {
        world.borrow_mut().send(alice, bob, "a text");
    });
}

/// What the server delivers is opened, stored and shown; its receipt and its acknowledgement wait.
#[divan::bench(sample_size = 1)]
fn receive(bencher: Bencher<'_, '_>) {
    let (world, alice, bob) = acquainted();
    let world = RefCell::new(world);
    let delivered = || {
        let mut world = world.borrow_mut();
        world.settle();
        world.send(alice, bob, "a text");
        delivery(&mut world, alice, bob)
    };
    bencher.with_inputs(delivered).bench_local_values(|delivery| {
        world.borrow_mut().feed(bob, vec![Input::Push(delivery)], Fate::Done);
    });
}

/// What alice has sent, as it comes to bob.
fn delivery(world: &mut World, alice: usize, bob: usize) -> Push {
    loop {
        let steps = world.possible();
        let down = &mut world.nodes[bob].wire.as_mut().unwrap().down;
        if let Some(Down::Push(push)) = down.pop_front() {
            return push;
        }
        assert!(steps.contains(&Next::Up(alice)), "{steps:?}");
        world.take(Next::Up(alice), 1, Fate::Done);
    }
}
