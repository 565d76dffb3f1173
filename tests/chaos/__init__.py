"""Servers and workers that are killed under load; see ``__main__``."""
