"""Jobs that run from time to time. Start this as often as you like: each time, one job is submitted."""

import os
from datetime import datetime

from gearcore import Worker

worker = Worker(os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"))


@worker.every(1)
def heartbeat(job):
    print(f"{datetime.now():%H:%M:%S} still alive", flush=True)


@worker.cron("30 4 * * mon-fri")
def tidy_up(job):
    print("a new working day", flush=True)


if __name__ == "__main__":
    worker.run(install_signals=True)
