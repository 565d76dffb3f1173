"""Random conversations with the broker, held against a plain account of what was promised."""

import random

import pytest
from world import Peer, World

from gearcore.protocol import PacketType as P

FUNCTIONS = [b"f0", b"f1", b"f2", b"f3"]


class Account:
    """What clients were promised and workers were given, kept in the simplest way."""

    def __init__(self, seed: int, **rules: object) -> None:
        self.random = random.Random(seed)
        self.world = World(**rules)
        self.offers_wake = rules.get("worker_wakeup") != 0  # gearmand lets who offers more sleep on
        self.asleep: set[Peer] = set()
        self.peers: list[Peer] = []
        self.promised: dict[bytes, bytes] = {}
        self.background: set[bytes] = set()
        self.waiting: dict[bytes, list[Peer]] = {}
        self.running: dict[bytes, Peer] = {}
        self.answered: list[tuple[Peer, bytes]] = []

    def step(self) -> None:
        acts = [self.join, self.offer, self.withdraw, self.sleep, self.leave]
        acts += [self.submit] * 6 + [self.grab] * 5 + [self.finish] * 5 + [self.report]
        self.random.choice(acts)()
        self.listen()
        if self.random.random() < 0.1:
            self.oversleep()

    def oversleep(self) -> None:
        """After a moment in which nobody did anything, no job waits while a worker for it sleeps."""
        self.world.pass_time(0.2)
        self.listen()
        waiting = {f.name for f in self.world.broker.functions if f.high + f.normal + f.low}
        for peer in self.asleep:
            assert not waiting.intersection(peer.connection.functions)

    def join(self) -> None:
        if len(self.peers) < 12:
            self.peers.append(self.world.peer())

    def anyone(self) -> Peer:
        if not self.peers:
            self.join()
        return self.random.choice(self.peers)

    def offer(self) -> None:
        peer = self.anyone()
        peer.send(P.CAN_DO, self.random.choice(FUNCTIONS))
        if not self.offers_wake:
            self.asleep.discard(peer)

    def withdraw(self) -> None:
        peer, function = self.anyone(), self.random.choice([*FUNCTIONS, None])
        peer.send(*((P.RESET_ABILITIES,) if function is None else (P.CANT_DO, function)))
        for given in [g for g, w in self.running.items() if w is peer]:
            if function is None or self.promised[given] == function:
                self.give_back(given)

    def sleep(self) -> None:
        peer = self.anyone()
        peer.send(P.PRE_SLEEP)
        self.asleep.add(peer)

    def submit(self) -> None:
        peer, function = self.anyone(), self.random.choice(FUNCTIONS)
        background = self.random.random() < 0.5
        unique = self.random.choice([b"", b"", b"-", b"a", b"b"])
        ending = self.random.choice(["", "_HIGH", "_LOW"]) + ("_BG" if background else "")
        self.listen()
        peer.send(P[f"SUBMIT_JOB{ending}"], function, unique, self.random.choice([b"", b"w", b"a"]))
        *woken, (kind, given) = peer.received()
        assert kind is P.JOB_CREATED
        if woken:
            self.asleep.discard(peer)
        assert self.promised.setdefault(given, function) == function
        if background:
            self.background.add(given)
        self.waiting.setdefault(given, [])
        if not background:
            self.waiting[given].append(peer)

    def grab(self) -> None:
        peer = self.anyone()
        self.listen()
        offered = set(peer.connection.functions)
        peer.send(P.GRAB_JOB)
        self.asleep.discard(peer)
        ((kind, *args),) = peer.received()
        if kind is P.NO_JOB:
            queued = {self.promised[g] for g in self.waiting if g not in self.running}
            assert not queued & offered, "a job waits for a worker that was told there is none"
            return
        given, function, _ = args
        assert function in offered
        assert self.promised[given] == function
        assert given not in self.running, "handed out twice"
        assert given in self.waiting, "handed out after its end"
        self.running[given] = peer

    def finish(self) -> None:
        if self.running:
            given = self.random.choice(list(self.running))
            worker = self.running.pop(given)
            worker.send(P.WORK_COMPLETE, given, b"result")
            self.answered += [(client, given) for client in self.waiting.pop(given)]

    def report(self) -> None:
        for given, worker in self.running.items():
            worker.send(P.WORK_STATUS, given, b"1", b"2")

    def leave(self) -> None:
        if len(self.peers) < 4:
            return
        peer = self.peers.pop(self.random.randrange(len(self.peers)))
        self.listen()
        self.asleep.discard(peer)
        peer.leave()
        for given, clients in list(self.waiting.items()):
            clients[:] = [c for c in clients if c is not peer]
            if not clients and given not in self.background and given not in self.running:
                del self.waiting[given]
        for given in [g for g, w in self.running.items() if w is peer]:
            self.give_back(given)

    def give_back(self, given: bytes) -> None:
        del self.running[given]
        if not self.waiting[given] and given not in self.background:
            del self.waiting[given]

    def listen(self) -> None:
        """Every result that was due has come, and none that was not."""
        heard = []
        for peer in self.peers:
            for kind, *args in peer.received():
                if kind is P.NOOP:
                    self.asleep.discard(peer)
                elif kind is P.WORK_COMPLETE:
                    heard.append((peer, args[0]))
        assert sorted(heard, key=lambda h: (id(h[0]), h[1])) == sorted(
            self.answered, key=lambda h: (id(h[0]), h[1])
        )
        self.answered.clear()

    def settle(self) -> None:
        """Everything promised and not ended is still there, in the counts and for a worker to do."""
        assert len(self.world.broker) == len(self.waiting)
        assert sum(f.running for f in self.world.broker.functions) == len(self.running)
        for f in self.world.broker.functions:
            queued = [g for g in self.waiting if g not in self.running and self.promised[g] == f.name]
            assert f.high + f.normal + f.low == len(queued)
            assert f.workers == sum(p.connection.functions.count(f.name) for p in self.peers)
        for peer in self.peers:
            peer.leave()
        worker = self.world.worker(*FUNCTIONS)
        left = set()
        while (given := worker.grab()) is not None:
            left.add(given)
        assert left == {g for g in self.waiting if g in self.background}


@pytest.mark.parametrize(
    "rules",
    [{}, {"worker_wakeup": 0}, {"in_order_of_offer": True}, {"in_order_of_offer": True, "round_robin": True}],
    ids=str,
)
@pytest.mark.parametrize("seed", range(30))
def test_no_job_is_lost_doubled_left_lying_or_given_to_the_wrong_peer(seed, rules):
    account = Account(seed, **rules)
    for _ in range(300):
        account.step()
    account.settle()
