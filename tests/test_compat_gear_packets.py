"""gearcore.compat.gear without a server: packets, jobs, admin requests, access lists, names."""

import gc
import subprocess
import sys
import weakref

import pytest

from gearcore.compat import gear
from gearcore.compat.gear import constants
from gearcore.compat.gear.tasks import RelatedJobs


def test_constants_are_the_numbers_of_the_protocol():
    assert (constants.REQ, constants.RES) == (b"\0REQ", b"\0RES")
    assert (constants.CAN_DO, constants.WORK_COMPLETE, constants.SUBMIT_JOB_EPOCH) == (1, 13, 36)
    assert constants.types[31] == "JOB_ASSIGN_UNIQ"
    assert (gear.PRECEDENCE_NORMAL, gear.PRECEDENCE_LOW, gear.PRECEDENCE_HIGH) == (0, 1, 2)


def test_a_packet_goes_over_the_wire_as_bytes():
    packet = gear.Packet(constants.REQ, constants.WORK_DATA, b"H:1\0data")
    assert packet.toBinary() == bytearray(b"\0REQ\0\0\0\x1c\0\0\0\x08H:1\0data")
    assert type(packet.toBinary()) is bytearray
    assert packet.data == b"H:1\0data"


@pytest.mark.parametrize(
    ("index", "last", "argument"),
    [(0, False, b"H:1"), (1, False, b"a"), (2, False, b"b"), (1, True, b"a\0b"), (3, True, b"")],
)
def test_arguments_stand_between_nuls(index, last, argument):
    packet = gear.Packet(constants.RES, constants.WORK_COMPLETE, b"H:1\0a\0b")
    assert packet.getArgument(index, last) == argument


def test_an_argument_that_is_not_there():
    with pytest.raises(IndexError):
        gear.Packet(constants.RES, constants.WORK_COMPLETE, b"H:1").getArgument(1)


def test_packets_compare_and_cannot_be_hashed():
    one, other = (gear.Packet(constants.REQ, 1, data) for data in (b"f", b"g"))
    assert one == gear.Packet(constants.REQ, 1, bytearray(b"f"))
    assert one != other
    assert one != 3
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize(
    ("code", "data", "error"),
    [("\0REQ", b"", TypeError), (b"\0REQ", "", TypeError), (b"REQ", b"", gear.InvalidDataError)],
)
def test_what_is_no_packet(code, data, error):
    with pytest.raises(error):
        gear.Packet(code, 1, data)


def test_a_packet_says_what_it_is():
    shown = repr(gear.Packet(constants.REQ, constants.SUBMIT_JOB, b"f\0u\0w"))
    assert shown.endswith("type: SUBMIT_JOB function: b'f' unique: b'u'>")
    assert repr(gear.Packet(constants.RES, 99, b"x")).endswith("type: UNKNOWN>")


def test_a_packet_knows_its_job():
    connection = gear.Connection("127.0.0.1", 4730)
    job = connection.related_jobs[b"H:1"] = gear.Job("f", b"")
    assert gear.Packet(constants.RES, constants.WORK_FAIL, b"H:1\0", connection).getJob() is job
    for packet in (
        gear.Packet(constants.RES, constants.WORK_FAIL, b"H:2", connection),
        gear.Packet(constants.RES, constants.WORK_FAIL, b"H:1"),
    ):
        with pytest.raises(gear.UnknownJobError):
            packet.getJob()


