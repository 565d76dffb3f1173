"""Records of jobs as the broker writes them, written in Python."""

from struct import pack, unpack

HEADER = "<IBBBBHHIQd"
HEADER_SIZE = 32


def record(
    number: int,
    workload: bytes = b"",
    *,
    function: bytes = b"f",
    unique: bytes = b"",
    reducer: bytes = b"",
    priority: int = 1,
    tries: int = 0,
    unix_time: float = 0.0,
) -> bytes:
    """One job."""
    texts = function + unique + reducer + workload
    sizes = (HEADER_SIZE + len(texts), 1, priority, len(unique), len(reducer), len(function), 0)
    return pack(HEADER, *sizes, tries, number, unix_time) + texts


def records(*numbers: int) -> bytes:
    """Jobs of which nothing but the number matters."""
    return b"".join(record(number) for number in numbers)


def numbers(*some: int) -> bytes:
    """Numbers of jobs as they are in a batch."""
    return pack(f"<{len(some)}Q", *some)


def read(data: bytes) -> list[tuple[int, int]]:
    """The number and the tries of each job."""
    found = []
    while data:
        size, *_, tries, number, _ = unpack(HEADER, data[:HEADER_SIZE])
        found.append((number, tries))
        data = data[size:]
    return found
