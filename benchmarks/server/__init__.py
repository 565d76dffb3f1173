"""The job servers next to each other, under load from C: ``python -m benchmarks.server --help``."""
