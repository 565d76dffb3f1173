"""The worker beside app.py, where the long sums are done: in processes, one for each core."""

import os

from gearcore import Worker

worker = Worker(
    os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"), encoding="json", processes=os.cpu_count() or 1
)


@worker.function
def primes(job):
    below = job.data
    if below > 1_000_000:
        raise ValueError("that would take too long")
    return [n for n in range(2, below) if all(n % d for d in range(2, int(n**0.5) + 1))]


if __name__ == "__main__":
    worker.run(install_signals=True)
