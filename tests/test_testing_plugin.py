"""The fixtures for pytest, in tests as users write them."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester):
    """Run a test file with warnings as errors; gives what came of it."""

    def run(text: str) -> pytest.RunResult:
        pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:cacheprovider")
        pytester.makepyfile(text)
        return pytester.runpytest_subprocess()

    return run


def test_the_plugin_is_there_and_loads_nothing_of_gearcore():
    code = (
        "import pytest, sys; pytest.main(['--version', '--version']);"
        "assert 'pytest_gearcore' in sys.modules; assert 'gearcore' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert ended.returncode == 0, ended.stderr


def test_server_client_and_workers(run):
    run(
        """
        import threading
        import gearcore

        def reverse(job):
            assert threading.current_thread() is not threading.main_thread()
            return job.workload[::-1]

        def test_functions(gearman_server, gearman_client, gearman_worker):
            worker = gearman_worker({"reverse": reverse}, threads=2)
            assert isinstance(worker, gearcore.Worker)
            assert gearman_client.submit("reverse", b"abc").result(timeout=10) == b"cba"
            with gearcore.Client(("127.0.0.1", gearman_server.port)) as client:
                assert client.echo(b"hello") == b"hello"

        # One that is there works for the server of the test, each time.
        app = gearcore.Worker("192.0.2.1")
        app.register("reverse", reverse)

        def test_worker(gearman_client, gearman_worker):
            assert gearman_worker(app) is app
            assert gearman_client.submit("reverse", b"abc").result(timeout=10) == b"cba"

        test_worker_again = test_worker

        def test_the_own_servers_are_back():
            assert repr(app) == "<Worker 192.0.2.1:4730>"

        def test_pair(gearman_pair):
            gearman_pair.worker.register("reverse", lambda job: job.workload[::-1])
            assert gearman_pair.client.submit("reverse", b"abc").result() == b"cba"
        """
    ).assert_outcomes(passed=5)


def test_asyncio_with_nothing_but_asyncio_run(run):
    run(
        """
        import asyncio
        from gearcore import aio

        def test_functions(gearman_aio_client, gearman_aio_worker):
            async def reverse(job):
                await job.send_data(b"part")
                return job.workload[::-1]

            async def scene():
                working = gearman_aio_worker({"reverse": reverse}, concurrency=2)
                async with working, gearman_aio_client as client:
                    job = await client.submit("reverse", b"abc")
                    assert await job == b"cba"
                    assert job.data == [b"part"]

            asyncio.run(scene())

        def test_worker(gearman_aio_client, gearman_aio_worker):
            app = aio.Worker("192.0.2.1")
            app.register("length", lambda job: b"%d" % len(job.workload))

            async def scene():
                async with gearman_aio_worker(app), gearman_aio_client as client:
                    assert await (await client.submit("length", b"abc")) == b"3"

            asyncio.run(scene())

        def test_the_server_of_a_test_serves_both(gearman_client, gearman_aio_client, gearman_worker):
            gearman_worker({"reverse": lambda job: job.workload[::-1]})

            async def scene():
                async with gearman_aio_client as client:
                    return await (await client.submit("reverse", b"abc"))

            assert asyncio.run(scene()) == gearman_client.submit("reverse", b"abc").result(timeout=10)
        """
    ).assert_outcomes(passed=3)


def test_options_by_a_marker_and_by_a_fixture(run):
    run(
        """
        import pytest
        import gearcore

        @pytest.mark.gearman_server(handle_prefix="H:marked")
        def test_marker(gearman_client):
            assert gearman_client.submit("any").handle.startswith("H:marked:")

        class TestFixture:
            @pytest.fixture
            def gearman_server_options(self):
                return {"limits": gearcore.Limits(packet=1000)}

            def test_fixture(self, gearman_server):
                assert gearman_server.limits.packet == 1000
        """
    ).assert_outcomes(passed=2)


def test_a_worker_that_fails_fails_the_test(run):
    result = run(
        """
        def test_no_function(gearman_worker):
            gearman_worker({})

        def test_killed(gearman_client, gearman_worker):
            def interrupt(job):
                raise KeyboardInterrupt
            gearman_worker({"interrupt": interrupt, "fine": lambda job: None})
            gearman_client.submit("interrupt").wait(0.5)

        def test_options(gearman_worker):
            import gearcore
            gearman_worker(gearcore.Worker(), threads=2)

        def test_kind(gearman_worker):
            import gearcore.aio
            gearman_worker(gearcore.aio.Worker())

        def test_fine(gearman_worker):
            gearman_worker({"fine": lambda job: None})
        """
    )
    result.assert_outcomes(passed=3, failed=2, errors=2)
    output = result.stdout.str()
    assert "RuntimeError: the worker has no function to run" in output
    assert "RuntimeError: a worker was ended by KeyboardInterrupt()" in output
    assert "a worker was ended by RuntimeError" not in output
    assert "TypeError: threads: a worker that is there has its options already" in output
    assert "TypeError: a gearcore.worker.worker.Worker or functions by name" in output


def test_an_asyncio_worker_that_fails_fails_the_test(run):
    result = run(
        """
        import asyncio

        def test_no_function(gearman_aio_worker):
            async def scene():
                async with gearman_aio_worker({}):
                    pass
            asyncio.run(scene())
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RuntimeError: the worker has no function to run*"])
