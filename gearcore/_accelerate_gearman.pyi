from collections.abc import Mapping, Sequence
from typing import Any, final

from gearcore._accelerate import Counter

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
