"""Clients and workers that others wrote, against each other through a job server."""
