"""gear_worker.py PORT PREFIX: a worker on gear. See catalogue.py for what each function does."""

import sys

import gear

port, prefix = sys.argv[1:]


def data(job):
    half = len(job.arguments) // 2
    job.sendWorkData(job.arguments[:half])
    job.sendWorkData(job.arguments[half:])
    job.sendWorkComplete()


def warning(job):
    job.sendWorkWarning(job.arguments)
    job.sendWorkComplete(b"done")


def status(job):
    job.sendWorkStatus(3, 4)
    job.sendWorkComplete(job.arguments)


def gate(job):
    job.sendWorkStatus(1, 2)
    with open(job.arguments, "rb") as file:
        job.sendWorkComplete(file.read())


FUNCTIONS = {
    "echo": lambda job: job.sendWorkComplete(job.arguments),
    "reverse": lambda job: job.sendWorkComplete(job.arguments[::-1]),
    "fail": lambda job: job.sendWorkFail(),
    "exception": lambda job: job.sendWorkException(b"no: " + job.arguments),
    "data": data,
    "warning": warning,
    "status": status,
    "unique": lambda job: job.sendWorkComplete(job.unique),
    "gate": gate,
}

worker = gear.Worker(f"{prefix}-worker")
worker.addServer("127.0.0.1", int(port))
worker.waitForServer()
for name in FUNCTIONS:
    worker.registerFunction(f"{prefix}.{name}")
while True:
    job = worker.getJob()
    FUNCTIONS[job.name.removeprefix(f"{prefix}.")](job)
