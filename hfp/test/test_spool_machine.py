"""
The spool under everything that can happen to it, in any order: a Hypothesis state machine over a file system that fails
and crashes.
"""

from __future__ import annotations

import gc
import os
from errno import EIO, ENOSPC
from random import Random
from typing import Any

from attrs import define
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import SpoolFull
from hfp.spool import Cursor, FullPolicy, Position, Reader, Spool
from hfp.spool.cursors import file_name
from hfp.test.spoolfakes import DIRECTORY, Crashed, SimulatedFiles, Steps, body, clock, numbers, open_spool

SEGMENT_OCTETS = 2048


@define
class Record:
    """A batch that was appended."""

    number: int
    start: Position
    end: Position
    lost: bool = False  # or it may be: nobody can rely on it any more


class Remote:
    """Whoever reads for a cursor, and what it remembers."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.reader: Reader = cursor.reader()
        self.ends: list[tuple[int, Position]] = []  # what was read: number, position behind it
        self.sent = -1  # the newest number read since the last restart or rewind


class SpoolMachine(RuleBasedStateMachine):
    """
    No kill of the process loses a record that was appended, save from memory; no power cut one that was durable.

    What is read is whole, was appended, and comes in order.  Opening succeeds whatever was left behind.
    """

    sync_s = 0.2

    def __init__(self) -> None:
        super().__init__()
        self.files = SimulatedFiles()
        self.records: list[Record] = []
        self.next = 0
        self.remotes: dict[str, Remote] = {}
        self.names = ["tcp:a:1"]
        self.confirmed: dict[str, int] = {}
        self.kept: set[str] = set()  # cursors that are on the disk for certain
        self.dubious = Position(0, 0, 0, 0)  # up to there, what is called durable may not be
        self.spool: Spool
        self.start()

    # Starting and stopping

    def start(self) -> None:
        self.files.faults.clear()
        self.files.octets = 1 << 40
        self.files.crash_in = None
        self.clock = clock()
        self.steps = Steps()
        self.spool = open_spool(
            self.files,
            clock=self.clock,
            in_thread=self.steps,
            sync_s=self.sync_s,
            segment_octets=SEGMENT_OCTETS,
            full=FullPolicy.BLOCK,
        )
        self.remotes = {}
        kept = {cursor.name for cursor in self.spool.kept()}
        assert self.kept <= kept
        for name in self.names:
            self.remotes[name] = Remote(self.spool.cursor(name))
            if name not in kept:
                self.confirmed[name] = self.next - 1
        self.kept = set(self.names)

    def check_remains(self) -> None:
        """After a restart every remote finds what it must find."""
        self.steps.run()
        for name, remote in self.remotes.items():
            found = self.read(remote)
            known = {record.number for record in self.records}
            assert set(found) <= known, "something was read that was never appended"
            must = [
                record.number for record in self.records if not record.lost and record.number > self.confirmed[name]
            ]
            assert set(must) <= set(found), (name, sorted(set(must) - set(found)))
        found_by_all = set.union(*({number for number, _ in remote.ends} for remote in self.remotes.values()))
        for record in self.records:
            if record.number not in found_by_all:
                record.lost = True

    def attempt(self, action: Any, *arguments: Any) -> Any:
        """Do something during which the power may fail."""
        result = None
        try:
            result = action(*arguments)
        except Crashed:
            pass
        if self.files.crashed:  # it may have been caught by a Deferred
            self.power_cut(len(self.records))
            return None
        return result

    # A seed, not a random of Hypothesis's: that may end the example at any draw, in the midst of the power cut.
    @rule(seed=st.integers(0, 1 << 16), again=st.sampled_from([None, None, 0, 1, 2, 3, 5, 8]))
    def power_cut(self, seed: int, again: int | None = None) -> None:
        random = Random(seed)
        durable = self.spool.durable
        for record in self.records:
            if record.end > durable or record.end <= self.dubious:
                record.lost = True
        self.files.crash(random)
        if again is not None:  # and once more while the spool is being opened
            self.files.faults.clear()
            self.files.crash_in = again
            try:
                spool = open_spool(self.files, in_thread=Steps(), segment_octets=SEGMENT_OCTETS)
                spool.cursor(self.names[0])
            except Crashed:
                pass
            self.files.crash(random)
        self.start()
        self.check_remains()

    @rule()
    def kill(self) -> None:
        in_memory = self.spool.status().memory_segments > 0
        for record in self.records:
            if in_memory and f"{DIRECTORY}/seg-{record.start.segment:016x}" not in self.files.names:
                record.lost = True  # it was in memory, or everybody has it
        if self.files.failures["rename"] and self.files.failures["sync"]:
            # The file of a failed sync should have got a name that says so, and could not.
            self.dubious = self.spool.end
        self.files.kill()
        self.start()
        self.check_remains()

    @rule()
    def stop(self) -> None:
        self.files.faults.clear()
        self.files.octets = 1 << 40
        closing = self.attempt(self._close)
        if closing is None:
            return
        self.start()
        self.check_remains()

    def _close(self) -> bool:
        closing = Deferred.fromCoroutine(self.spool.close())
        self.steps.run()
        if self.files.crashed:
            closing.addErrback(lambda _: None)
            return False
        assert closing.called
        assert closing.result is None, closing.result
        assert not self.clock.getDelayedCalls()
        assert not self.files.opened, "files were left open"
        return True

    # What the disk does

    @rule(
        method=st.sampled_from(["write", "sync", "create", "rename", "unlink", "sync_directory", "open"]),
        error=st.sampled_from([EIO, ENOSPC]),
        after=st.integers(0, 3),
        times=st.integers(1, 4),
        part=st.sampled_from([0.0, 0.0, 0.3, 0.99]),
    )
    def fault(self, method: str, error: int, after: int, times: int, part: float) -> None:
        self.files.fail(method, error, after, times, part)

    @rule(after=st.integers(0, 12))
    def power_cut_soon(self, after: int) -> None:
        self.files.crash_in = after

    @rule(share=st.sampled_from([0.0, 0.02, 0.1]))
    def fill(self, share: float) -> None:
        """Somebody fills the file system, or empties it."""
        self.files.octets = int(self.files.used() / (1 - share)) if share else 1 << 40

    @rule()
    def step(self) -> None:
        self.attempt(self.steps.step)

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.attempt(self.clock.advance, seconds)

    @rule(runs=st.integers(1, 3))
    def settle(self, runs: int) -> None:
        """A quiet moment: all that is due gets done."""
        for _ in range(runs):
            self.attempt(self.clock.advance, 0.25)
            self.attempt(self.steps.run)

    @rule(method=st.sampled_from(["sync", "sync", "sync_directory", "write", "create"]), runs=st.integers(1, 3))
    def fault_under_load(self, method: str, runs: int) -> None:
        """What a disk does that begins to fail."""
        self.attempt(self._append, 300, 3)
        self.files.fail(method, EIO)
        self.attempt(self._append, 300, 3)
        for _ in range(runs):
            self.attempt(self.clock.advance, 0.25)
            self.attempt(self.steps.run)

    # What hfp does

    @rule(octets=st.integers(9, 900), packets=st.integers(1, 9))
    def append(self, octets: int, packets: int) -> None:
        self.attempt(self._append, octets, packets)

    @rule(count=st.integers(2, 12))
    def append_many(self, count: int) -> None:
        for _ in range(count):
            self.attempt(self._append, 300, 3)

    def _append(self, octets: int, packets: int) -> None:
        number = self.next
        self.next += 1
        before = self.spool.end
        # Before the attempt: a power cut in the midst of it may leave the record on the disk.
        record = Record(number, before, before, lost=True)
        self.records.append(record)
        cut = 5 % octets
        pieces = [body(number, octets)[:cut], body(number, octets)[cut:]]
        try:
            end = self.spool.append(pieces, octets, packets, 1)
        except SpoolFull:
            return
        assert end == self.spool.end
        assert end > before
        assert end.packets == before.packets + packets
        assert end.octets == before.octets + octets
        start = Position(end.segment, end.offset - octets - 48, before.packets, before.octets)
        record.start, record.end, record.lost = start, end, False

    def read(self, remote: Remote, most: int = 1 << 30) -> list[int]:
        found: list[int] = []
        while most and (chunk := remote.reader.read()) is not None:
            most -= 1
            assert chunk.end <= self.spool.readable
            assert chunk.octets == sum(map(len, chunk.pieces)) == chunk.end.octets - chunk.start.octets
            assert chunk.packets == chunk.end.packets - chunk.start.packets
            for number in numbers(chunk.pieces):
                assert number > remote.sent, "out of order, or twice"
                remote.sent = number
                found.append(number)
            remote.ends.append((remote.sent, chunk.end))
        return found

    @rule(data=st.data(), most=st.integers(1, 3))
    def read_some(self, data: st.DataObject, most: int) -> None:
        remote = self.remotes[data.draw(st.sampled_from(self.names))]
        self.attempt(self.read, remote, most)

    @rule(data=st.data(), confirm=st.booleans())
    def hear(self, data: st.DataObject, confirm: bool) -> None:
        remote = self.remotes[data.draw(st.sampled_from(self.names))]
        if not remote.ends:
            return
        number, end = data.draw(st.sampled_from(remote.ends))
        if confirm:
            self.confirmed[remote.cursor.name] = max(self.confirmed[remote.cursor.name], number)
            self.attempt(remote.cursor.confirm, end)
        else:
            self.attempt(remote.cursor.acknowledge, end)

    @rule()
    def deliver(self) -> None:
        """Everybody gets everything."""
        for name in self.names:
            self.attempt(self._deliver, self.remotes[name])

    def _deliver(self, remote: Remote) -> None:
        self.read(remote)
        if remote.ends:
            number, end = remote.ends[-1]
            self.confirmed[remote.cursor.name] = max(self.confirmed[remote.cursor.name], number)
            remote.cursor.confirm(end)

    @rule(data=st.data())
    def lose_connection(self, data: st.DataObject) -> None:
        remote = self.remotes[data.draw(st.sampled_from(self.names))]
        remote.cursor.rewind()
        remote.reader.seek(remote.cursor.position)
        remote.sent = -1
        remote.ends.clear()

    @precondition(lambda self: len(self.names) == 1)
    @rule()
    def add_remote(self) -> None:
        name = "tcp:b:2"
        self.names.append(name)
        self.confirmed[name] = self.next - 1
        calm = not self.files.faults and self.files.crash_in is None
        created = self.attempt(self.spool.cursor, name)
        if created is not None:
            if calm and f"{DIRECTORY}/{file_name(name)}" in self.files.names:
                self.kept.add(name)
            self.remotes[name] = Remote(created)

    @rule()
    def ask(self) -> None:
        status = self.spool.status()
        assert status.disk_octets >= 0
        assert status.backlog.packets >= 0

    def teardown(self) -> None:
        self.stop()


class SyncingSpoolMachine(SpoolMachine):
    """The same with a sync interval of 0: what was read was durable, unless the disk refuses."""

    sync_s = 0.0


class DroppingSpoolMachine(RuleBasedStateMachine):
    """
    At its limit a spool loses the oldest records of remotes that lag, and nothing else; each one that is lost is
    counted, once; the limit holds.
    """

    limit_octets = 8 * SEGMENT_OCTETS

    def __init__(self) -> None:
        super().__init__()
        self.files = SimulatedFiles()
        self.records: list[Record] = []
        self.names = ["tcp:a:1", "tcp:b:2"]
        self.start()

    def start(self) -> None:
        self.clock = clock()
        self.spool = open_spool(
            self.files, clock=self.clock, segment_octets=SEGMENT_OCTETS, limit_octets=self.limit_octets
        )
        self.cursors = {name: self.spool.cursor(name) for name in self.names}
        self.readers = {name: cursor.reader(700) for name, cursor in self.cursors.items()}
        self.expected = {name: cursor.position.packets for name, cursor in self.cursors.items()}  # packets
        self.check()

    def check(self) -> None:
        for name, cursor in self.cursors.items():
            found = []
            reader = cursor.reader(3000)
            while (chunk := reader.read()) is not None:
                found += numbers(chunk.pieces)
            at = cursor.position.packets
            assert found == [record.number for record in self.records if record.start.packets >= at]
            dropped = cursor.dropped()
            assert dropped["spool-full"].packets == at - self.expected[name]
            assert dropped["corrupt"].packets == dropped["forgotten-memory"].packets == 0
        assert self.spool.status().disk_octets <= self.limit_octets
        assert self.files.used() <= self.limit_octets + 3 * 4608
        assert self.spool.status().corrupt_records == 0

    @rule(count=st.integers(1, 30), octets=st.integers(9, 700), packets=st.integers(1, 5))
    def append(self, count: int, octets: int, packets: int) -> None:
        for _ in range(count):
            before = self.spool.end
            number = len(self.records)
            end = self.spool.append([body(number, octets)], octets, packets, 1)
            self.records.append(Record(number, before, end))
        self.check()

    @rule(name=st.sampled_from(["tcp:a:1", "tcp:b:2"]), chunks=st.integers(1, 20))
    def deliver(self, name: str, chunks: int) -> None:
        cursor, reader = self.cursors[name], self.readers[name]
        for _ in range(chunks):
            chunk = reader.read()
            if chunk is None:
                break
            before = cursor.position
            cursor.confirm(chunk.end)
            self.expected[name] += cursor.position.packets - before.packets

    @rule(seconds=st.sampled_from([0.2, 1.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def kill(self) -> None:
        self.clock.advance(1.0)  # the cursors' files catch up
        self.files.kill()
        self.start()

    @rule()
    def stop(self) -> None:
        closing = Deferred.fromCoroutine(self.spool.close())
        assert closing.called
        assert not self.files.opened
        self.start()

    @rule()
    def forget(self) -> None:
        """One remote is not configured for a while, and yields; then it comes back."""
        self.clock.advance(1.0)
        self.files.kill()
        spool = open_spool(self.files, segment_octets=SEGMENT_OCTETS, limit_octets=self.limit_octets)
        spool.cursor(self.names[0])
        for _ in range(20):
            before = spool.end
            number = len(self.records)
            self.records.append(Record(number, before, spool.append([body(number, 300)], 300, 1, 1)))
        closing = Deferred.fromCoroutine(spool.close())
        assert closing.called
        self.start()


SETTINGS = settings(
    deadline=None,
    stateful_step_count=40,
    max_examples=int(os.environ.get("HFP_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class SpoolMachineTests(SynchronousTestCase):
    """Runs the machines above."""

    def run_machine(self, machine: type[RuleBasedStateMachine]) -> None:
        try:
            run_state_machine_as_test(machine, settings=SETTINGS)
        finally:
            gc.collect()  # has Deferreds say that nobody saw their power cut
            self.flushLoggedErrors(Crashed)

    def test_interval(self) -> None:
        """With a sync interval."""
        self.run_machine(SpoolMachine)

    def test_at_once(self) -> None:
        """With a sync interval of 0."""
        self.run_machine(SyncingSpoolMachine)

    def test_limit(self) -> None:
        """At a limit."""
        self.run_machine(DroppingSpoolMachine)
