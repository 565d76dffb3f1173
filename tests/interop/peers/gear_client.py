"""gear_client.py PORT: a client on gear, driven by lines on its standard input. See harness.py."""

import queue
import sys
from pathlib import Path

import gear

PRECEDENCE = {
    "normal": gear.PRECEDENCE_NORMAL,
    "high": gear.PRECEDENCE_HIGH,
    "low": gear.PRECEDENCE_LOW,
}


def emit(name, body=b""):
    sys.stdout.buffer.write(b"%s %d\n%s\n" % (name.encode(), len(body), body))
    sys.stdout.buffer.flush()


class Client(gear.Client):
    """Puts what arrives for its jobs in a queue: the library calls this from a thread of its own."""

    def __init__(self):
        super().__init__("gear-client")
        self.events = queue.Queue()

    def handleJobCreated(self, packet):  # noqa: N802 (the library's name)
        job = super().handleJobCreated(packet)
        self.events.put(("created", job.handle))
        return job

    def handleWorkData(self, packet):  # noqa: N802
        self.events.put(("data", packet.getArgument(1, True)))
        return super().handleWorkData(packet)

    def handleWorkWarning(self, packet):  # noqa: N802
        self.events.put(("warning", packet.getArgument(1, True)))
        return super().handleWorkWarning(packet)

    def handleWorkStatus(self, packet):  # noqa: N802
        self.events.put(("status", packet.getArgument(1) + b"/" + packet.getArgument(2)))
        return super().handleWorkStatus(packet)

    def handleWorkComplete(self, packet):  # noqa: N802
        self.events.put(("complete", packet.getArgument(1, True)))
        return super().handleWorkComplete(packet)

    def handleWorkException(self, packet):  # noqa: N802
        self.events.put(("exception", packet.getArgument(1, True)))
        return super().handleWorkException(packet)

    def handleWorkFail(self, packet):  # noqa: N802
        self.events.put(("fail", b""))
        return super().handleWorkFail(packet)


def submit(priority, function, unique, path, *, background):
    workload = Path(path).read_bytes()
    job = gear.Job(function.encode(), workload, unique.encode() or None)
    client.submitJob(job, background=background, precedence=PRECEDENCE[priority])


def run(priority, function, unique, path):
    submit(priority, function, unique, path, background=False)
    name = ""
    while name not in ("complete", "exception", "fail"):
        name, body = client.events.get()
        emit(name, body)


def background(priority, function, unique, path):
    submit(priority, function, unique, path, background=True)
    emit(*client.events.get())


def ping(path):
    emit("pong", client.active_connections[0].echo(Path(path).read_bytes()))


def admin(request_class, *arguments):
    request = request_class(*arguments)
    client.active_connections[0].sendAdminRequest(request)
    emit("answer", request.response)


COMMANDS = {
    "run": run,
    "background": background,
    "ping": ping,
    "admin_status": lambda: admin(gear.StatusAdminRequest),
    "admin_workers": lambda: admin(gear.WorkersAdminRequest),
    "admin_version": lambda: admin(gear.VersionAdminRequest),
    "admin_jobs": lambda: admin(gear.ShowJobsAdminRequest),
    "admin_unique_jobs": lambda: admin(gear.ShowUniqueJobsAdminRequest),
    "admin_cancel": lambda handle: admin(gear.CancelJobAdminRequest, handle.encode()),
}

client = Client()
client.addServer("127.0.0.1", int(sys.argv[1]))
client.waitForServer()
client.setOption("exceptions")
for line in sys.stdin:
    command, *words = line.rstrip("\n").split("\t")
    try:
        COMMANDS[command](*words)
    except Exception as error:
        emit("error", repr(error).encode())
    emit("end")
