"""Render the tables of gearcored's options in two pages here: ``python docs/generate_options.py``."""

from __future__ import annotations

from pathlib import Path

from gearcore.cli.option import Option
from gearcore.cli.options import GROUPS, OPTIONS

FOLDER = Path(__file__).parent
START = "<!-- options: made of gearcore/cli/options.py by python docs/generate_options.py -->\n"
END = "<!-- options: end -->\n"

BESIDE_GEARMAND = {
    "backlog": "better: 1024 by default instead of 32, so that a burst of clients is not turned away",
    "daemon": "better: the command ends when the server listens, and its status says whether it does",
    "exceptions": "same",
    "file-descriptors": "better: the default is what gearmand's help says; gearmand leaves the limit as it"
    " is",
    "help": "same",
    "job-retries": "same, with `--compat 1.1` as in 1.1, else as in 2.0; above 255 is refused, where 1.1"
    " takes the lowest 8 bits",
    "job-handle-prefix": "better: one that is too long is refused; gearmand cuts the number off, after"
    " which all handles are alike",
    "hashtable-buckets": "accepted without meaning: tables grow with what they hold",
    "keepalive": "accepted without meaning: it is always on",
    "keepalive-idle": "better: by default a vanished worker's jobs are queued again after two minutes, not"
    " two hours",
    "keepalive-interval": "better: see `--keepalive-idle`",
    "keepalive-count": "better: see `--keepalive-idle`",
    "log-file": "better: `stderr` by default; a file that cannot be opened ends the start, where gearmand"
    " goes on with the standard error, which a daemon does not have; a file that is moved away is made"
    " anew without SIGHUP",
    "listen": "better: 127.0.0.1 by default, as in Debian's service, where gearmand alone takes every"
    " address of the machine; may be given several times",
    "pid-file": "better: none by default; removed only if it is still this server's, where gearmand removes"
    " whatever has the name",
    "protocol": "same; [HTTP](http.md) itself is better",
    "round-robin": "same, with `--compat 1.1` as in 1.1, else as in 2.0",
    "queue-type": "better: `libsqlite3` keeps every acknowledged job, at many times the speed"
    " ([durable queues](durable-queues.md)); others than that and `builtin` end the start with a line that"
    " says so",
    "libsqlite3-db": "same, but not a file of gearmand's: `gearcore store import` takes its jobs over",
    "libsqlite3-table": "accepted without meaning",
    "store-queue-on-shutdown": "accepted without meaning: jobs are stored as they come",
    "config-file": "better: # starts a comment, where gearmand takes the options behind it; a word that is"
    " no option is named in the log. `@name` is refused, as gearmand does in spite of its help",
    "syslog": "same",
    "coredump": "same",
    "threads": "accepted without meaning: one thread does all the work",
    "user": "same",
    "verbose": "better: INFO by default, so that the log says where the server listens and what it refused;"
    " no level has a line for each job, as gearmand's NOTICE does",
    "version": "same",
    "worker-wakeup": "better: by default as many workers are woken as will do; all of them with `--compat"
    " 1.1`",
    "check-args": "same: it is in the help here, which gearmand leaves it out of",
    "http-port": "same",
    "port": "better: above 65535 is refused; a port in use ends the start at once, not after 22 s",
    "ssl": "better: Debian's gearmand is built without TLS, and goes on without it; a peer that stalls its"
    " handshake is cut off, and holds up no thread",
    "ssl-ca-file": "better: peers must show a certificate, where gearmand reads the file and lets everybody"
    " in; the command line comes before the environment; no default file",
    "ssl-certificate": "better: one that cannot be used ends the start; the command line comes before the"
    " environment; no default file",
    "ssl-key": "better: as `--ssl-certificate`",
}
"""How gearcored has each option of gearmand's, but for those of its queues, which are all alike."""

OF_QUEUES = "accepted without meaning: there is no such queue"


def cell(option: Option) -> str:
    """The names of an option, and the name of its value."""
    names = [f"-{option.short}"] if option.short else []
    return ", ".join(f"`{name}`" for name in [*names, f"--{option.name} {option.metavar}".strip()])


def server_table() -> str:
    """What each option does, in the groups of ``--help``."""
    parts = []
    for group in GROUPS:
        rows = [option for option in OPTIONS if option.group == group]
        parts.append(f"\n### {group}\n\n| Option | `gearcore server` | Meaning |\n| --- | --- | --- |\n")
        for option in rows:
            ours = f"`--{option.server_name}`" if option.server_name else " "
            meaning = option.help().replace("<", "&lt;")
            parts.append(f"| {cell(option)} | {ours} | {meaning} |\n".replace("|   |", "| |"))
    return "".join(parts) + "\n"


def compatibility_table() -> str:
    """How gearcored has gearmand's options, and which ones gearmand does not have."""
    queues = [option.name for option in OPTIONS if option.text.endswith("which is not served.")]
    names = [option.name for option in OPTIONS if option.name not in queues]
    rows = [(f"`--{name}`", text) for name, text in sorted(BESIDE_GEARMAND.items())]
    rows.append((listed(queues), OF_QUEUES))
    ours = sorted(set(names) - set(BESIDE_GEARMAND))
    table = "".join(f"| {name} | {text} |\n" for name, text in rows)
    return f"\n| gearmand's option | gearcored |\n| --- | --- |\n{table}\ngearmand has no {listed(ours)}.\n\n"


def listed(names: list[str]) -> str:
    """The long options of some names."""
    return ", ".join(f"`--{name}`" for name in names)


PAGES = {FOLDER / "server.md": server_table, FOLDER / "compatibility.md": compatibility_table}


def render(page: Path) -> str:
    """A page with its table as it should be."""
    before, found, rest = page.read_text(encoding="utf-8").partition(START)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"{page.name} has no place for the options")
    return before + found + PAGES[page]() + ended + after


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(render(path), encoding="utf-8")
