"""
An uplink: one remote's cursor in the log, and whatever connection there is, brought together.

Two ways of sending, one order.  *Live*: everything in the log has been sent, and each batch is handed over from memory
as it is appended.  Otherwise the log is read from where sending stands, after an outage, or because the socket was full
for a moment; when the end is reached the uplink is live again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.logs import Logger, Repeats
from hfp.spool import Chunk, Cursor, Position, Spool
from hfp.status import Amount, UplinkStatus
from hfp.uplink.caution import LEAST_OCTETS, Caution
from hfp.uplink.confirmation import Confirmation
from hfp.uplink.connection import IUplinkConnection, IUplinkOwner
from hfp.uplink.connector import EndpointConnector
from hfp.uplink.factory import UplinkFactory
from hfp.uplink.kinds import TCP, Kind
from hfp.uplink.liveness import DEAD_S, Life, StallWatch
from hfp.uplink.losses import REFUSALS, cause_of, own_address
from hfp.uplink.patience import at_most, fire
from hfp.uplink.portion import Portion, hep3_of
from hfp.uplink.settings import UplinkSettings
from hfp.uplink.tally import Tally
from hfp.uplink.telling import Telling

#: Seconds between two looks at what was acknowledged, while anything is unconfirmed.
LOOK_S = 0.1

#: Octets read from the log before other descriptors have their turn.
TURN_OCTETS = 2 * 1024 * 1024


@implementer(IUplinkOwner)
class Uplink:
    """
    Gets every record of the log, from the cursor on, to one collector.

    :param cursor: the remote's place in the log; its name names the uplink.
    :param spool: the log.
    :param endpoint: the collector.
    :param clock: provides IReactorTime.
    :param repeats: for log lines that would repeat.
    :param kind: of the remote; it must fit the endpoint.
    :param is_own: of ``tcp`` (TLS too) or ``udp``, an IP address of this machine and a port: whether hfp listens there.
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
        kind: Kind = TCP,
        is_own: Callable[[str, str, int], bool] = lambda transport, host, port: False,
    ) -> None:
        self.name = cursor.name
        self.keepalive_s = settings.keepalive_s
        self.nodelay = settings.nodelay
        self._cursor = cursor
        self._spool = spool
        self._readers = cursor.reader(kind.read_octets), cursor.reader(LEAST_OCTETS)
        self._reader = self._readers[0]
        self._settings = settings
        self._clock = clock
        self._tell = Telling(cursor.name, kind.name, repeats)
        self._listens = is_own
        self._factory = UplinkFactory(self, clock, settings.reconnect_s, kind.make)
        self._connector = EndpointConnector(endpoint, self._factory, clock)
        self._protocol: Any = None  # IUplinkConnection
        self._confirmation = Confirmation(cursor.position, settings.resend_window_s, clock.seconds())
        self._live = False
        self._at: Position = cursor.position  # the next to send
        self._tally = Tally(cursor.position)
        self._draining = False
        self._holding = False  # send nothing more
        self._alarm: Any = None  # the Deferred or the timer that will call `_wake`
        self._look_timer: Any = None
        self._pace = kind.pace(settings.replay_rate_octets)
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
        connection = self._protocol
        self._at = end
        if pieces[0][0] or connection.takes_datagrams:  # a batch of datagrams starts with 0, and is rare
            if not connection.give(pieces, octets, packets):
                self._leave_live()
            self._tally.send_live(packets, octets, end)
        else:
            self._drop("not-hep3", packets, octets, end.octets)
        self._confirmation.sent((connection.given, connection.packets, end))
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
        await at_most(self._clock, self._settled, within_s / 2)
        self._holding = True
        self._live = False
        self._settled = None
        if self._protocol is None:
            return
        self._ended = Deferred()
        if not self._protocol.full:
            self._protocol.half_close()
        await at_most(self._clock, self._ended, max(0.1, deadline - self._clock.seconds()))
        if self._protocol is not None:
            self._protocol.abort()
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None

    # Called by the connection

    @property
    def spread_s(self) -> float:
        """See `IUplinkOwner.spread_s`."""
        return self._pace.spread_s

    def greeting(self) -> bytes:
        """See `IUplinkOwner.greeting`."""
        return self._settings.hello() if self._settings.hello is not None else b""

    def is_own(self, transport: str, peer: Any, host: Any) -> bool:
        """See `IUplinkOwner.is_own`."""
        return (address := own_address(peer, host)) is not None and self._listens(transport, address, peer.port)

    def spoke_tls(self, connection: IUplinkConnection) -> None:
        """See `IUplinkOwner.spoke_tls`."""
        self._tell.spoke_tls()

    def dropped(self, connection: IUplinkConnection, reason: str, octets: int, behind: int) -> None:
        """See `IUplinkOwner.dropped`."""
        new = self._drop(reason, 1, octets, self._at.octets - behind)
        self._tally.take_back(octets, new=new)

    def connected(self, connection: IUplinkConnection) -> None:
        """The collector is there: start where the cursor stands."""
        now = self._clock.seconds()
        self._protocol = connection
        self._since = now
        self._dead = False
        self._at = self._cursor.position
        self._confirmation = Confirmation(self._at, self._caution.window_s, now)
        self._seek()
        waiting = self._spool.end.packets - self._tally.high.packets
        self._draining = waiting > 0
        again = max(0, self._tally.high.packets - self._at.packets)
        self._tell.connected(self._protocol.transport.getPeer(), waiting, again)

    def ready(self, connection: IUplinkConnection) -> None:
        """The socket can take more."""
        if self._holding:
            if self._ended is not None:
                connection.half_close()
            return
        self._pump()

    def lost(self, connection: IUplinkConnection, reason: Failure) -> None:
        """The connection has ended: what was not confirmed will be sent again."""
        now = self._clock.seconds()
        if connection.confirms:
            self._look_at(connection)
        if connection.consumed:
            self._confirmation.consume()
        fruitless = self._confirmation.fruitless
        self._pass_on()
        cause, words = cause_of(connection, reason, self._dead)
        lasted = now - self._since
        self._caution.lasted(lasted)
        if self._confirmation.barren and lasted < self._settings.resend_window_s and cause not in REFUSALS:
            self._caution.barren()
        self._stop_waiting()
        self._protocol = None
        self._live = False
        self._since = now
        self._stall.note(False, now)
        self._cursor.rewind()
        if not connection.consumed:
            self._tally.losses[cause] += 1
            if self._draining:
                self._tally.failed_drains += 1
            again = max(0, self._tally.high.packets - self._cursor.position.packets)
            waiting = max(0, self._spool.end.packets - self._tally.high.packets)
            self._tell.gone(cause, words, lasted, fruitless=fruitless, again=again, waiting=waiting)
        fire(self._ended)
        self._settle()
        self._factory.clientConnectionLost(self._connector, reason)

    def unreachable(self, result: str, reason: Failure) -> None:
        """An attempt has failed."""
        waiting = max(0, self._spool.end.packets - self._cursor.position.packets)
        self._tell.unreachable(result, reason.getErrorMessage(), self._settings.reconnect_s, waiting)

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
            dropped=tally.dropped,
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
        self._pace.begin(self._spool.end.counters)

    def _wake(self, _: Any = None) -> None:
        self._alarm = None
        self._pump()

    def _stop_waiting(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()

    def _pump(self) -> None:
        """Send from the log until the socket is full, the log's end is reached, or it is others' turn."""
        connection = self._protocol
        if connection is None or connection.full or self._live or self._holding or self._alarm is not None:
            return
        turn = 0
        while turn < TURN_OCTETS:
            if self._caution.active and self._confirmation.unconfirmed_octets >= self._caution.octets:
                return  # `_look` goes on when something is confirmed
            now = self._clock.seconds()
            if (wait := self._pace.wait(now)) > 0:
                self._alarm = self._clock.callLater(wait, self._wake)
                return
            chunk = self._reader.read()
            if chunk is None:
                self._reached_end()
                return
            self._at = chunk.end
            taken = self._give(connection, chunk)
            self._confirmation.sent((connection.given, connection.packets, chunk.end))
            if self._look_timer is None:
                self._look_timer = self._clock.callLater(LOOK_S, self._look)
            age_s = now - chunk.oldest_ns / 1e9
            self._pace.sent((chunk.packets, chunk.octets), age_s, self._spool.end.counters, now)
            if not taken:
                return
            turn += chunk.octets
        connection.ask()

    def _give(self, connection: Any, chunk: Chunk) -> bool:
        """:returns: whether the socket took it all."""
        portion: Chunk | Portion = chunk
        if not connection.takes_datagrams:
            portion = hep3_of(chunk)
            for packets, octets, at in portion.left_out:
                self._drop("not-hep3", packets, octets, at)
        taken = not portion.pieces or connection.give(portion.pieces, portion.octets, portion.packets)
        self._tally.send(portion.packets, portion.octets, chunk.end)
        return taken

    def _drop(self, reason: str, packets: int, octets: int, at: int) -> bool:
        """See `Tally.drop`."""
        new = self._tally.drop(reason, packets, octets, at)
        if new:
            self._tell.dropped(reason, packets, octets)
        return new

    def _reached_end(self) -> None:
        self._at = self._reader.position
        if self._draining:
            self._draining = False
            self._tally.drains += 1
            self._log.info("remote {name} has been sent everything that waited", name=self.name)
        if self._spool.readable == self._spool.end:
            self._live = not self._spool.holds_back and not self._caution.active
            if self._live:
                self._protocol.hurry(True)
        if not self._live:
            self._alarm = self._spool.when_readable(self._reader.position)
            self._alarm.addCallbacks(self._wake, _ignore)
        self._settle()

    # Confirming

    def _look(self) -> None:
        """The timer: ten times a second while anything is unconfirmed, else never."""
        self._look_timer = None
        connection = self._protocol
        if connection is None:
            return
        self._look_at(connection)
        self._pass_on()
        if self._caution.active:
            if self._caution.lasted(self._clock.seconds() - self._since):
                self._stop_waiting()
                self._seek()
            self._pump()
        self._settle()
        if self._confirmation.waiting and self._protocol is not None:
            self._look_timer = self._clock.callLater(LOOK_S, self._look)

    def _look_at(self, connection: IUplinkConnection) -> None:
        look = connection.look()
        if look is None:
            return
        now = self._clock.seconds()
        self._confirmation.look(look.acknowledged, look.window, now)
        life = look.life
        if life is Life.DEAD and not self._dead:
            self._dead = True
            self._log.warn(
                "remote {name} has not answered for {seconds:g} s although there is data on its way: connecting anew",
                name=self.name,
                seconds=DEAD_S,
            )
            self._clock.callLater(0, connection.abort)
        self._stall.note(life is Life.STALLED, now)

    def _pass_on(self) -> None:
        confirmation = self._confirmation
        self._cursor.acknowledge(confirmation.acknowledged)
        self._cursor.confirm(confirmation.confirmed)
        packets, octets = confirmation.take_confirmed()
        if packets:
            if self._protocol is None or self._protocol.confirms:
                self._tally.confirm(packets, octets)
            self._caution.confirmed()

    def _settle(self) -> None:
        """Tell `stop` when there is nothing left to hand over."""
        connection = self._protocol
        done = self._at.packets >= self._spool.end.packets
        if connection is None or (done and not connection.full and self._confirmation.all_acknowledged):
            fire(self._settled)


def _ignore(reason: Failure) -> None:
    reason.trap(CancelledError)
