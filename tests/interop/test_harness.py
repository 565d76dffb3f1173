"""What the harness itself promises."""

import os
import subprocess
import sys
from pathlib import Path

from interop.harness import Process, eventually

TESTS = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from interop.harness import Process
peer = Process(["sh", "-c", "sleep 1000 & echo $!; wait"])
print(peer.pid, peer._process.stdout.readline().decode(), flush=True)
threading.Event().wait()
"""


def test_no_peer_outlives_tests_that_are_killed():
    command = [sys.executable, "-c", TESTS, str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tests:
        peers = [int(word) for word in tests.stdout.readline().split()]
        assert len(peers) == 2
        assert all(map(is_running, peers))
        tests.kill()
    eventually(lambda: any(map(is_running, peers)), False)


def test_a_peer_is_killed_with_all_that_it_started():
    with Process(["sh", "-c", "sleep 1000 & echo $!; wait"]) as peer:
        child = int(os.read(peer._process.stdout.fileno(), 100))
        assert is_running(child)
    assert not peer.is_running
    eventually(lambda: is_running(child), False)


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