@pytest.mark.parametrize(
    ("kind", "arguments", "shown"),
    [
        (gear.Job, ("n", b"a", "u"), ("n", b"a", b"u")),
        (gear.Job, (b"n", bytearray(b"a")), ("n", b"a", None)),
        (gear.TextJob, ("n", "\xe9", b"u"), ("n", "\xe9", "u")),
        (gear.TextJob, (b"n", b"a"), ("n", "a", None)),
        (gear.BinaryJob, ("n", b"a", "u"), (b"n", b"a", b"u")),
        (gear.BinaryJob, (b"\xff", b"a"), (b"\xff", b"a", None)),
    ],
)
def test_what_a_job_is_made_of(kind, arguments, shown):
    job = kind(*arguments)
    assert (job.name, job.arguments, job.unique) == shown
    assert all(isinstance(part, bytes | bytearray) for part in (job.binary_name, job.binary_arguments))
    assert (job.handle, job.connection, job.data, job.exception) == (None, None, [], None)
    states = (job.warning, job.complete, job.failure, job.known, job.running, job.numerator)
    assert states == (False, False, False, None, None, None)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (gear.Job, ("n", "text")),
        (gear.Job, ("n", None)),
        (gear.Job, (7, b"")),
        (gear.Job, ("n", b"", 7)),
        (gear.TextJob, ("n", None)),
        (gear.BinaryJob, ("n", "text")),
    ],
)
def test_what_no_job_can_be_made_of(kind, arguments):
    with pytest.raises(TypeError, match=r"must be (str|of type bytes)"):
        kind(*arguments)


def test_the_data_of_a_job():
    job, text = gear.Job("n", b""), gear.TextJob("n", "")
    for one in (job, text):
        one.data.append(b"\xc3\xa9")
        one.exception = b"no"
    assert (job.data, job.exception, list(job.binary_data)) == ([b"\xc3\xa9"], b"no", [b"\xc3\xa9"])
    assert (text.data, text.exception, list(text.binary_data)) == (["\xe9"], "no", [b"\xc3\xa9"])
    text.data = [b"a", "b"]
    assert text.data == ["a", "b"]


def test_a_job_that_came_over_no_connection_cannot_be_ended():
    with pytest.raises(ValueError, match="no connection"):
        gear.WorkerJob(b"H:1", b"n", b"").sendWorkComplete()


@pytest.mark.parametrize("send", ["sendWorkData", "sendWorkWarning", "sendWorkComplete", "sendWorkException"])
def test_bytes_jobs_send_no_text(send):
    with pytest.raises(TypeError, match="must be of type bytes"):
        getattr(gear.WorkerJob(b"H:1", b"n", b""), send)("text")


LISTS = [gear.StatusAdminRequest, gear.WorkersAdminRequest, gear.ShowJobsAdminRequest]


@pytest.mark.parametrize("kind", [*LISTS, gear.ShowUniqueJobsAdminRequest])
@pytest.mark.parametrize(
    ("response", "rest"),
    [(b".\n", b""), (b".\r\n", b""), (b"foo\n.\n", b""), (b"foo\r\n.\r\n", b""), (b"a.\n..\n.\n", b"bar")],
)
def test_a_list_ends_with_a_dot(kind, response, rest):
    request = kind()
    for size in range(len(response)):
        assert request.isComplete(response[:size]) == (False, None)
    assert request.isComplete(response + rest) == (True, rest)
    assert request.response == response


@pytest.mark.parametrize(
    "request_", [gear.VersionAdminRequest(), gear.CancelJobAdminRequest(b"H:1")], ids=["version", "cancel"]
)
def test_other_answers_are_a_line(request_):
    assert request_.isComplete(b"OK") == (False, None)
    assert request_.isComplete(b"OK x\r\nrest") == (True, b"rest")
    assert request_.response == b"OK x\r\n"


def test_commands():
    commands = [request().getCommand() for request in (*LISTS, gear.ShowUniqueJobsAdminRequest)]
    assert commands == [b"status\n", b"workers\n", b"show jobs\n", b"show unique jobs\n"]
    assert gear.CancelJobAdminRequest("H:1").getCommand() == b"cancel job H:1\n"
    assert repr(gear.VersionAdminRequest()).endswith("command: b'version'>")
    with pytest.raises(NotImplementedError):
        gear.AdminRequest(b"version")


