from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any, final

from gearcore._accelerate import Counter, Remainder

BODIES: dict[str, int]

@final
class Recipe:
    def __init__(self, code: CodeType, made: type[tuple[str, ...]], body: str) -> None: ...

def aiogear_hooks(
    counter: Counter,
    buffered: Remainder,
    module: ModuleType,
    recipes: dict[str, Recipe],
    own: dict[str, Any],
) -> dict[str, Callable[..., Any]]: ...
