"""The examples of docs/client.md, run as they stand, but on ports of the test's own."""

import re

import pytest
from pages import programs

from gearcore import Server, Worker

PAGE = "docs/client.md"
BLOCKS = programs(PAGE)


def make_worker(port: int) -> Worker:
    worker = Worker(f"127.0.0.1:{port}")
    worker.register("reverse", lambda job: job.workload[::-1])
    worker.register("count", lambda job: b"%d" % len(job.workload.split()))
    worker.register("fail", lambda job: job.fail())

    @worker.function
    def chatter(job):
        for part in job.workload.split():
            job.send_data(part)
        job.send_warning(b"careful")
        job.send_status(1, 2)
        return b"end"

    return worker


@pytest.fixture
def ports(running):
    """The ports of two servers, with a worker each."""
    with (
        Server(port=0) as first,
        Server(port=0) as second,
        running(make_worker(first.port)),
        running(make_worker(second.port)),
    ):
        yield {"4730": first.port, "4731": second.port}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_prints_what_its_comments_say(block, ports, capsys):
    block = re.sub(r"\b473[01]\b", lambda found: str(ports[found[0]]), block)
    exec(compile(block, PAGE, "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    expected = re.findall(r"print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert expected
    for line in expected:
        assert line in printed
