"""What the shop leaves to a worker. A task is a function of ``worker``, and is submitted by ``client``."""

from django.conf import settings
from django.core.mail import send_mail
from django.db import close_old_connections

from gearcore import Client, Retry, Worker

client = Client(settings.GEARMAN_SERVERS, namespace="shop.", encoding="json")
worker = Worker(settings.GEARMAN_SERVERS, namespace="shop.", encoding="json")


@worker.before_job
@worker.after_job
def tidy_database_connections(job):
    close_old_connections()  # as Django does before and after each request


@worker.function(retry=Retry(limit=5, delay=60))
def send_receipt(job):
    order = job.data
    send_mail("Your order", f"You owe us {order['total']}.", "shop@example.org", [order["email"]])
