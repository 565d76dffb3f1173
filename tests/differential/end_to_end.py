"""A worker and a client of a library, at work through a job server.

``end_to_end.py IMPORT_NAME PORT JOBS [plain]`` prints JSON: the results, the seconds that the jobs took and,
unless plain, how many packets went through the codec.
"""

from __future__ import annotations

import asyncio
import importlib
import json
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
    jobs = [gear.Job(FUNCTION, workload.encode()) for workload in workloads]
    start = time.perf_counter()
    # All are submitted before the worker starts, since gear's sockets delay what is small.
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
    name, port, jobs, *plain = sys.argv[1:]
    handle = None if plain else gearcore.accelerate(name)
    workloads = [f"{number} " + "x" * (number % 60) for number in range(int(jobs))]
    results, took = THROUGH.get(name, through_gearman)(name, int(port), workloads)
    counts = {"parsed": handle.parsed, "packed": handle.packed} if handle else {}
    print(json.dumps({"right": results == workloads, "seconds": took, **counts}))


if __name__ == "__main__":
    main()
