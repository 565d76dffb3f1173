"""Gearman for Python: a job server, a client and a worker, with a hot path compiled by Cython."""

from gearcore._version import __version__

__all__ = ["__version__"]
