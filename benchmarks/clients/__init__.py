"""gearcore's client and worker next to other libraries': ``python -m benchmarks.clients --help``."""
