"""
An uplink: one remote's cursor in the log, and whatever connection there is, brought together.

Two ways of sending, one order.  *Live*: everything in the log has been sent, and each batch is handed over from memory
as it is appended.  Otherwise the log is read from where sending stands, after an outage, or because the socket was full
for a moment; when the end is reached the uplink is live again.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.logs import Logger, Repeats
from hfp.spool import Cursor, Position, Spool
from hfp.status import Amount, UplinkStatus
from hfp.uplink.caution import LEAST_OCTETS, Caution
from hfp.uplink.confirmation import Confirmation
from hfp.uplink.connector import EndpointConnector
from hfp.uplink.factory import UplinkFactory
from hfp.uplink.liveness import DEAD_S, Life, StallWatch, judge
from hfp.uplink.protocol import IUplinkOwner, UplinkProtocol
from hfp.uplink.settings import UplinkSettings
from hfp.uplink.tally import Tally

#: Seconds between two looks at what was acknowledged, while anything is unconfirmed.
LOOK_S = 0.1

#: Octets read from the log before other descriptors have their turn.
TURN_OCTETS = 2 * 1024 * 1024

#: Packets older than this when they are sent are a backlog: the replay rate applies to them, seconds.
BACKLOG_AGE_S = 2.0


@implementer(IUplinkOwner)
class Uplink:
    """
    Gets every record of the log, from the cursor on, to one collector.

    :param cursor: the remote's place in the log; its name names the uplink.
    :param spool: the log.
    :param endpoint: the collector.
    :param clock: provides IReactorTime.
    :param repeats: for log lines that would repeat.
    """

    _log = Logger()

    def __init__(
        self,
        cursor: Cursor,
        spool: Spool,
        endpoint: IStreamClientEndpoint,
        settings: UplinkSettings,
        clock: Any,
        repeats: Repeats,
    ) -> None:
        self.name = cursor.name
        self.keepalive_s = settings.keepalive_s
        self.nodelay = settings.nodelay
        self._cursor = cursor
        self._spool = spool
        self._readers = cursor.reader(), cursor.reader(LEAST_OCTETS)
        self._reader = self._readers[0]
        self._settings = settings
        self._clock = clock
        self._repeats = repeats
        self._factory = UplinkFactory(self, clock, settings.reconnect_s)
        self._connector = EndpointConnector(endpoint, self._factory, clock)
        self._protocol: UplinkProtocol | None = None
        self._confirmation = Confirmation(cursor.position, settings.resend_window_s, clock.seconds())
        self._live = False
        self._at: Position = cursor.position  # the next to send
        self._tally = Tally(cursor.position)
        self._draining = False
        self._holding = False  # send nothing more
        self._alarm: Any = None  # the Deferred or the timer that will call `_wake`
        self._look_timer: Any = None
        self._replay_from = 0.0  # when the replay rate lets the next chunk go
        self._stall = StallWatch(cursor.name)
        self._dead = False
        self._caution = Caution(settings.resend_window_s)
        self._since = clock.seconds()
        self._settled: Deferred[None] | None = None
        self._ended: Deferred[None] | None = None

    # Starting, feeding, stopping

    def start(self) -> None:
        """Connect, and go on trying for ever."""
        self._connector.connect()

    def offer(self, pieces: list[Any], octets: int, packets: int, end: Position) -> None:
        """
        Hot, once per batch: a record was appended to the log and may be sent from memory.

        :param pieces: the record's buffers; they never change.
        :param end: the position behind it.
        """
        if not self._live:
            return
        protocol = self._protocol
        self._at = end
        if not protocol.give(pieces, octets, packets):  # type: ignore[union-attr]
            self._leave_live()
        self._confirmation.sent(protocol.given, protocol.packets, end)  # type: ignore[union-attr]
        self._tally.send_live(packets, octets, end)
        if self._look_timer is None:
            self._look_timer = self._clock.callLater(LOOK_S, self._look)

    async def stop(self, within_s: float) -> None:
        """
        Hand over what is there, learn whether the collector has read it, and end.

        :param within_s: seconds for all of it; what was not confirmed by then stays in the log.
        """
        deadline = self._clock.seconds() + within_s
        self._factory.stopTrying()
        self._connector.stopConnecting()
        if self._protocol is None:
            return
        self._settled = Deferred()
        self._settle()
        await self._at_most(self._settled, within_s / 2)
        self._holding = True
        self._live = False
        self._settled = None
        if self._protocol is None:
            return
        self._ended = Deferred()
        if not self._protocol.full:
            self._protocol.half_close()
        await self._at_most(self._ended, max(0.1, deadline - self._clock.seconds()))
        if self._protocol is not None:
            self._protocol.abort()
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None

    async def _at_most(self, waited: Deferred[None], seconds: float) -> None:
        timer = self._clock.callLater(seconds, _fire, waited)
        await waited
        if timer.active():
            timer.cancel()

    # Called by the connection

    def connected(self, protocol: UplinkProtocol) -> None:
        """The collector is there: start where the cursor stands."""
        now = self._clock.seconds()
        self._protocol = protocol
        self._since = now
        self._dead = False
        self._at = self._cursor.position
        self._confirmation = Confirmation(self._at, self._caution.window_s, now)
        self._seek()
        waiting = self._spool.end.packets - self._tally.high.packets
        self._draining = waiting > 0
        self._log.info(
            "remote {name} is connected ({peer}); {waiting} packets wait for it, {again} are sent again",
            name=self.name,
            peer=_address(protocol.transport.getPeer()),  # type: ignore[union-attr]
            waiting=waiting,
            again=max(0, self._tally.high.packets - self._at.packets),
        )

    def ready(self, protocol: UplinkProtocol) -> None:
        """The socket can take more."""
        if self._holding:
            if self._ended is not None:
                protocol.half_close()
            return
        self._pump()

    def lost(self, protocol: UplinkProtocol, reason: Failure) -> None:
        """The connection has ended: what was not confirmed will be sent again."""
        now = self._clock.seconds()
        self._look_at(protocol)
        if protocol.consumed:
            self._confirmation.consume()
        self._pass_on()
        cause = self._cause(protocol, reason)
        self._note_life(now - self._since)
        self._stop_waiting()
        self._protocol = None
        self._live = False
        self._since = now
        self._stall.note(False, now)
        self._cursor.rewind()
        if not protocol.consumed:
            self._tally.losses[cause] += 1
            if self._draining:
                self._tally.failed_drains += 1
            self._log.warn(
                "remote {name} is gone ({cause}: {reason}); {again} packets that may not have been read will be sent "
                "again, {waiting} wait",
                name=self.name,
                cause=cause,
                reason="it closed the connection" if protocol.closed_by_peer else reason.getErrorMessage(),
                again=max(0, self._tally.high.packets - self._cursor.position.packets),
                waiting=max(0, self._spool.end.packets - self._tally.high.packets),
            )
        if self._ended is not None and not self._ended.called:
            self._ended.callback(None)
        self._settle()
        self._factory.clientConnectionLost(self._connector, reason)

    def unreachable(self, result: str, reason: Failure) -> None:
        """An attempt has failed."""
        self._repeats.warn(
            (self.name, result),
            "remote {name} cannot be reached ({result}: {reason}); trying again at least every {seconds:g} s, "
            "{waiting} packets wait for it in the spool",
            name=self.name,
            result=result,
            reason=reason.getErrorMessage(),
            seconds=self._settings.reconnect_s,
            waiting=max(0, self._spool.end.packets - self._cursor.position.packets),
        )

    def status(self) -> UplinkStatus:
        """The uplink's state and counters now."""
        tally = self._tally
        end = self._spool.end
        at = self._at if self._protocol is not None else self._cursor.position
        return UplinkStatus(
            name=self.name,
            up=self._protocol is not None,
            stalled=self._stall.told,
            connects=dict(self._factory.connects),
            losses=dict(tally.losses),
            sent=tally.sent,
            resent=tally.resent,
            confirmed=tally.confirmed,
            lagging=Amount(packets=max(0, end.packets - at.packets), octets=max(0, end.octets - at.octets)),
            drains=tally.drains,
            failed_drains=tally.failed_drains,
            since_s=self._clock.seconds() - self._since,
        )

    # Sending from the log

    def _leave_live(self) -> None:
        self._live = False
        self._seek()
        if self._protocol is not None:
            self._protocol.hurry(False)

    def _seek(self) -> None:
        """Go on reading where sending stands: in small portions while the collector's connections are barren."""
        self._reader = self._readers[1 if self._caution.active else 0]
        for reader in self._readers:
            reader.seek(self._at)

    def _wake(self, _: Any = None) -> None:
        self._alarm = None
        self._pump()

    def _stop_waiting(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()

    def _pump(self) -> None:
        """Send from the log until the socket is full, the log's end is reached, or it is others' turn."""
        protocol = self._protocol
        if protocol is None or protocol.full or self._live or self._holding or self._alarm is not None:
            return
        turn = 0
        while turn < TURN_OCTETS:
            if self._caution.active and self._confirmation.unconfirmed_octets >= self._caution.octets:
                return  # `_look` goes on when something is confirmed
            if self._replay_from > (now := self._clock.seconds()):
                self._alarm = self._clock.callLater(self._replay_from - now, self._wake)
                return
            chunk = self._reader.read()
            if chunk is None:
                self._reached_end()
                return
            self._at = chunk.end
            taken = protocol.give(chunk.pieces, chunk.octets, chunk.packets)
            self._confirmation.sent(protocol.given, protocol.packets, chunk.end)
            self._tally.send(chunk.packets, chunk.octets, chunk.end)
            if self._look_timer is None:
                self._look_timer = self._clock.callLater(LOOK_S, self._look)
            if self._settings.replay_rate_octets and now - chunk.oldest_ns / 1e9 > BACKLOG_AGE_S:
                self._replay_from = max(now, self._replay_from) + chunk.octets / self._settings.replay_rate_octets
            if not taken:
                return
            turn += chunk.octets
        protocol.ask()

    def _reached_end(self) -> None:
        self._at = self._reader.position
        if self._draining:
            self._draining = False
            self._tally.drains += 1
            self._log.info("remote {name} has been sent everything that waited", name=self.name)
        if self._spool.readable == self._spool.end:
            self._live = not self._spool.holds_back and not self._caution.active
            if self._live and self._protocol is not None:
                self._protocol.hurry(True)
        if not self._live:
            self._alarm = self._spool.when_readable(self._reader.position)
            self._alarm.addCallbacks(self._wake, _ignore)
        self._settle()

    # Confirming

    def _look(self) -> None:
        """The timer: ten times a second while anything is unconfirmed, else never."""
        self._look_timer = None
        protocol = self._protocol
        if protocol is None:
            return
        self._look_at(protocol)
        self._pass_on()
        if self._caution.active:
            if self._caution.lasted(self._clock.seconds() - self._since):
                self._stop_waiting()
                self._seek()
            self._pump()
        self._settle()
        if self._confirmation.waiting and self._protocol is not None:
            self._look_timer = self._clock.callLater(LOOK_S, self._look)

    def _look_at(self, protocol: UplinkProtocol) -> None:
        info = protocol.look()
        if info is None:
            return
        now = self._clock.seconds()
        self._confirmation.look(info.acked - 1, info.window, now)
        life = judge(info)
        if life is Life.DEAD and not self._dead:
            self._dead = True
            self._log.warn(
                "remote {name} has not answered for {seconds:g} s although there is data on its way: connecting anew",
                name=self.name,
                seconds=DEAD_S,
            )
            self._clock.callLater(0, self._abort, protocol)
        self._stall.note(life is Life.STALLED, now)

    def _abort(self, protocol: UplinkProtocol) -> None:
        if self._protocol is protocol:
            protocol.abort()

    def _pass_on(self) -> None:
        confirmation = self._confirmation
        self._cursor.acknowledge(confirmation.acknowledged)
        self._cursor.confirm(confirmation.confirmed)
        packets, octets = confirmation.take_confirmed()
        if packets:
            self._tally.confirm(packets, octets)
            self._caution.confirmed()

    def _settle(self) -> None:
        """Tell `stop` when there is nothing left to hand over."""
        waiter = self._settled
        if waiter is None or waiter.called:
            return
        done = self._at.packets >= self._spool.end.packets
        if self._protocol is None or (done and not self._protocol.full and self._confirmation.all_acknowledged):
            waiter.callback(None)

    def _note_life(self, seconds: float) -> None:
        self._caution.lasted(seconds)
        if self._confirmation.barren and seconds < self._settings.resend_window_s:
            self._caution.barren()

    def _cause(self, protocol: UplinkProtocol, reason: Failure) -> str:
        if self._dead:
            return "dead"
        if protocol.closed_by_peer:
            return "closed"
        if "reset" in reason.getErrorMessage().lower() or "lost" in reason.getErrorMessage().lower():
            return "reset"
        return "other"


def _ignore(reason: Failure) -> None:
    reason.trap(CancelledError)


def _fire(waited: Deferred[None]) -> None:
    if not waited.called:
        waited.callback(None)


def _address(peer: Any) -> str:
    host, port = getattr(peer, "host", None), getattr(peer, "port", None)
    if host is None:
        return str(peer)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
