"""Durable queues: where background jobs are kept, so that nothing acknowledged is lost."""

from gearcore.store.interface import Batch, DeadLetter, Opened, Store
from gearcore.store.memory import MemoryStore
from gearcore.store.sqlite import SqliteStore
from gearcore.store.writer import StoreWriter

__all__ = ["Batch", "DeadLetter", "MemoryStore", "Opened", "SqliteStore", "Store", "StoreWriter"]
