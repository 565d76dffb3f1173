"""A worker with two functions, which runs up to four jobs at a time."""

import os

from gearcore import Retry, Worker

worker = Worker(os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"), encoding="json", threads=4)


@worker.function
def count_words(job):
    lines = job.data["text"].splitlines()
    words = 0
    for number, line in enumerate(lines, start=1):
        words += len(line.split())
        job.send_status(number, len(lines))
    return {"lines": len(lines), "words": words}


@worker.function(retry=Retry(limit=3, delay=10))
def log_count(job):
    print(f"{job.data['name']} was counted", flush=True)


if __name__ == "__main__":
    worker.run(install_signals=True)  # SIGTERM and SIGINT end it when the jobs in hand have ended
