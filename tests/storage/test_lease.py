"""One writer at a time: the object store itself decides who takes over, and who was replaced cannot renew."""

import itertools
import json
import threading
import time

import pytest
from buckets import BOTH

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import lease
from logogan_jax.core.storage.lease import Lease
from logogan_jax.core.storage.object_store import Bucket, Unreachable

WAITERS = 4
ROUNDS = 6


def leave_lease(bucket, released):
    """Write the lease of a machine that is gone."""
    entry = lease.Entry(writer="gone", process="0", host="far-away", beats=7, released=released)
    bucket.write(lease.NAME, json.dumps(entry._asdict()).encode())


class Race:
    """Lets all waiters read the lease before the first of them writes it, and keeps what came of those writes."""

    def __init__(self, monkeypatch):
        self.wins, barrier, calls = [], threading.Barrier(WAITERS), itertools.count()
        write_if = Bucket.write_if

        def write_at_once(bucket, *rest):
            if next(calls) >= WAITERS:
                return write_if(bucket, *rest)
            barrier.wait(timeout=60)
            monkeypatch.setattr(lease, "TIMEOUT", 60.0)  # from now on nothing lapses, however slow the machine
            version = write_if(bucket, *rest)
            self.wins.append(version is not None)
            return version

        monkeypatch.setattr(Bucket, "write_if", write_at_once)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("released", [False, True])
def test_of_several_that_take_over_at_once_exactly_one_wins(bucket, monkeypatch, released, capsys):
    monkeypatch.setattr(lease, "POLL_EVERY", 0.01)
    for number in range(ROUNDS):
        where = Bucket(f"{bucket}/{number}")
        leave_lease(where, released)
        holders, most, held = [], [], []
        with monkeypatch.context() as patch:
            patch.setattr(lease, "TIMEOUT", 0.1)
            patch.setattr(lease, "RENEW_EVERY", 0.01)
            race = Race(patch)

            def write_in_turn(name, where=where, holders=holders, most=most, held=held):
                mine = Lease(where, name)
                mine.acquire()
                holders.append(name)
                most.append(len(holders))
                time.sleep(0.01)
                holders.remove(name)
                mine.release()
                held.append(name)

            threads = [threading.Thread(target=write_in_turn, args=(f"writer {i}",)) for i in range(WAITERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=60)
        assert race.wins.count(True) == 1 and len(race.wins) == WAITERS
        assert max(most) == 1 and len(held) == WAITERS


@BOTH
def test_of_several_that_come_first_exactly_one_wins(bucket, monkeypatch, capsys):
    monkeypatch.setattr(lease, "POLL_EVERY", 0.01)
    race = Race(monkeypatch)
    leases = [Lease(Bucket(f"{bucket}/run"), f"writer {i}") for i in range(WAITERS)]
    before = []

    def write(mine):
        before.append(mine.acquire())
        mine.release()

    threads = [threading.Thread(target=write, args=(mine,)) for mine in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert race.wins.count(True) == 1 and before.count(None) == 1 and len(set(before)) == WAITERS


@BOTH
def test_who_was_replaced_cannot_renew(bucket, monkeypatch, capsys):
    monkeypatch.setattr(lease, "TIMEOUT", 0.2)
    monkeypatch.setattr(lease, "POLL_EVERY", 0.01)
    monkeypatch.setattr(lease, "RENEW_EVERY", 1000.0)  # as a process that hangs
    hung = Lease(Bucket(f"{bucket}/run"), "hung")
    hung.acquire()
    other = Lease(Bucket(f"{bucket}/run"), "other")
    assert other.acquire() == "hung"
    for _ in range(2):
        with pytest.raises(UserError, match=r"is not this run's any more: .* trains there; this one has stopped"):
            hung.confirm()
    hung.release()
    assert hung.last_writer() == "other"
    other.confirm()
    other.release()


@BOTH
def test_an_answer_that_gets_lost_does_not_lose_the_lease(bucket, monkeypatch):
    monkeypatch.setattr(lease, "TIMEOUT", 0.0)  # every confirmation renews
    mine = Lease(Bucket(f"{bucket}/run"), "mine")
    mine.acquire()
    write_if = Bucket.write_if

    def write_and_break(self, *rest):
        write_if(self, *rest)
        raise Unreachable("the answer is lost")

    with monkeypatch.context() as patch, pytest.raises(Unreachable):
        patch.setattr(Bucket, "write_if", write_and_break)
        mine.confirm()
    mine.confirm()
    mine.release()
    assert json.loads(Bucket(f"{bucket}/run").read(lease.NAME))["released"]
