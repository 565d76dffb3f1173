"""Stands in for tests/_core_testing.py, which pygearman's source distribution does not have.

Made from what its tests ask of it: connections and connection managers that do no I/O, and a case that has
one of each with a command handler between them.
"""

from __future__ import annotations

import binascii
import os
import socket
import unittest
import weakref

from gearman.connection import GearmanConnection
from gearman.connection_manager import GearmanConnectionManager
from gearman.constants import PRIORITY_NONE
from gearman.job import GearmanJob, GearmanJobRequest
from gearman.protocol import get_command_name


def random_bytes() -> bytes:
    return binascii.hexlify(os.urandom(8))


class MockGearmanConnection(GearmanConnection):
    _fail_on_bind = False

    def __init__(self, host="localhost", port=4730, **options):
        super().__init__(host=host, port=port)

    def _create_client_socket(self):
        if self._fail_on_bind:
            self.throw_exception(message="the test wants no connection")
        # Something to be polled for, that nothing comes of.
        self.gearman_socket, other_end = socket.socketpair()
        weakref.finalize(self, self.gearman_socket.close)
        weakref.finalize(self, other_end.close)

    def read_data_from_socket(self, bytes_to_read=4096):
        return len(self._incoming_buffer)

    def send_data_to_socket(self):
        return 0


class MockGearmanConnectionManager(GearmanConnectionManager):
    connection_class = MockGearmanConnection

    def poll_connections_once(self, poller, connection_map, timeout=None):
        return set(), set(), set()


class _GearmanAbstractTest(unittest.TestCase):
    connection_class = MockGearmanConnection
    connection_manager_class = MockGearmanConnectionManager
    command_handler_class = None

    def setUp(self):
        self.setup_connection_manager()
        self.setup_connection()
        self.setup_command_handler()

    def setup_connection_manager(self):
        cls = self.connection_manager_class
        if self.command_handler_class is not None:
            cls = type(cls.__name__, (cls,), {"command_handler_class": self.command_handler_class})
        self.connection_manager = cls()

    def setup_connection(self):
        self.connection = self.connection_class()
        self.connection_manager.connection_list = [self.connection]

    def setup_command_handler(self):
        manager = self.connection_manager
        if self.command_handler_class is not None:
            manager.establish_connection(self.connection)
            self.command_handler = manager.connection_to_handler_map[self.connection]

    def generate_job(self):
        return GearmanJob(
            self.connection,
            handle=random_bytes(),
            task=b"__test_ability__",
            unique=random_bytes(),
            data=random_bytes(),
        )

    def generate_job_dict(self):
        return self.generate_job().to_dict()

    def generate_job_request(self, priority=PRIORITY_NONE, background=False):
        request = GearmanJobRequest(self.generate_job(), initial_priority=priority, background=background)
        assert request.state == "UNKNOWN"
        return request

    def assert_jobs_equal(self, one, other):
        assert one.to_dict() == other.to_dict()

    def assert_commands_equal(self, one, other):
        assert get_command_name(one) == get_command_name(other)

    def assert_sent_command(self, expected_cmd_type, **expected_cmd_args):
        cmd_type, cmd_args = self.connection._outgoing_commands.popleft()
        self.assert_commands_equal(cmd_type, expected_cmd_type)
        assert cmd_args == expected_cmd_args

    def assert_no_pending_commands(self):
        assert not self.connection._outgoing_commands
