"""Every option of the commands gearman and gearadmin."""

import os
import subprocess

import pytest

from interop.catalogue import TOOLS
from interop.harness import PATIENCE, Process, admin, counts_of, eventually

client_test = pytest.mark.peer(TOOLS, "client")
worker_test = pytest.mark.peer(TOOLS, "worker")
admin_test = pytest.mark.peer(TOOLS, "admin")


@pytest.fixture
def gearman(port):
    """Runs gearman as a client: its output, errors and exit code."""

    def gearman(*words: str, input: bytes | None = None) -> tuple[bytes, bytes, int]:
        command = ["gearman", "-h", "127.0.0.1", "-p", str(port), *words]
        source = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(command, **source, capture_output=True, timeout=PATIENCE)
        return done.stdout, done.stderr, done.returncode

    return gearman


@pytest.fixture
def gearadmin(port):
    """Runs gearadmin: its output and errors."""

    def gearadmin(*words: str) -> tuple[str, str]:
        command = ["gearadmin", "-h", "127.0.0.1", "-p", str(port), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0
        return done.stdout, done.stderr

    return gearadmin


@pytest.fixture
def work(port, start):
    """Starts gearman as a worker; returns when the server knows it."""

    def work(function: str, *words: str) -> Process:
        before = (counts_of(port, function) or (0, 0, 0))[2]
        command = ["gearman", "-w", "-h", "127.0.0.1", "-p", str(port), "-f", function, *words]
        process = start(Process(command))
        eventually(lambda: (counts_of(port, function) or (0, 0, 0))[2], before + 1)
        return process

    return work


# gearman as a client


@client_test
@worker_test
def test_workload_from_standard_input(gearman, work):
    work("f", "--", "cat")
    assert gearman("-f", "f", input=b"a\0b\n") == (b"a\0b\n", b"", 0)


@client_test
@worker_test
def test_each_argument_is_a_workload(gearman, work):
    work("f", "--", "cat")
    assert gearman("-f", "f", "one", "two", "three") == (b"onetwothree", b"", 0)


@client_test
@worker_test
def test_n_submits_each_line(gearman, work):
    work("f", "--", "wc", "-c")
    assert gearman("-n", "-f", "f", input=b"a\nbc\n")[0].split() == [b"2", b"3"]


@client_test
@worker_test
def test_N_submits_each_line_without_its_newline(gearman, work):  # noqa: N802
    work("f", "--", "cat")
    assert gearman("-N", "-f", "f", input=b"a\nbc\n")[0] == b"abc"


@client_test
@worker_test
def test_P_puts_the_function_before_each_line(gearman, work):  # noqa: N802
    work("f", "--", "cat")
    assert gearman("-P", "-f", "f", input=b"hello")[0] == b"f: hello"


@client_test
@worker_test
def test_s_submits_without_reading(gearman, work):
    work("f", "--", "wc", "-c")
    assert gearman("-s", "-f", "f", input=b"ignored")[0].strip() == b"0"


@client_test
@worker_test
def test_several_functions(gearman, work):
    work("f", "--", "cat")
    work("g", "--", "tr", "a-z", "A-Z")
    output, _, code = gearman("-P", "-f", "f", "-f", "g", input=b"x")
    assert output in (b"f: xg: X", b"g: Xf: x")
    assert code == 0


@client_test
def test_b_submits_in_the_background(gearman, port):
    output, _, code = gearman("-b", "-v", "-f", "f", input=b"w")
    assert output.startswith(b"Task created: H:")
    assert code == 0
    assert counts_of(port, "f") == (1, 0, 0)


@client_test
def test_priorities(gearman, port):
    gearman("-b", "-I", "-f", "f", "1", "2", "3")
    gearman("-b", "-f", "f", "1", "2")
    gearman("-b", "-L", "-f", "f", "1")
    assert admin(port, "prioritystatus") == "f\t3\t2\t1\t0\n"


@client_test
def test_u_gives_the_unique_id(gearman, port):
    gearman("-b", "-u", "mine", "-f", "f", input=b"w")
    gearman("-b", "-u", "mine", "-f", "f", input=b"other")
    assert admin(port, "show unique jobs") == "mine\n"


@client_test
def test_t_does_not_wait_for_ever(gearman):
    output, errors, _ = gearman("-t", "100", "-f", "nobody", input=b"w")
    assert (output, b"TIMEOUT" in errors.upper()) == (b"", True)


@client_test
def test_i_writes_a_pid_file_while_it_runs(port, start, tmp_path):
    path = tmp_path / "pid"
    command = ["gearman", "-h", "127.0.0.1", "-p", str(port), "-i", str(path), "-s", "-f", "nobody"]
    process = start(Process(command))
    eventually(lambda: counts_of(port, "nobody"), (1, 0, 0))
    assert int(path.read_text()) == process.pid


@client_test
def test_abandoned_job_is_not_left_in_the_queue(port, start):
    process = start(Process(["gearman", "-h", "127.0.0.1", "-p", str(port), "-s", "-f", "nobody"]))
    eventually(lambda: counts_of(port, "nobody"), (1, 0, 0))
    process.kill()
    eventually(lambda: counts_of(port, "nobody"), (0, 0, 0))


# gearman as a worker


@worker_test
@client_test
def test_failing_command_fails_the_job(gearman, work):
    work("f", "--", "false")
    assert gearman("-f", "f", input=b"w") == (b"", b"Job failed\n", 1)


@worker_test
@client_test
def test_c_ends_after_so_many_jobs(gearman, work, port):
    process = work("f", "-c", "2", "--", "cat")
    assert gearman("-f", "f", "one", "two")[0] == b"onetwo"
    assert process.wait() == 0
    eventually(lambda: counts_of(port, "f"), (0, 0, 0))


@worker_test
@client_test
def test_worker_sends_each_line_as_data(gearman, work):
    # The tool sends all it has read so far with each line.
    work("f", "-n", "--", "cat")
    assert gearman("-f", "f", input=b"a\nb\n")[0] == b"a\na\nb\n"


@worker_test
@client_test
def test_worker_for_several_functions(gearman, work, port):
    work("f", "-f", "g", "--", "cat")
    assert gearman("-f", "f", input=b"x")[0] == b"x"
    assert gearman("-f", "g", input=b"y")[0] == b"y"


@worker_test
def test_worker_that_is_killed_gives_its_job_back(gearman, work, port, gate):
    first = work("f", "--", "cat", str(gate.path))
    gearman("-b", "-s", "-f", "f")
    gate.wait()
    assert counts_of(port, "f") == (1, 1, 1)
    first.kill()
    eventually(lambda: counts_of(port, "f"), (1, 0, 0))
    work("f", "--", "true")
    eventually(lambda: counts_of(port, "f"), (0, 0, 1))


# gearadmin


@admin_test
def test_status(gearadmin, gearman, work):
    work("f", "--", "cat")
    gearman("-b", "-f", "g", "one", "two")
    lines, errors = gearadmin("--status")
    assert (sorted(lines.splitlines()), errors) == ([".", "f\t0\t0\t1", "g\t2\t0\t0"], "")


@admin_test
def test_priority_status(gearadmin, gearman):
    gearman("-b", "-L", "-f", "g", "one", "two")
    assert gearadmin("--priority-status") == ("g\t0\t0\t2\t0\n.\n", "")


@admin_test
def test_workers(gearadmin, work):
    work("f", "--", "cat")
    lines = gearadmin("--workers")[0].splitlines()
    (worker,) = [line for line in lines if line.endswith(" : f")]
    assert worker.split()[1] == "127.0.0.1"
    assert lines[-1] == "."


@admin_test
def test_server_version(gearadmin):
    version, errors = gearadmin("--server-version")
    assert version.strip()
    assert errors == ""


@admin_test
def test_server_verbose(gearadmin):
    assert gearadmin("--server-verbose")[0].strip() in ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR")


@admin_test
@pytest.mark.skipif("GEARCORE_INTEROP_SERVER" in os.environ, reason="the server is another process")
def test_getpid(gearadmin):
    assert gearadmin("--getpid") == (f"{os.getpid()}\n", "")


@admin_test
def test_create_and_drop_function(gearadmin, gearman, work):
    assert gearadmin("--create-function", "new") == ("OK\n", "")
    assert gearadmin("--status") == ("new\t0\t0\t0\n.\n", "")
    assert gearadmin("--drop-function", "new") == ("OK\n", "")
    assert gearadmin("--status") == (".\n", "")
    assert gearadmin("--drop-function", "new") == ("", "Error: function not found\n")
    work("f", "--", "cat")
    _, errors = gearadmin("--drop-function", "f")
    assert errors == "Error: there are still connected workers or executing clients\n"


@admin_test
@client_test
def test_show_and_cancel_jobs(gearadmin, gearman, port):
    handle = gearman("-b", "-v", "-u", "mine", "-f", "f", input=b"w")[0].split()[-1].decode()
    assert gearadmin("--show-unique-jobs") == ("mine\n.\n", "")
    shown, _ = gearadmin("--show-jobs")
    # The last column, whether the queue keeps the job, is a matter of the conformance tests.
    assert [line.rpartition("\t")[0] for line in shown.splitlines()] == [f"{handle}\t0\t0", ""]
    assert gearadmin("--cancel-job", handle) == ("OK\n", "")
    assert gearadmin("--cancel-job", "H:nobody:1") == ("", "Error: UNKNOWN_JOB\n")


@admin_test
@client_test
def test_cancelled_job_fails_at_the_client(gearadmin, port, start):
    command = ["gearman", "-h", "127.0.0.1", "-p", str(port), "-s", "-f", "nobody"]
    process = start(Process(command))
    eventually(lambda: counts_of(port, "nobody"), (1, 0, 0))
    handle = admin(port, "show jobs").split("\t")[0]
    gearadmin("--cancel-job", handle)
    assert process.wait() == 1
    assert process.errors == "Job failed\n"


@admin_test
def test_several_commands_at_once(gearadmin):
    output, errors = gearadmin("--getpid", "--server-version", "--status")
    assert (len(output.splitlines()), errors) == (3, "")
