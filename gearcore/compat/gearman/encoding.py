"""What is done to the data of jobs on their way: encoders, and text."""

from __future__ import annotations

from typing import Any

__all__ = ["DataEncoder", "NoopEncoder", "name_from_wire", "to_wire"]


class DataEncoder:
    """Makes the data of jobs something that can be sent, and back. To be inherited; both are class methods.

    ``encode`` returns bytes, or text, which is sent as UTF-8; ``decode`` is given bytes. As in the
    original, an encoder may be for one way only: the one that it lacks raises NotImplementedError.
    """

    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        """What to send for an object."""
        raise NotImplementedError(f"{cls.__name__} cannot encode")

    @classmethod
    def decode(cls, decodable_string: Any) -> Any:
        """The object that was sent as these bytes."""
        raise NotImplementedError(f"{cls.__name__} cannot decode")


class NoopEncoder(DataEncoder):
    """Takes text and bytes as they are, and nothing else."""

    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        if not isinstance(encodable_object, str | bytes):
            raise TypeError(
                f"the data of a job must be str or bytes, not {type(encodable_object).__name__}: "
                "convert it, or set a data_encoder"
            )
        return encodable_object

    @classmethod
    def decode(cls, decodable_string: Any) -> Any:
        return decodable_string


def to_wire(value: Any) -> bytes:
    """Text or bytes as they are sent. Raises TypeError for anything else."""
    if type(value) is str:
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise TypeError(f"what is sent must be str or bytes, not {type(value).__name__}")


def name_from_wire(raw: bytes, text: bool) -> str | bytes:
    """A name, or plain data, as the program gets it; ``to_wire`` makes the same bytes of it again."""
    return raw.decode("utf-8", "surrogateescape") if text else raw
