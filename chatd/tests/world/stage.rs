//! Where schedules begin: worlds that were prepared once, so that thousands of them need not do the same RSA.

use std::sync::LazyLock;
use std::time::Duration;

use chat_protocol::time::Timestamp;
use chat_server::config::Config;
use chatd::engine::Local;
use chatd::engine::store::MemoryRows;

use crate::disk::Disk;
use crate::node::Node;
use crate::server::Server;
use crate::world::{BEGIN, World, roomy};

/// What everybody has said to everybody where they know each other.
pub const HELLO: &str = "hello";

/// How well people know each other when a schedule begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Their keys lie at the server, and nobody has written to anybody.
    Strangers,
    /// Everybody has sessions with everybody.
    Acquainted,
}

/// Everything durable of a world that is at rest.
struct Stage {
    people: Vec<(Local, MemoryRows)>,
    image: Vec<u8>,
    now: Timestamp,
}

static STRANGERS: LazyLock<Stage> = LazyLock::new(|| Stage::of(&mut strangers()));

static ACQUAINTED: LazyLock<Stage> = LazyLock::new(|| {
    let mut world = strangers();
    for from in 0..world.nodes.len() {
        for to in (0..world.nodes.len()).filter(|to| *to != from) {
            world.send(from, to, HELLO);
            world.settle();
        }
    }
    Stage::of(&mut world)
});

fn strangers() -> World {
    let mut world = World::over(Server::new(Disk::new(), narrow(), BEGIN), 1, BEGIN);
    for name in ["alice", "bob", "carol"] {
        world.user(name);
    }
    world.settle();
    world
}

/// A server so small that its bounds are met in a few steps.
fn narrow() -> Config {
    let mut config = roomy();
    config.connections.outbox_frames = 24;
    config.connections.requests_at_once = 4;
    config.mailbox.delivery_window = 3;
    config.mailbox.queue = 4;
    config.mailbox.commit_at_once = 3;
    (config.mailbox.messages, config.mailbox.per_sender) = (20, 12);
    config
}

impl Stage {
    fn of(world: &mut World) -> Self {
        world.advance(Duration::from_secs(120));
        let people = world.nodes.iter().map(|node| (node.local.clone(), node.rows.clone())).collect();
        Self { people, image: world.server.disk.image(), now: world.now }
    }

    fn world(&self, seed: u64) -> World {
        let server = Server::new(Disk::from_image(&self.image), narrow(), self.now);
        let mut world = World::over(server, seed, self.now);
        world.nodes = self.people.iter().map(|(local, rows)| Node::new(local.clone(), rows.clone())).collect();
        world
    }
}

impl Beginning {
    /// A world that begins like this.
    pub fn world(self, seed: u64) -> World {
        match self {
            Self::Strangers => STRANGERS.world(seed),
            Self::Acquainted => ACQUAINTED.world(seed),
        }
    }
}