def test_a_request_can_be_waited_for():
    request = gear.VersionAdminRequest()
    assert request.waitForResponse(0) is False
    request.setComplete()
    assert request.waitForResponse() is True


def test_a_function_record():
    record = gear.FunctionRecord("f", 3)
    assert (record.name, record.timeout) == ("f", 3)
    assert repr(record).endswith("name: f timeout: 3>")


def make_acl() -> gear.ACL:
    acl = gear.ACL()
    acl.add(gear.ACLEntry("worker", register="foo.*"))
    acl.add(gear.ACLEntry("client", invoke="foo"))
    acl.add(gear.ACLEntry("manager", grant=True))
    return acl


@pytest.mark.parametrize("name", ["foo-bar", b"foo-bar"])
def test_what_an_access_list_allows(name):
    """With gear the bytes of the wire raise TypeError."""
    acl = make_acl()
    assert acl.canRegister("worker", name)
    assert acl.canInvoke("client", name)
    assert not acl.canRegister("client", name)
    assert not acl.canInvoke("worker", name)
    assert not acl.canInvoke(None, name)
    assert not acl.canRegister("worker", b"bar-foo")
    assert acl.canGrant("manager")
    assert not acl.canGrant("worker")


def test_an_access_list_changes():
    acl = make_acl()
    acl.grantInvoke("worker", "bar")
    assert acl.canInvoke("worker", "bar")
    acl.revokeInvoke("worker")
    assert not acl.canInvoke("worker", "bar")
    acl.grantGrant("new")
    acl.grantRegister("new", "b.*")
    assert repr(acl.getEntries()[2]) == "<ACLEntry for new register=b.* invoke=None grant=True>"
    acl.revokeGrant("new")
    acl.revokeRegister("new")
    acl.revokeInvoke("nobody")
    acl.remove("manager")
    assert [entry.subject for entry in acl.getEntries()] == ["client", "worker"]


def test_what_an_access_list_refuses():
    acl = make_acl()
    with pytest.raises(gear.ACLError, match="already exists"):
        acl.add(gear.ACLEntry("worker"))
    with pytest.raises(gear.ACLError, match="no ACL entry for nobody"):
        acl.remove("nobody")
    with pytest.raises(TypeError):
        acl.add("worker")


def test_a_bad_expression_is_an_error_that_says_so_and_changes_nothing():
    """With gear the report of it raises AttributeError."""
    acl = gear.ACL()
    with pytest.raises(gear.ACLError, match="not a regular expression"):
        acl.grantInvoke("new", "(")
    assert acl.getEntries() == []
    acl.grantInvoke("new", "a")
    with pytest.raises(gear.ACLError):
        acl.grantInvoke("new", "(")
    assert acl.canInvoke("new", "a")


def test_background_jobs_are_kept_no_longer_than_somebody_has_them():
    """With gear they stay for as long as the connection lasts."""
    jobs = RelatedJobs()
    foreground, background = gear.Job("f", b""), gear.Job("b", b"")
    jobs[b"H:1"] = foreground
    jobs.add_background(b"H:2", background)
    assert (list(jobs), len(jobs), jobs[b"H:2"]) == ([b"H:1", b"H:2"], 2, background)
    gone = weakref.ref(background)
    del background
    gc.collect()
    assert gone() is None
    assert dict(jobs) == {b"H:1": foreground}
    del jobs[b"H:1"]
    with pytest.raises(KeyError):
        del jobs[b"H:2"]


PROGRAM = """
from gearcore.compat import install
install("gear")
import gear
import gear.acl
from gear import constants
import gearcore.compat.gear as ours
print(gear is ours, gear.acl.ACL is ours.ACL, constants is ours.constants, gear.constants.NOOP)
"""


def test_programs_find_it_by_gears_names(tmp_path):
    command = [sys.executable, "-P", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.stdout, done.stderr) == ("True True True 6\n", "")
