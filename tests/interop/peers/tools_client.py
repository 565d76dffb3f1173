"""tools_client.py PORT: the command gearman as a client, driven by lines on its input. See harness.py."""

import subprocess
import sys
from pathlib import Path

PRIORITY = {"normal": [], "high": ["-I"], "low": ["-L"]}


def emit(name, body=b""):
    sys.stdout.buffer.write(b"%s %d\n%s\n" % (name.encode(), len(body), body))
    sys.stdout.buffer.flush()


def gearman(priority, function, unique, path, *options):
    command = ["gearman", "-h", "127.0.0.1", "-p", sys.argv[1], "-f", function, *PRIORITY[priority], *options]
    if unique:
        command += ["-u", unique]
    if Path(path).stat().st_size == 0:
        command.append("-s")  # without it, no input is no job
    with open(path, "rb") as workload:
        return subprocess.run(command, stdin=workload, capture_output=True)


def run(*words):
    done = gearman(*words)
    if done.returncode:
        is_failure = done.stderr == b"Job failed\n"
        emit("fail" if is_failure else "error", b"" if is_failure else done.stderr)
        return
    if done.stderr:
        emit("warning", done.stderr)
    emit("complete", done.stdout)


def background(*words):
    done = gearman(*words, "-b", "-v")
    emit("created", done.stdout.removeprefix(b"Task created: ").rstrip())


COMMANDS = {"run": run, "background": background}

for line in sys.stdin:
    command, *words = line.rstrip("\n").split("\t")
    COMMANDS[command](*words)
    emit("end")
