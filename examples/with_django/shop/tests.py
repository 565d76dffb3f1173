"""Tests of the shop, which need no job server: the client and the worker are joined in memory."""

from unittest.mock import patch

from django.core import mail
from django.test import SimpleTestCase

from gearcore.testing import Pair
from shop import tasks


class ReceiptTest(SimpleTestCase):
    """What becomes of an order."""

    def setUp(self):
        self.pair = self.enterContext(Pair(tasks.worker))
        self.enterContext(patch.object(tasks, "client", self.pair.client))

    def test_an_order_is_answered_by_a_receipt(self):
        response = self.client.post("/orders/", {"email": "you@example.org", "total": "42"})
        self.assertEqual(response.status_code, 202)
        self.assertEqual([message.to for message in mail.outbox], [["you@example.org"]])

    def test_a_receipt_that_cannot_be_sent_is_sent_later(self):
        with patch.object(tasks, "send_mail", side_effect=OSError("no route to host")):
            self.client.post("/orders/", {"email": "you@example.org", "total": "42"})
        self.assertEqual(mail.outbox, [])
        self.pair.pass_time(60)
        self.assertEqual(len(mail.outbox), 1)
