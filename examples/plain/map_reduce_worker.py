"""Map and reduce: a text is cut into lines, which whoever is free counts, and the counts are added up."""

import os
from collections import Counter

from gearcore import Worker

# The job that maps waits for those that reduce, so there must be more than one thread, or worker.
worker = Worker(os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"), encoding="json", threads=4)


def add_up(counts):
    return sum(map(Counter, counts), Counter())


@worker.function(aggregate=add_up)
def by_line(job):
    for line in job.data.splitlines():
        job.send_data(line)  # becomes a job of the reducer that the client names


@worker.function
def count_letters(job):
    return Counter(letter for letter in job.data.lower() if letter.isalpha())


if __name__ == "__main__":
    worker.run(install_signals=True)
