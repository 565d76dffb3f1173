"""The programs under examples/, run as their README says, against a server of the test's own."""

import contextlib
import importlib.util
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_server import free_port

from gearcore.testing import Pair

EXAMPLES = Path(__file__).parent.parent / "examples"
PATIENCE = 60.0
"""Seconds for what takes few of them on a machine that does nothing else."""


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture
def environment(gearman_server):
    return {**os.environ, "GEARMAN_SERVER": f"127.0.0.1:{gearman_server.port}", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def run(environment):
    """Run a program to its end; gives what it printed."""

    def run(script: str, *arguments: str) -> str:
        command = [sys.executable, str(EXAMPLES / script), *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture
def running(environment, tmp_path):
    """Have a program run until the end of a ``with`` statement; gives the file that it prints to."""

    @contextlib.contextmanager
    def running(*arguments: str) -> Iterator[Path]:
        output = tmp_path / f"output of {Path(arguments[0]).name}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=environment, cwd=EXAMPLES, stdout=file, stderr=file
            )
            try:
                yield output
                assert process.poll() is None, output.read_text()
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) in (0, -signal.SIGTERM), output.read_text()
            finally:
                process.kill()
                process.wait()

    return running


def wait_for(condition, what: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.02)


def fetch(url: str, data: dict[str, str] | None = None) -> tuple[int, object]:
    """The status and the JSON that a web server answers with, once it is there."""
    give_up = time.monotonic() + PATIENCE
    body = None if data is None else urllib.parse.urlencode(data).encode()
    while True:
        try:
            with urllib.request.urlopen(url, body, PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.status, json.load(error)
        except urllib.error.URLError:
            assert time.monotonic() < give_up, f"nobody listens at {url}"
            time.sleep(0.02)


def test_plain(run, running):
    with running("plain/worker.py") as output:
        printed = run("plain/client.py", str(EXAMPLES / "README.md"))
        wait_for(lambda: "README.md was counted" in output.read_text(), "the job in the background")
    words = len((EXAMPLES / "README.md").read_text().split())
    assert f"README.md has {words} words\n" in printed
    assert "its longest line has " in printed


def test_periodic(running):
    with running("plain/periodic.py") as output:
        wait_for(lambda: "still alive" in output.read_text(), "a periodic job")


def test_an_hour_of_periodic_jobs(capsys):
    worker = runpy.run_path(str(EXAMPLES / "plain" / "periodic.py"))["worker"]
    with Pair(worker) as pair:
        pair.pass_time(3600)
        pair.client.submit("tidy_up", background=True)
    printed = capsys.readouterr().out
    assert printed.count("still alive") == 3600
    assert "a new working day" in printed


def test_map_and_reduce(run, running, tmp_path):
    text = tmp_path / "text"
    text.write_text("Aa b\nab a\n")
    with running("plain/map_reduce_worker.py"):
        assert run("plain/map_reduce_client.py", str(text)) == "a 4\nb 2\n"


def test_asyncio(run, running):
    with running("with_asyncio/worker.py"):
        printed = run("with_asyncio/client.py", "some", "words")
    assert printed.splitlines() == ["part: SOME", "part: WORDS", "result: SOME WORDS!", "SOME!", "WORDS!"]


@needs("fastapi", "uvicorn")
def test_fastapi(running):
    port = free_port()
    url = f"http://127.0.0.1:{port}/primes?below="
    with (
        running("with_fastapi/worker.py"),
        running("-m", "uvicorn", "--app-dir", "with_fastapi", "--port", str(port), "app:app"),
    ):
        assert fetch(url + "20") == (200, [2, 3, 5, 7, 11, 13, 17, 19])
        status, answer = fetch(url + "1000001")
        assert status == 422
        assert "that would take too long" in answer["detail"]


@needs("django")
def test_django(running):
    port = free_port()
    with (
        running("with_django/manage.py", "gearman_worker") as output,
        running("./with_django/manage.py", "runserver", "--noreload", str(port)),
    ):
        status, answer = fetch(f"http://127.0.0.1:{port}/orders/", {"email": "me@example.org", "total": "42"})
        assert status == 202
        assert answer["receipt"].startswith("H:")
        wait_for(lambda: "You owe us 42." in output.read_text(), "the receipt")


@needs("django")
def test_the_tests_of_the_django_project(run):
    run("with_django/manage.py", "test", "shop")
