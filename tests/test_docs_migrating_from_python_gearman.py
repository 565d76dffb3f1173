"""The guide for users of python-gearman: its programs run, and its table has names that there are."""

import re
import signal
import subprocess
import sys

import pytest
from pages import ROOT, blocks

import gearcore
from gearcore import Server
from gearcore.compat import gearman
from gearcore.compat.gearman import errors

PAGE = "docs/migrating-from-python-gearman.md"
TEXT = (ROOT / PAGE).read_text()
BLOCKS = blocks(PAGE, "python")
PAIRS = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))


def test_workers_and_clients_take_turns():
    ends = (".work()", ".run()")
    assert all(worker.rstrip().endswith(ends) and ".submit" in client for worker, client in PAIRS)


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(("worker", "client"), PAIRS)
def test_a_client_prints_what_its_comments_say(worker, client, tmp_path):
    expected = re.findall(r"print\(.*\)  # (.*)$", client, re.MULTILINE)
    assert expected
    with Server(port=0) as server:
        worker, client = (block.replace("4730", str(server.port)) for block in (worker, client))
        command = [sys.executable, "-X", "dev", "-P", "-c"]
        with subprocess.Popen([*command, worker], stderr=subprocess.DEVNULL, cwd=tmp_path) as process:
            try:
                done = subprocess.run([*command, client], capture_output=True, text=True, cwd=tmp_path)
            finally:
                process.send_signal(signal.SIGKILL)
    assert done.stderr == ""
    assert done.stdout.splitlines() == expected


def rows():
    table = TEXT[TEXT.index("| python-gearman | gearcore |") :]
    for line in table.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield line.strip("| ").split(" | ")


def found(column, pattern):
    """What the cells of a column name, except arguments and attributes."""
    names = {name for row in rows() for name in re.findall(pattern, row[column])}
    assert len(names) > 30
    return names - {"f", "unique", "code", "text"}


def test_what_stands_on_the_left_is_there():
    request = gearman.GearmanJobRequest(gearman.GearmanJob(None, None, None, None, None))
    classes = (gearman.GearmanClient, gearman.GearmanWorker, gearman.GearmanAdminClient)
    for name in found(0, r"`(\w+)[(`]"):
        assert any(hasattr(place, name) for place in (gearman, errors, request, *classes)), name


def test_what_stands_on_the_right_is_there():
    classes = (gearcore.Client, gearcore.Worker, gearcore.Job, gearcore.WorkerJob, gearcore.AdminClient)
    for name in found(1, r"`(?:@?\w+\.)*(\w+)(?:\(|`)"):
        assert any(hasattr(place, name) for place in (gearcore, gearcore.Priority, *classes)), name
