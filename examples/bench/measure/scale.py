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

    @property
    def users(self):
        """Accounts with a device; the last 20 are logged in by nobody but who fetches what was stored for them."""
        return max(self.connections, *self.rooms, 2 * self.pairs) + 20


SCALES = {
    "full": Scale(
        "full",
        3,
        2,
        1,
        (100, 1000),
        100,
        10_000,
        {1: 3000, 100: 20_000},
        {1: 1000, 100: 8000},
        20_000,
        20_000,
        1000,
        2000,
        5,
        5,
        100_000,
        2,
    ),
    "quick": Scale(
        "quick",
        1,
        1,
        0.5,
        (100, 300),
        50,
        500,
        {1: 500, 100: 5000},
        {1: 200, 100: 2000},
        5000,
        1000,
        300,
        500,
        2,
        2,
        2000,
        1,
    ),
    # whether it works at all, also with programs that were built for tests
    "smoke": Scale("smoke", 1, 0.3, 0.1, (5, 10), 4, 20, {1: 20, 100: 200}, {}, 1000, 50, 20, 20, 1, 0.5, 100, 0.1),
}
GROWTH = {
    "members": (10, 30, 100, 300, 1000),
    "connections": (100, 300, 1000, 3000),
    "waiting": (1000, 3000, 10_000, 30_000, 100_000),
    "history": (100, 1000, 5000, 20_000),
}
