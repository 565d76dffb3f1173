"""Programs that were written for python-gearman, as they stand, in processes of their own."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

WORKER = """
import gearman

class CustomGearmanWorker(gearman.GearmanWorker):
    def on_job_execute(self, current_job):
        return super(CustomGearmanWorker, self).on_job_execute(current_job)

def task_callback(gearman_worker, job):
    print(job.data)
    return job.data + " has received"

new_worker = CustomGearmanWorker(['127.0.0.1:4730'])
new_worker.register_task("ping", task_callback)
new_worker.work()
"""

CLIENT = """
import gearman

new_client = gearman.GearmanClient(['127.0.0.1:4730'])
print(new_client.submit_job('ping', 'foo').result)
"""


@contextmanager
def started(server, path, program):
    """A program as a process, with gearcore in the place of python-gearman."""
    path.write_text(program.replace("4730", str(server.address[1])))
    command = [sys.executable, "-X", "dev", "-u", "-m", "gearcore.compat", "gearman", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.usefixtures("no_hang")
def test_the_first_program_that_everybody_writes(server, tmp_path):
    with started(server, tmp_path / "worker.py", WORKER) as worker:
        with started(server, tmp_path / "client.py", CLIENT) as client:
            assert client.communicate() == ("foo has received\n", "")
            assert client.returncode == 0
        assert worker.stdout.readline() == "foo\n"
        assert worker.poll() is None
