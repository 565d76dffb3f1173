from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, final

BODIES: dict[str, int]

@final
class Counter:
    active: bool
    @property
    def parsed(self) -> int: ...
    @property
    def packed(self) -> int: ...

@final
class DictCodec:
    def __init__(
        self,
        counter: Counter,
        parameters: Mapping[int, Sequence[str]],
        buffer_class: type[Any],
        *,
        text: bool,
    ) -> None: ...
    def parse(self, buffer: Any, is_response: bool) -> tuple[int, dict[str, Any], int] | None: ...
    def parse_all(
        self, buffer: Any, is_response: bool, commands: list[tuple[int, dict[str, Any]]]
    ) -> int: ...
    def pack(self, cmd_type: Any, cmd_args: Any, is_response: bool) -> bytes | None: ...
    def pack_behind(self, head: bytes, commands: Any, is_response: bool) -> bytes | None: ...

@final
class Remainder:
    def __init__(self, name: str, *default: bytes) -> None: ...
    def settle(self) -> None: ...

@final
class Recipe:
    def __init__(self, code: CodeType, made: type[tuple[str, ...]], body: str) -> None: ...

def gear_hooks(
    counter: Counter,
    input_buffer: Remainder,
    module: ModuleType,
    read: Callable[..., Any],
    to_binary: Callable[..., Any],
    get_argument: Callable[..., Any],
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]: ...
def aiogear_hooks(
    counter: Counter,
    buffered: Remainder,
    module: ModuleType,
    recipes: dict[str, Recipe],
    own: dict[str, Any],
) -> dict[str, Callable[..., Any]]: ...
