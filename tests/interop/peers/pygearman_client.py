"""pygearman_client.py PORT: a client on pygearman, driven by lines on its standard input. See harness.py."""

import sys
from pathlib import Path

import gearman

PRIORITY = {"normal": gearman.PRIORITY_NONE, "high": gearman.PRIORITY_HIGH, "low": gearman.PRIORITY_LOW}
PATIENCE = 60.0

address = f"127.0.0.1:{sys.argv[1]}"
client = gearman.GearmanClient([address])
requests = {}


def emit(name, body=b""):
    sys.stdout.buffer.write(b"%s %d\n%s\n" % (name.encode(), len(body), body))
    sys.stdout.buffer.flush()


def submit(priority, function, unique, path, *, background):
    # With no time-out this version of the library returns before the job has run.
    request = client.submit_job(
        function.encode(),
        Path(path).read_bytes(),
        unique=unique.encode(),
        priority=PRIORITY[priority],
        background=background,
        poll_timeout=PATIENCE,
    )
    requests[request.job.handle] = request
    emit("created", request.job.handle)
    return request


def run(priority, function, unique, path):
    request = submit(priority, function, unique, path, background=False)
    for body in request.data_updates:
        emit("data", body)
    for body in request.warning_updates:
        emit("warning", body)
    if request.status:
        emit("status", b"%d/%d" % (request.status["numerator"], request.status["denominator"]))
    if request.state == gearman.JOB_COMPLETE:
        emit("complete", request.result)
    elif request.state == gearman.JOB_FAILED:
        emit("fail")
    else:
        emit("error", repr(request).encode())


def background(priority, function, unique, path):
    submit(priority, function, unique, path, background=True)


def status(handle):
    answer = client.get_job_status(requests[handle.encode()], poll_timeout=PATIENCE).status
    fields = [answer[name] for name in ("known", "running", "numerator", "denominator")]
    emit("status", " ".join(str(int(field)) for field in fields).encode())


def admin(name):
    def ask(*arguments):
        method = getattr(gearman.GearmanAdminClient([address]), name)
        emit("answer", repr(method(*arguments)).encode())

    return ask


COMMANDS = {
    "run": run,
    "background": background,
    "status": status,
    "admin_status": admin("get_status"),
    "admin_workers": admin("get_workers"),
    "admin_version": admin("get_version"),
    "admin_jobs": admin("get_jobs"),
    "admin_unique_jobs": admin("get_unique_jobs"),
    "admin_cancel": admin("cancel_job"),
    "admin_pid": admin("get_pid"),
    "admin_ping": admin("ping_server"),
}

for line in sys.stdin:
    command, *words = line.rstrip("\n").split("\t")
    try:
        COMMANDS[command](*words)
    except Exception as error:
        emit("error", repr(error).encode())
    emit("end")
