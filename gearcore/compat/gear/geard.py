"""``geard``'s command line, for ``python -m gearcore.compat.gear.geard``."""

from __future__ import annotations

import argparse
import configparser
import logging
import logging.config
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from gearcore._version import __version__
from gearcore.cli._common import one_line_errors
from gearcore.cli.process import PidFile, detach
from gearcore.compat.gear.acl import ACL, ACLEntry
from gearcore.compat.gear.server import Server
from gearcore.errors import GearcoreError

__all__ = ["main", "read_acl"]

PROGRAM = "geard"


class BadACL(GearcoreError):
    """A file for ``--acl`` that cannot be used. The text is one line, which names it."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Gearman server. If the statsd python module is available, set STATSD_HOST, STATSD_PORT,"
        " and STATSD_PREFIX environment variables for statsd support.",
    )
    made.add_argument("-d", dest="nodaemon", action="store_true", help="do not run as a daemon")
    made.add_argument("-p", dest="port", type=int, default=4730, help="port on which to listen")
    made.add_argument("--listen-address", help="IP address or domain name to listen on")
    made.add_argument("--log-config", help="logging config file")
    made.add_argument("--pidfile", default="/var/run/geard/geard.pid", help="PID file")
    made.add_argument("--ssl-ca", metavar="PATH", help="path to CA certificate")
    made.add_argument("--ssl-cert", metavar="PATH", help="path to SSL public certificate")
    made.add_argument("--ssl-key", metavar="PATH", help="path to SSL private key")
    made.add_argument("--acl", metavar="PATH", help="path to ACL file")
    made.add_argument("--keepalive", action="store_true", help="enable TCP keepalives in socket")
    made.add_argument(
        "--keepalive-idle", dest="tcp_keepidle", type=int, default=7200, help="TCP keepalive idle time"
    )
    made.add_argument(
        "--keepalive-interval",
        dest="tcp_keepintvl",
        type=int,
        default=75,
        help="TCP keepalive probe interval",
    )
    made.add_argument(
        "--keepalive-count", dest="tcp_keepcnt", type=int, default=9, help="TCP keepalive probes count"
    )
    made.add_argument("--version", action="version", version=f"%(prog)s of gearcore {__version__}")
    return made


def read_acl(path: str) -> ACL:
    """The access list in a file: a section for each subject, with ``register``, ``invoke`` and ``grant``."""
    config = configparser.RawConfigParser()
    acl = ACL()
    try:
        config.read_string(Path(path).read_text(encoding="utf-8"), path)
        for subject in config.sections():
            section = config[subject]
            grant = section.getboolean("grant", False)
            acl.add(ACLEntry(subject, section.get("register"), section.get("invoke"), bool(grant)))
    except OSError as error:
        raise BadACL(f"ACL {path}: {error.strerror}") from error
    except Exception as error:  # no ini file, no regular expression, no boolean
        raise BadACL(f"ACL {path}: {' '.join(str(error).split())}") from error
    return acl


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``geard`` with the arguments of the command line, until SIGTERM or SIGINT."""
    with one_line_errors(PROGRAM), ExitStack() as at_the_end:
        options = parser().parse_args(arguments)
        acl = read_acl(options.acl) if options.acl else None
        pid_file = None if options.nodaemon else str(Path(options.pidfile).absolute())
        ready = None if options.nodaemon else detach()
        if options.log_config:
            logging.config.fileConfig(options.log_config, disable_existing_loggers=False)
        else:
            logging.basicConfig(level=logging.INFO)
        # Before the server's thread begins, so that the signals are for this one.
        signals = {signal.SIGTERM, signal.SIGINT}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        at_the_end.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        server = Server(
            options.port,
            options.ssl_key,
            options.ssl_cert,
            options.ssl_ca,
            os.environ.get("STATSD_HOST"),
            int(os.environ.get("STATSD_PORT", 8125)),
            os.environ.get("STATSD_PREFIX"),
            acl=acl,
            host=options.listen_address,
            keepalive=options.keepalive,
            tcp_keepidle=options.tcp_keepidle,
            tcp_keepintvl=options.tcp_keepintvl,
            tcp_keepcnt=options.tcp_keepcnt,
        )
        at_the_end.callback(server.shutdown)
        if pid_file:
            at_the_end.callback(PidFile(pid_file).remove)
        if ready:
            ready()
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
