"""A client of map_reduce_worker.py: the letters of a file, and how many there are of each."""

import os
import sys
from pathlib import Path

from gearcore import Client

text = Path(sys.argv[1]).read_text()

with Client(os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"), encoding="json") as client:
    counts = client.map_reduce("by_line", text, "count_letters")

for letter, count in sorted(counts.items(), key=lambda item: -item[1])[:5]:
    print(letter, count)
