from typing import final

@final
class Counter:
    active: bool
    @property
    def parsed(self) -> int: ...
    @property
    def packed(self) -> int: ...

@final
class Remainder:
    def __init__(self, name: str, *default: bytes) -> None: ...
    def settle(self) -> None: ...
