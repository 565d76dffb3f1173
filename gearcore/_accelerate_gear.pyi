from collections.abc import Callable
from types import ModuleType
from typing import Any

from gearcore._accelerate import Counter, Remainder

def gear_hooks(
    counter: Counter,
    input_buffer: Remainder,
    module: ModuleType,
    read: Callable[..., Any],
    to_binary: Callable[..., Any],
    get_argument: Callable[..., Any],
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]: ...
