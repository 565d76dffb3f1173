"""tools_worker.py PORT PREFIX: the command gearman as a worker, a process for each function."""

import subprocess
import sys
from pathlib import Path

port, prefix = sys.argv[1:]

FUNCTIONS = {
    "echo": ["cat"],
    "reverse": ["perl", str(Path(__file__).with_name("reverse.pl"))],
    "fail": ["false"],
}

workers = [
    subprocess.Popen(
        ["gearman", "-w", "-h", "127.0.0.1", "-p", port, "-f", f"{prefix}.{name}", "--", *command]
    )
    for name, command in FUNCTIONS.items()
]
for worker in workers:
    worker.wait()
