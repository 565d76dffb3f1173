"""The pages on migrating: each worker in a process of its own, with the client that follows it."""

import re
import signal
import subprocess
import sys

import pytest
from pages import ROOT, blocks

import gearcore
from gearcore import Server
from gearcore.compat import gear

PAGES = ["docs/migrating-from-gear.md", "docs/migrating-from-aiogear.md"]


SERVERS = [block for block in blocks(PAGES[0], "python") if "gear.Server" in block]


def pairs():
    for page in PAGES:
        found = [block for block in blocks(page, "python") if block not in SERVERS]
        for number, (worker, client) in enumerate(zip(found[::2], found[1::2], strict=True), 1):
            yield pytest.param(worker, client, id=f"{page}-{number}")


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(("worker", "client"), [*pairs()])
def test_a_client_prints_what_its_comments_say(worker, client, capsys):
    with Server(port=0) as server:
        worker, client = (block.replace("4730", str(server.port)) for block in (worker, client))
        with subprocess.Popen([sys.executable, "-P", "-c", worker], stderr=subprocess.DEVNULL) as process:
            try:
                exec(compile(client, "client", "exec"), {"__name__": "client"})
            finally:
                process.send_signal(signal.SIGINT)
    printed = capsys.readouterr().out.splitlines()
    expected = re.findall(r"print\(.*\)  # (.*)$", client, re.MULTILINE)
    assert expected
    for line in expected:
        assert line in printed


@pytest.mark.usefixtures("no_hang")
def test_the_server_withholds_what_it_is_told_to():
    [block] = SERVERS
    names = {}
    exec(compile(block.replace("4731", "0"), "server", "exec"), names)
    server, client = names["server"], gear.Client()
    try:
        client.addServer("127.0.0.1", server.port)
        client.waitForServer()
        client.submitJob(gear.Job("now", b""), background=True)
        with pytest.raises(gear.GearmanError, match="PAUSED: not now"):
            client.submitJob(gear.Job("later", b""), background=True)
    finally:
        client.shutdown()
        server.shutdown()


GEAR = [gear, gear.Client, gear.Worker, gear.TextWorker, gear.Connection, gear.Server]
GEAR_JOBS = [gear.Job("f", b""), gear.WorkerJob(b"H:1", b"f", b"")]


def test_the_names_in_the_table_of_gear_are_there():
    table = (ROOT / PAGES[0]).read_text().rpartition("| gear | gearcore |")[2]
    rows = re.findall(r"^\| (.*) \| (.*) \|$", table, re.MULTILINE)
    known = [*GEAR, *GEAR_JOBS]
    for theirs, ours in rows[1:]:
        for name in re.findall(r"`(?:job\.|Connection\.)?(\w+)(?=[`(,])", theirs):
            assert any(hasattr(one, name) for one in known) or "=" in theirs, name
        for name in re.findall(r"`([A-Z]\w+)", ours):
            assert hasattr(gearcore, name), name
        for owner, name in re.findall(r"`(?:with )?(client|worker|job)\.(\w+)", ours):
            kinds = {
                "client": [gearcore.Client],
                "worker": [gearcore.Worker],
                "job": [gearcore.Job, gearcore.WorkerJob],
            }
            assert any(hasattr(kind, name) for kind in kinds[owner]), name
    assert len(rows) > 20
