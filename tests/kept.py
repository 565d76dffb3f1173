"""A world whose background jobs are kept, in a store that the test plays or in one in memory."""

from __future__ import annotations

from records import read
from world import PREFIX, World

from gearcore._keeper import Keeper
from gearcore.store import Batch, DeadLetter, MemoryStore


class KeptWorld(World):
    def __init__(self, keeps_failed=(), **options) -> None:
        super().__init__(**options)
        self.keeper = Keeper(self.broker, keeps_failed)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with what has gathered left alone."""
        self._tick(self.now + seconds)

    def take(self) -> dict[str, object]:
        """Take a batch: what is not empty in it."""
        names = ("added", "late", "forgotten", "tries", "died", "gone", "last_number")
        batch = dict(zip(names, self.keeper.take_batch(), strict=True))
        return {name: value for name, value in batch.items() if value}

    def store(self) -> dict[str, object]:
        batch = self.take()
        self.keeper.batch_stored()
        return batch

    def reborn(self, *kept: bytes, last_number: int = 0) -> KeptWorld:
        """The world after a restart with those records."""
        world = KeptWorld()
        world.unix_time = self.unix_time
        world.pass_time(0)
        world.keeper.begin(PREFIX, last_number)
        for records in kept:
            world.keeper.load(records)
        return world


class Disk:
    """What becomes of a world's batches, one after the other: each is committed, or not, and then settled."""

    def __init__(self, world: KeptWorld) -> None:
        self.world = world
        self.store = MemoryStore()
        self.store.open(PREFIX)
        self._number = 0
        self._refused = False
        self.busy = False

    def take(self, committed: bool = True, refused: bool = False) -> None:
        """Take what gathered. It may be committed and refused all the same: a failure tells nothing."""
        batch = self.world.take()
        self._number += 1
        if committed:
            batch["died"] = [DeadLetter(*letter) for letter in batch.get("died", ())]
            self.store.commit(Batch(self._number, **batch))
        self._refused = refused or not committed
        self.busy = True

    def settle(self) -> None:
        """Tell the broker what became of the batch."""
        if self._refused:
            self.world.keeper.batch_refused("the disk is full")
        else:
            self.world.keeper.batch_stored()
        self.busy = False

    def write_all(self) -> None:
        """Have all committed that there is."""
        if self.busy:
            self.settle()
        while self.world.keeper.gathered:
            self.take()
            self.settle()

    def records(self) -> bytes:
        """The jobs that are on it."""
        return b"".join(self.store.claim())

    def handles(self) -> set[bytes]:
        """The handles of these."""
        return {f"{PREFIX}:{number}".encode() for number, _ in read(self.records())}
