"""Where bytes that are no packet, or an odd one, are taken otherwise than by gearmand, and why."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ...case import departure
from ...script import pack


@departure(
    "A packet type of 0x80000000 or more",
    gearmand="crashes",
    gearcore="answers `INVALID_COMMAND`, and the connection goes on",
    why="One packet would end the server.",
    alone=True,
    answers=r"""
        peer < ERROR INVALID_COMMAND *
        peer < ERROR INVALID_COMMAND *
        peer2 < ECHO_RES 'the server goes on'
    """,
)
def a_packet_type_with_the_highest_bit(peer, peer2):
    peer.send(0x80000000)
    peer.send(0xFFFFFFFF)
    peer2.send(P.ECHO_REQ, b"the server goes on")


@departure(
    "An unknown packet type",
    gearmand="closes the connection without an answer",
    gearcore="answers `INVALID_COMMAND`, and the connection goes on",
    why="A client that tries out what a server knows would lose its jobs.",
    answers=r"""
        peer < ERROR INVALID_COMMAND *
        peer < ERROR INVALID_COMMAND *
        peer < ERROR INVALID_COMMAND *
        peer < ECHO_RES 'the connection goes on'
    """,
)
def an_unknown_packet_type(peer):
    peer.send(43)
    peer.send(0)
    peer.send(0x7FFFFFFF, b"with", b"a body")
    peer.send(P.ECHO_REQ, b"the connection goes on")


@departure(
    "A packet with too few arguments",
    gearmand="waits for the missing NUL, takes one from the next packet and closes the connection",
    gearcore="answers `INVALID_PACKET`, and the connection goes on",
    why="The client would wait for an answer, and lose what it sends next.",
    answers="peer < ERROR INVALID_PACKET *\n" * 9 + "peer < ECHO_RES 'the connection goes on'",
)
def a_packet_with_too_few_arguments(peer, f):
    peer.send(P.SUBMIT_JOB)
    peer.send(P.SUBMIT_JOB, f)
    peer.send(P.SUBMIT_JOB_BG, f, b"")
    peer.send(P.SUBMIT_JOB_EPOCH, f, b"", b"0")
    peer.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"workload")
    peer.send(P.CAN_DO_TIMEOUT, f)
    peer.send(P.WORK_STATUS)
    peer.send(P.WORK_STATUS, b"handle")
    peer.send(P.WORK_STATUS, b"handle", b"1")
    peer.send(P.ECHO_REQ, b"the connection goes on")


@departure(
    "A packet that begins with neither `\\0REQ` nor `\\0RES`",
    gearmand="closes the connection without an answer",
    gearcore="answers `INVALID_MAGIC`, and closes the connection",
    why="Whoever wrote the client would not learn what was wrong.",
    answers=r"""
        peer < ERROR INVALID_MAGIC *
        peer < (closed)
        peer2 < ERROR INVALID_MAGIC *
        peer2 < (closed)
    """,
)
def a_wrong_magic(peer, peer2):
    peer.raw(b"\0XXX")
    peer2.raw(b"\0req" + pack(P.ECHO_REQ, b"x")[4:])


@departure(
    "A packet that announces more than the server takes",
    gearmand="sets memory aside for any size, and waits",
    gearcore="answers `ARGUMENT_TOO_LARGE`",
    why="One packet would take 4 GiB of the server's address space, and a few all of its memory.",
    answers="peer < ERROR ARGUMENT_TOO_LARGE *",
)
def a_packet_of_4_gib(peer):
    peer.part(pack(P.ECHO_REQ)[:8] + b"\xff\xff\xff\xff")


@departure(
    "A function name that is too long",
    gearmand="closes the connection of whoever sends more than 8191 bytes, and takes a little less, but then "
    "closes the connection of each worker that grabs the job",
    gearcore="takes 8191 bytes and hands them out, and answers `ARGUMENT_TOO_LARGE` to more",
    why="An acknowledged job would never be run.",
    answers="""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f...................... (8186 bytes, checksum 5784afd7) '' workload
        client < ERROR ARGUMENT_TOO_LARGE *
        worker < ERROR ARGUMENT_TOO_LARGE *
    """,
)
def a_function_name_of_many_bytes(worker, client, f):
    longest = f.ljust(8191, b".")
    worker.can_do(longest)
    client.submit(longest, b"", b"workload")
    worker.grab()
    client.submit(longest + b".")
    worker.can_do(longest + b".")


@departure(
    "`GET_STATUS` of a handle, or `GET_STATUS_UNIQUE` of a unique id, of 64 bytes or more",
    gearmand="does not answer, and may close the connection",
    gearcore="answers that there is no such job",
    why="The client would wait for ever.",
    answers=f"""
        client < STATUS_RES {"h" * 64} 0 0 0 0
        client2 < STATUS_RES_UNIQUE {"u" * 65} 0 0 0 0 0
    """,
)
def the_status_of_a_long_name(client, client2):
    client.send(P.GET_STATUS, b"h" * 64)
    client2.send(P.GET_STATUS_UNIQUE, b"u" * 65)


@departure(
    "`SUBMIT_JOB_SCHED`",
    gearmand="answers `INVALID_COMMAND`",
    gearcore="runs the job in the next minute that matches the schedule",
    why="The protocol has the packet, and gearmand never finished it.",
    answers=r"""
        client < JOB_CREATED J1
        worker < NO_JOB
        admin < 'f\t1\t0\t1\n'
        admin < '.\n'
    """,
)
def a_job_by_schedule(worker, client, admin, f):
    worker.can_do(f)
    in_the_past_of_every_year_but_leap_years = (b"0", b"0", b"29", b"2", b"")
    client.send(P.SUBMIT_JOB_SCHED, f, b"", *in_the_past_of_every_year_but_leap_years, b"workload")
    worker.grab()
    admin.line(b"status")
