"""Bytes: how packets and lines are cut, and packets that a server does not expect."""

from __future__ import annotations

from gearcore.protocol import RESPONSE_MAGIC
from gearcore.protocol import PacketType as P

from ..case import case
from ..script import pack

UNEXPECTED = (
    P.UNUSED,
    P.NOOP,
    P.JOB_CREATED,
    P.NO_JOB,
    P.JOB_ASSIGN,
    P.ECHO_RES,
    P.ERROR,
    P.STATUS_RES,
    P.ALL_YOURS,
    P.OPTION_RES,
    P.JOB_ASSIGN_UNIQ,
    P.JOB_ASSIGN_ALL,
    P.STATUS_RES_UNIQUE,
)

WELL_FORMED = {
    P.NOOP: (),
    P.NO_JOB: (),
    P.UNUSED: (),
    P.ALL_YOURS: (),
    P.JOB_CREATED: (b"handle",),
    P.ECHO_RES: (b"data",),
    P.OPTION_RES: (b"option",),
    P.JOB_ASSIGN: (b"handle", b"function", b"workload"),
    P.JOB_ASSIGN_UNIQ: (b"handle", b"function", b"unique", b"workload"),
    P.JOB_ASSIGN_ALL: (b"handle", b"function", b"unique", b"reducer", b"workload"),
    P.ERROR: (b"code", b"text"),
    P.STATUS_RES: (b"handle", b"1", b"1", b"1", b"1"),
    P.STATUS_RES_UNIQUE: (b"unique", b"1", b"1", b"1", b"1", b"1"),
}

REQUESTS = {
    P.CAN_DO: (b"f",),
    P.CANT_DO: (b"f",),
    P.RESET_ABILITIES: (),
    P.PRE_SLEEP: (),
    P.SUBMIT_JOB: (b"f", b"", b""),
    P.GRAB_JOB: (),
    P.WORK_COMPLETE: (b"handle", b""),
    P.WORK_FAIL: (b"handle",),
    P.GET_STATUS: (b"handle",),
    P.ECHO_REQ: (b"data",),
    P.OPTION_REQ: (b"exceptions",),
    P.SET_CLIENT_ID: (b"id",),
}


@case(each=[b"", b"x", b"\0", b"\0REQ", bytes(range(256)), b"line\n", b"x" * 8192, b"x" * 100_000])
def an_echo(value, peer):
    peer.send(P.ECHO_REQ, value)


@case(each=UNEXPECTED)
def a_packet_that_no_peer_may_send(value, peer):
    peer.send(value, *WELL_FORMED[value])
    peer.send(P.ECHO_REQ, b"the connection goes on")


@case(each=REQUESTS)
def a_request_with_the_magic_of_a_response(value, peer):
    peer.send(value, *REQUESTS[value], magic=RESPONSE_MAGIC)
    peer.send(P.ECHO_REQ, b"the connection goes on")


@case(each=UNEXPECTED)
def a_response_sent_to_a_server(value, peer):
    peer.send(value, *WELL_FORMED[value], magic=RESPONSE_MAGIC)
    peer.send(P.ECHO_REQ, b"the connection goes on")


@case(each=[P.RESET_ABILITIES, P.PRE_SLEEP, P.GRAB_JOB, P.GRAB_JOB_UNIQ, P.GRAB_JOB_ALL])
def a_body_that_no_argument_claims_is_ignored(value, worker, client, f):
    worker.can_do(f)
    client.submit(f)
    worker.send(value, b"what", b"is this")
    worker.grab()


@case
def packets_in_one_write(worker, client, f):
    worker.pipeline((P.CAN_DO, f), (P.PRE_SLEEP,), (P.ECHO_REQ, b"after"))
    client.pipeline((P.SUBMIT_JOB, f, b"", b"1"), (P.SUBMIT_JOB, f, b"", b"2"), (P.ECHO_REQ, b"after"))
    worker.pipeline((P.GRAB_JOB,), (P.GRAB_JOB,), (P.GRAB_JOB,), (P.PRE_SLEEP,))


@case
def a_hundred_packets_in_one_write(worker, client, admin, f):
    client.pipeline(*((P.SUBMIT_JOB_BG, f, b"", b"%d" % number) for number in range(100)))
    worker.can_do(f)
    worker.pipeline(*((P.GRAB_JOB,) for _ in range(101)))
    admin.line(b"status")


@case
def a_packet_and_its_consequence_in_one_write(peer, f):
    peer.pipeline((P.CAN_DO, f), (P.SUBMIT_JOB, f, b"", b"x"), (P.GRAB_JOB,), (P.PRE_SLEEP,))


@case
def a_packet_byte_by_byte(worker, client, f):
    worker.drip(pack(P.CAN_DO, f))
    job = client.submit(f, b"", b"x")
    worker.drip(pack(P.GRAB_JOB))
    worker.drip(pack(P.WORK_COMPLETE, job, b"slowly"))


@case
def a_line_byte_by_byte(admin):
    admin.drip(b"verbose\r\n")


@case
def two_packets_cut_in_the_middle_of_the_second(client, f):
    first, second = pack(P.SUBMIT_JOB, f, b"", b"1"), pack(P.SUBMIT_JOB, f, b"", b"2")
    client.part(first + second[:15])
    client.rest(second[15:])


@case(each=[1, 4, 8, 11, 12, 13])
def a_packet_cut_here(value, client, f):
    packet = pack(P.SUBMIT_JOB, f, b"", b"workload")
    client.part(packet[:value])
    client.rest(packet[value:])


@case
def a_large_packet_in_pieces(worker, client, f):
    packet = pack(P.SUBMIT_JOB, f, b"", b"0123456789abcdef" * 10_000)
    for at in range(0, 150_000, 50_000):
        client.part(packet[at : at + 50_000])
    client.rest(packet[150_000:])
    worker.can_do(f)
    worker.grab()


@case
def others_are_served_while_a_packet_is_unfinished(worker, client, client2, f):
    worker.can_do(f)
    client.part(pack(P.SUBMIT_JOB, f, b"", b"slow")[:20])
    client2.submit(f, b"", b"fast")
    worker.grab()
    client.rest(pack(P.SUBMIT_JOB, f, b"", b"slow")[20:])
    worker.grab()


@case
def lines_and_packets_in_turn(peer, f):
    peer.line(b"verbose")
    peer.send(P.ECHO_REQ, b"1")
    peer.line(b"bogus")
    peer.submit(f)
    peer.line(b"status")


@case
def lines_and_packets_in_one_write(peer):
    echo = pack(P.ECHO_REQ, b"x")
    peer.raw(echo + b"verbose\n" + echo + echo + b"bogus\r\nverbose\n" + echo)


@case
def a_packet_whose_body_looks_like_a_line(peer):
    peer.send(P.ECHO_REQ, b"status\n")


@case
def a_line_cut_in_the_middle(admin):
    admin.part(b"verb")
    admin.rest(b"ose\n")


@case
def a_line_without_end_and_then_a_close(peer, admin):
    peer.part(b"verbose")
    peer.close()
    admin.line(b"workers")


@case
def a_line_and_a_packet_of_a_sleeping_worker(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    worker.line(b"verbose")
    client.submit(f)


@case
def a_long_line(admin):
    admin.line(b"x" * 8000)
    admin.line(b"verbose")
