"""The options of a server: the one table behind ``gearcored``, ``gearcore server`` and their pages."""

from __future__ import annotations

from typing import Any

from gearcore.cli import values
from gearcore.cli._common import DEFAULT_HOST
from gearcore.cli.option import GENERAL, Option
from gearcore.protocol import DEFAULT_MAX_PACKET_SIZE, DEFAULT_PORT

__all__ = ["CONFIG_FILE", "GROUPS", "OPTIONS", "defaults"]

CONFIG_FILE = "/etc/gearmand.conf"

LISTENING, BOUNDS, HTTP = "Where it listens", "Bounds", "HTTP"
TLS, QUEUES = "TLS and access", "Persistent queues"
GROUPS = (GENERAL, LISTENING, BOUNDS, HTTP, TLS, QUEUES)


def defaults() -> dict[str, Any]:
    """Return the value of every option that nobody gives."""
    return {option.key: option.default for option in OPTIONS}


OPTIONS = (
    Option(
        name="backlog",
        short="b",
        metavar="N",
        read=values.number(0),
        shown="1024",
        argument="backlog",
        text="How many connections may wait to be accepted.",
    ),
    Option(
        name="daemon",
        short="d",
        default=False,
        text="Detach and run in the background, once the port is taken. Nobody sees the standard error then:"
        " see --log-file and --syslog.",
    ),
    Option(
        name="exceptions",
        default=False,
        argument="exceptions",
        text="Send every client the text of exceptions, not only those that ask for it.",
    ),
    Option(
        name="file-descriptors",
        short="f",
        metavar="N",
        read=values.number(1),
        shown="as many as the system allows",
        text="How many file descriptors the process may have; there may be a few connections less.",
    ),
    Option(
        name="job-retries",
        short="j",
        metavar="N",
        read=values.number(-1, 255),
        shown="-1",
        argument="job_retries",
        text="How many runs a job gets whose workers vanish or time out: -1 is any number, 0 is one"
        " (any number with --compat 1.1).",
    ),
    Option(
        name="job-handle-prefix",
        metavar="TEXT",
        shown="H:<host name>",
        argument="handle_prefix",
        server_name="handle-prefix",
        text="What comes before a job's number in its handle; at most 42 bytes.",
    ),
    Option(
        name="hashtable-buckets",
        metavar="N",
        read=values.number(0),
        text="Of no effect, and there for gearmand's sake: tables grow with what they hold.",
    ),
    Option(
        name="keepalive",
        default=False,
        text="Of no effect, and there for gearmand's sake: it is always on.",
    ),
    Option(
        name="keepalive-idle",
        metavar="SECONDS",
        read=values.number(-1),
        shown="60",
        argument="keepalive.idle",
        text="How long a peer is silent before the system asks whether it is there; -1 is the system's time.",
    ),
    Option(
        name="keepalive-interval",
        metavar="SECONDS",
        read=values.number(-1),
        shown="20",
        argument="keepalive.interval",
        text="How long the system waits for the answer before it asks again; -1 is the system's time.",
    ),
    Option(
        name="keepalive-count",
        metavar="N",
        read=values.number(-1),
        shown="3",
        argument="keepalive.count",
        text="How often the system asks before it takes the peer for dead; -1 is the system's number.",
    ),
    Option(
        name="log-file",
        short="l",
        metavar="FILE",
        default="stderr",
        text="File to append the log to; 'stderr' for the standard error, 'none' for no log.",
    ),
    Option(
        name="pid-file",
        short="P",
        metavar="FILE",
        shown="none",
        text="File to write the process ID to. At the end it is removed, if it is still this server's.",
    ),
    Option(
        name="round-robin",
        short="R",
        default=False,
        argument="round_robin",
        text="Let the functions of a worker take turns even with --compat 1.1; otherwise they always do.",
    ),
    Option(
        name="config-file",
        metavar="FILE",
        default=CONFIG_FILE,
        text="File with more words of the command line, which itself comes first; # starts a comment.",
    ),
    Option(
        name="syslog",
        default=False,
        text="Log to the system's log instead of the standard error; beside the log file, if there is one.",
    ),
    Option(
        name="coredump",
        default=False,
        text="Let the system write a core file if the server crashes.",
    ),
    Option(
        name="check-args",
        default=False,
        text="Check the options, and exit: with status 0 if they are right.",
    ),
    Option(
        name="threads",
        short="t",
        metavar="N",
        read=values.number(0),
        text="Of no effect, and there for gearmand's sake: one thread does all the work.",
    ),
    Option(
        name="user",
        short="u",
        metavar="NAME",
        shown="none",
        text="User to become before anything is opened, with its groups; for root only.",
    ),
    Option(
        name="verbose",
        metavar="LEVEL",
        read=values.verbosity,
        default=values.LEVELS["INFO"],
        shown="INFO",
        text=f"The least severe messages to log: {', '.join(values.LEVELS)}.",
    ),
    Option(
        name="worker-wakeup",
        short="w",
        metavar="N",
        read=values.number(-1),
        shown="-1, or 0 with --compat 1.1",
        argument="worker_wakeup",
        text="How many of the sleeping workers to wake for a job: 0 is all of them, -1 as few as will do.",
    ),
    Option(
        name="compat",
        metavar="VERSION",
        read=values.compat,
        shown="2.0",
        argument="compat",
        text="The gearmand to be like where 1.1 and 2.0 differ: in which order a worker gets jobs, and what"
        " --job-retries 0 is.",
    ),
    Option(
        name="allow-shutdown",
        default=False,
        argument="allow_shutdown",
        text="Bring back the admin command 'shutdown', which gearmand had before 1.1.15, for whoever reaches"
        " the port. An access list brings it back for those it names.",
    ),
    Option(
        name="listen",
        short="L",
        metavar="ADDRESS",
        group=LISTENING,
        several=True,
        shown=DEFAULT_HOST,
        server_name="host",
        text="Address or name to listen on; give it again for another one. '0.0.0.0' is every IPv4 address of"
        " the machine, '::' every IPv6 address.",
    ),
    Option(
        name="port",
        short="p",
        metavar="PORT",
        group=LISTENING,
        read=values.port,
        default=DEFAULT_PORT,
        environment="GEARMAND_PORT",
        server_name="port",
        text="Port to listen on, a number or a service's name; 0 takes a free one.",
    ),
    Option(
        name="unix-socket",
        metavar="PATH",
        group=LISTENING,
        several=True,
        shown="none",
        server_name="unix-socket",
        text="Unix socket to listen on as well, for its owner and group; give it again for another one.",
    ),
    Option(
        name="max-packet-size",
        metavar="SIZE",
        group=BOUNDS,
        read=values.size(1, 2**32 - 1),
        shown=f"{DEFAULT_MAX_PACKET_SIZE >> 20}M",
        argument="limits.packet",
        text="The largest packet. This and the other sizes are in bytes, or with k, M or G behind them.",
    ),
    Option(
        name="max-output",
        metavar="SIZE",
        group=BOUNDS,
        read=values.size(1),
        shown="128M",
        argument="limits.output",
        text="How much a peer may leave unread before it is cut off, its last packet not counted.",
    ),
    Option(
        name="max-memory",
        metavar="SIZE",
        group=BOUNDS,
        read=values.size(1),
        shown="half of the machine's memory",
        argument="limits.memory",
        text="How much memory jobs and offers take before more of them are refused.",
    ),
    Option(
        name="max-functions",
        metavar="N",
        group=BOUNDS,
        read=values.number(1),
        shown="1000000",
        argument="limits.functions",
        text="How many functions there may be.",
    ),
    Option(
        name="max-connections",
        metavar="N",
        group=BOUNDS,
        read=values.number(1),
        shown="what the file descriptors allow",
        argument="limits.connections",
        text="How many connections there may be.",
    ),
    Option(
        name="protocol",
        short="r",
        metavar="NAME",
        group=HTTP,
        read=values.protocol,
        shown="none",
        server_name="protocol",
        text="Protocol to speak as well, beside Gearman's; there is only 'http', on --http-port.",
    ),
    Option(
        name="http-port",
        metavar="PORT",
        group=HTTP,
        read=values.port,
        default=8080,
        server_name="http-port",
        text="Port to speak HTTP on.",
    ),
    Option(
        name="ssl",
        group=TLS,
        default=False,
        server_name="tls",
        text="Speak TLS, and nothing else, on --port. It needs a certificate.",
    ),
    Option(
        name="ssl-ca-file",
        metavar="FILE",
        group=TLS,
        shown="none",
        environment="GEARMAND_CA_CERTIFICATE",
        server_name="tls-ca-file",
        text="Certificates of authorities; with them, every peer must show a certificate of theirs.",
    ),
    Option(
        name="ssl-certificate",
        metavar="FILE",
        group=TLS,
        shown="none",
        environment="GEARMAND_SERVER_PEM",
        server_name="tls-certificate",
        text="The server's certificate.",
    ),
    Option(
        name="ssl-key",
        metavar="FILE",
        group=TLS,
        shown="the file of the certificate",
        environment="GEARMAND_SERVER_KEY",
        server_name="tls-key",
        text="The key that belongs to it.",
    ),
    Option(
        name="tls-port",
        metavar="PORT",
        group=TLS,
        read=values.port,
        shown="none",
        server_name="tls-port",
        text="Port to speak TLS on, beside --port, which goes without. It needs a certificate.",
    ),
    Option(
        name="handshake-timeout",
        metavar="SECONDS",
        group=TLS,
        read=values.seconds,
        shown="10",
        argument="tls_handshake_timeout",
        text="How long a peer's TLS handshake may take.",
    ),
    Option(
        name="access-list",
        metavar="FILE",
        group=TLS,
        shown="everybody may do everything",
        server_name="access-list",
        text="File that says who may submit, work and administer what.",
    ),
    Option(
        name="queue-type",
        short="q",
        metavar="NAME",
        group=QUEUES,
        read=values.queue_type,
        default="builtin",
        text="Where background jobs are kept, in gearmand's words: 'builtin' is in memory, 'libsqlite3' in"
        " the file --libsqlite3-db, as with --store.",
    ),
    Option(
        name="libsqlite3-db",
        metavar="FILE",
        group=QUEUES,
        text="The file for --queue-type libsqlite3. One of gearmand's is refused: 'gearcore store import'"
        " takes its jobs over.",
    ),
    Option(
        name="libsqlite3-table",
        metavar="NAME",
        group=QUEUES,
        text="Of no effect, and there for gearmand's sake.",
    ),
    Option(
        name="store-queue-on-shutdown",
        group=QUEUES,
        default=False,
        text="Of no effect, and there for gearmand's sake: jobs are stored as they come.",
    ),
    Option(
        name="store",
        metavar="sqlite:FILE",
        group=QUEUES,
        read=values.store,
        shown="in memory",
        server_name="store",
        text="Where background jobs are kept. Each is acknowledged once it is there for good, and is there"
        " after a restart. The file is made if there is none.",
    ),
    Option(
        name="store-down",
        metavar="WHAT",
        group=QUEUES,
        read=values.store_down,
        shown="refuse",
        argument="store_down",
        text="What becomes of background jobs while the store fails: 'refuse' is an error at once, 'wait'"
        " lets them wait until it works again.",
    ),
    Option(
        name="keep-failed",
        metavar="FUNCTION",
        group=QUEUES,
        several=True,
        shown="none",
        argument="keep_failed",
        text="Function whose background jobs become dead letters when a worker fails them; '*' is every"
        " function; give it again for another one. See 'gearcore dead'.",
    ),
    *(
        Option(
            name=name,
            metavar=metavar,
            group=QUEUES,
            default=None if metavar else False,
            text=f"For --queue-type {queue}, which is not served.",
        )
        for queue, name, metavar in (
            ("libmemcached", "libmemcached-servers", "LIST"),
            ("libmemcached", "libmemcached-prefix", "TEXT"),
            ("Postgres", "libpq-conninfo", "TEXT"),
            ("Postgres", "libpq-table", "NAME"),
            ("redis", "redis-server", "HOST"),
            ("redis", "redis-port", "PORT"),
            ("redis", "redis-password", "TEXT"),
            ("redis", "redis-prefix", "TEXT"),
            ("MySQL", "mysql-host", "HOST"),
            ("MySQL", "mysql-port", "PORT"),
            ("MySQL", "mysql-user", "NAME"),
            ("MySQL", "mysql-password", "TEXT"),
            ("MySQL", "mysql-db", "NAME"),
            ("MySQL", "mysql-table", "NAME"),
        )
    ),
)
