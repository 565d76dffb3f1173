"""A worker and a client of a library, at work through a job server.

``end_to_end.py IMPORT_NAME PORT JOBS SIZE [ROUNDS]`` passes as many jobs with workloads of about that many
bytes, without the codec and with it by turns, and prints JSON: whether all results were right, the seconds of
each round plain and accelerated, those of the processor, and how many packets went through the codec.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable

import gearcore

FUNCTION = "differential_echo"
PATIENCE = 60


def through_gearman(name: str, port: int, workloads: list[str]) -> tuple[list[str], float]:
    gearman = importlib.import_module(name)
    ends = threading.Event()
    is_text = name != "gearman"

    class Worker(gearman.GearmanWorker):
        def after_poll(self, any_activity):
            return not ends.is_set()

    worker = Worker([f"127.0.0.1:{port}"])
    worker.register_task(FUNCTION if is_text else FUNCTION.encode(), lambda _, job: job.data)
    thread = threading.Thread(target=worker.work, kwargs={"poll_timeout": 0.1})
    thread.start()
    client = gearman.GearmanClient([f"127.0.0.1:{port}"])
    start = time.perf_counter()
    requests = client.submit_multiple_jobs(
        [{"task": FUNCTION, "data": workload} for workload in workloads],
        background=False,
        poll_timeout=PATIENCE,
    )
    took = time.perf_counter() - start
    ends.set()
    thread.join()
    client.shutdown()
    worker.shutdown()
    return [r.result if is_text else r.result.decode() for r in requests], took


def through_gear(name: str, port: int, workloads: list[str]) -> tuple[list[str], float]:
    gear = importlib.import_module(name)
    done = threading.Semaphore(0)

    class Client(gear.Client):
        def handleWorkComplete(self, packet):  # noqa: N802
            job = super().handleWorkComplete(packet)
            done.release()
            return job

    worker = gear.Worker("worker")
    worker.addServer("127.0.0.1", port)
    worker.waitForServer()
    worker.registerFunction(FUNCTION)

    def work() -> None:
        for _ in workloads:
            job = worker.getJob()
            job.sendWorkComplete(job.arguments)

    client = Client("client")
    client.addServer("127.0.0.1", port)
    client.waitForServer()
    # gear leaves it out, and then manages 23 jobs a second with any codec.
    for connection in worker.active_connections + client.active_connections:
        connection.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    jobs = [gear.Job(FUNCTION, workload.encode()) for workload in workloads]
    start = time.perf_counter()
    for job in jobs:
        client.submitJob(job)
    thread = threading.Thread(target=work)
    thread.start()
    for _ in jobs:
        assert done.acquire(timeout=PATIENCE)
    took = time.perf_counter() - start
    thread.join()
    client.shutdown()
    worker.shutdown()
    return [b"".join(job.data).decode() for job in jobs], took


def through_aiogear(name: str, port: int, workloads: list[str]) -> tuple[list[str], float]:
    aiogear = importlib.import_module(name)

    async def run() -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()

        def echo(job):
            return job.workload

        worker_transport, _ = await loop.create_connection(
            lambda: aiogear.Worker((echo, FUNCTION), loop=loop), "127.0.0.1", port
        )
        client_transport, client = await loop.create_connection(
            lambda: aiogear.Client(loop=loop), "127.0.0.1", port
        )
        results = []
        start = time.perf_counter()
        for number, workload in enumerate(workloads):
            created = await client.submit_job(FUNCTION, workload, uuid=f"unique-{number}")
            results.append((await client.wait_job(created.handle)).result)
        took = time.perf_counter() - start
        client_transport.close()
        worker_transport.close()
        await asyncio.sleep(0)
        return results, took

    return asyncio.run(asyncio.wait_for(run(), PATIENCE))


THROUGH: dict[str, Callable[[str, int, list[str]], tuple[list[str], float]]] = {
    "gear": through_gear,
    "aiogear": through_aiogear,
}


def main() -> None:
    name, port, jobs, size, *rounds = sys.argv[1:]
    workloads = [f"{number} " + "x" * int(size) for number in range(int(jobs))]
    through = THROUGH.get(name, through_gearman)
    ways: dict[str, dict[str, list[float]]] = {
        measure: {"plain": [], "accelerated": []} for measure in ("seconds", "of_cpu")
    }
    counts = {"parsed": 0, "packed": 0}
    right = True

    def play(way: str) -> None:
        nonlocal right
        start = time.process_time()
        results, seconds = through(name, int(port), workloads)
        ways["of_cpu"][way].append(time.process_time() - start)
        ways["seconds"][way].append(seconds)
        right &= results == workloads

    for _ in range(int(rounds[0]) if rounds else 1):
        play("plain")
        with gearcore.accelerate(name) as handle:
            play("accelerated")
            counts["parsed"] += handle.parsed
            counts["packed"] += handle.packed
    print(json.dumps({"right": right, **ways, **counts}))


if __name__ == "__main__":
    main()
