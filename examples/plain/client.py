"""A client of worker.py: counts the words of a file, as a whole and line by line."""

import os
import sys
from pathlib import Path

from gearcore import Client, JobProgress

path = Path(sys.argv[1])
text = path.read_text()

with Client(os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"), encoding="json") as client:
    # One job, with its progress as it comes.
    job = client.submit("count_words", {"text": text})
    for event in job.events(timeout=60):
        if isinstance(event, JobProgress):
            print(f"\rline {event.numerator} of {event.denominator}", end="")
    print(f"\r{path.name} has {job.result()['words']} words")

    # Many jobs, a hundred of them in flight.
    lines = ({"text": line} for line in text.splitlines())
    longest = max(client.map("count_words", lines), key=lambda count: count["words"])
    print(f"its longest line has {longest['words']} words")

    # A job that nobody waits for.
    client.submit("log_count", {"name": path.name}, background=True)
