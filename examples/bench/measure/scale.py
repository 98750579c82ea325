"""How much of everything a run does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of one run. Windows are messages under way at once; times are in seconds."""

    name: str
    repetitions: int
    seconds: float
    warm: float
    rooms: tuple  # members
    pairs: int
    connections: int
    stored: dict  # window: messages
    stored_mariadb: dict
    inserts: int  # of a plain client
    history: int  # messages between two daemons, searched and started with
    outbox: int
    calls: int
    starts: int
    paced: float
    drained: int
    settle: float  # before memory is looked at
    growth: dict  # of what there is more and more: how many, in turn
    at_each: int  # messages between daemons that are measured at each size of a growth

    def users(self, growth):
        """Accounts with a device; the last 20 are logged in by nobody but who fetches what was stored for them."""
        grown = (*self.growth["members"], *self.growth["connections"]) if growth else ()
        return max(self.connections, *self.rooms, 2 * self.pairs, *grown) + 20


SCALES = {
    "full": Scale(
        name="full",
        repetitions=3,
        seconds=2,
        warm=1,
        rooms=(100, 1000),
        pairs=100,
        connections=10_000,
        stored={1: 3000, 100: 20_000},
        stored_mariadb={1: 1000, 100: 8000},
        inserts=20_000,
        history=20_000,
        outbox=1000,
        calls=2000,
        starts=5,
        paced=5,
        drained=100_000,
        settle=2,
        growth={
            "members": (10, 30, 100, 300, 1000),
            "connections": (100, 300, 1000, 3000),
            "waiting": (1000, 10_000, 30_000, 100_000),
            "accounts": (100, 1000, 3000),
            "history": (100, 1000, 5000, 20_000),
            "chats": (10, 100, 1000, 3000),
            "devices": (1, 2, 4, 8, 16),
            "events": (1000, 10_000, 30_000, 100_000),
        },
        at_each=1000,
    ),
    "quick": Scale(
        name="quick",
        repetitions=1,
        seconds=1,
        warm=0.5,
        rooms=(100, 300),
        pairs=50,
        connections=500,
        stored={1: 500, 100: 5000},
        stored_mariadb={1: 200, 100: 2000},
        inserts=5000,
        history=1000,
        outbox=300,
        calls=500,
        starts=2,
        paced=2,
        drained=2000,
        settle=1,
        growth={
            "members": (10, 30, 100, 300),
            "connections": (100, 200, 500),
            "waiting": (1000, 3000, 10_000),
            "accounts": (100, 300),
            "history": (100, 300, 1000),
            "chats": (10, 30, 100),
            "devices": (1, 2, 4),
            "events": (100, 1000, 3000),
        },
        at_each=300,
    ),
    # whether it works at all, also with programs that were built for tests
    "smoke": Scale(
        name="smoke",
        repetitions=1,
        seconds=0.3,
        warm=0.1,
        rooms=(5, 10),
        pairs=4,
        connections=20,
        stored={1: 20, 100: 200},
        stored_mariadb={},
        inserts=1000,
        history=50,
        outbox=20,
        calls=20,
        starts=1,
        paced=0.5,
        drained=100,
        settle=0.1,
        growth={
            "members": (3, 5),
            "connections": (5, 10),
            "waiting": (50, 100),
            "accounts": (10, 12),
            "history": (20, 40),
            "chats": (1, 2),
            "devices": (1, 2),
            "events": (10, 20),
        },
        at_each=20,
    ),
}
