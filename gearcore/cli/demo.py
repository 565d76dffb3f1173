"""``gearcore demo``: a job on its whole way, from a client through the server to a worker and back."""

from __future__ import annotations

import signal
import sys
import threading

import click

from gearcore.address import Address
from gearcore.cli._common import DEFAULT_HOST, port_option
from gearcore.client import Client
from gearcore.server import Server
from gearcore.worker import Worker, WorkerJob

__all__ = ["demo"]

TRY_THIS = """\
Serving on {server} until it is interrupted. In another terminal:
    {program} submit --server {server} ping bar
    gearman -h {server.host} -p {server.port} -f ping bar        (Debian's gearman-tools)
    gearadmin -h {server.host} -p {server.port} --status"""


@click.command()
@click.option(
    "--host", metavar="ADDRESS", default=DEFAULT_HOST, show_default=True, help="Address or name to listen on."
)
@port_option
def demo(host: str, port: int) -> None:
    """Run a job server with a demonstration worker, and send it a job."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())

    with Server(host, port) as server:
        address = Address(*server.addresses[0])
        worker = Worker(address)

        @worker.function("ping")
        def ping(job: WorkerJob) -> bytes:
            return job.workload + b" has received"

        working = threading.Thread(target=worker.run, name="demonstration worker")
        working.start()
        try:
            with Client(address) as client:
                click.echo(client.submit("ping", b"foo").result(timeout=10))
            click.echo(TRY_THIS.format(program=sys.argv[0], server=address))
            while not stopped.wait(1):  # on Windows, signals are handled between two waits only
                pass
        finally:
            worker.stop()
            working.join()
