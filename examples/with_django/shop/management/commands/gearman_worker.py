"""``manage.py gearman_worker``: run the shop's tasks until SIGTERM or SIGINT."""

from django.core.management.base import BaseCommand

from shop.tasks import worker


class Command(BaseCommand):
    """The worker, as a command of Django's."""

    help = "Run the shop's tasks."

    def add_arguments(self, parser):
        parser.add_argument("--processes", type=int, help="how many jobs to run at a time, each in a process")

    def handle(self, *, processes, **options):
        worker.set_concurrency(processes=processes)
        worker.run(install_signals=True)
