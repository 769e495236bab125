"""
One connection to a collector over TLS: what is given goes into the socket encrypted.

The TLS runs here, over the plain socket, and not in Twisted's transport: so what is written is known octet by octet,
and what the peer's kernel acknowledges, which is ciphertext, can be told in octets given.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from hfp.tls import Channel, TlsFault
from hfp.uplink.connection import LinkFault
from hfp.uplink.stream import USUAL_PORTS, StreamUplink

#: How TLS records start: their type.
_RECORD_TYPES = (0x14, 0x15, 0x16, 0x17)

#: Octets that TLS itself may want to send while the socket is full, before the peer counts as hostile.
_CHATTER_OCTETS = 64 * 1024

#: How much of what is no TLS is shown, octets.
_SAMPLE = 16

_PLAIN = f"if it takes plain TCP on that port, write tcp: instead of tls: ({USUAL_PORTS})"


class TlsUplinkProtocol(StreamUplink):
    """
    A connection over TLS; up when the handshake is complete and the peer's certificate good.

    :param creator: from `hfp.tls.client_creator`.
    """

    def __init__(self, owner: Any, clock: Any, creator: Any) -> None:
        super().__init__(owner, clock)
        self._channel = Channel(creator)
        self._wire = 0  # octets of ciphertext handed to the socket, those that wait for it included
        self._map: deque[tuple[int, int]] = deque()  # (of `_wire`, of `given`) after each batch
        self._known = 0
        self._chatter = 0
        self._heard = 0

    def open(self) -> None:
        """See `StreamUplink.open`: begins the handshake."""
        self._channel.handshake()
        self._flush()

    def unopened(self, reason: Failure) -> Failure:
        """See `StreamUplink.unopened`."""
        if reason.check(CancelledError):
            what = "it has begun the TLS handshake and not finished it" if self._heard else "it does not answer in TLS"
        else:
            what = "it closed the connection during the TLS handshake"
        return Failure(LinkFault("tls", f"{what}; {_PLAIN}"))

    def give(self, pieces: list[Any], octets: int, packets: int) -> bool:
        """See `IUplinkConnection.give`.  Hot, once per batch."""
        self.given += octets
        self.packets += packets
        full = False
        try:
            for part in self._channel.protect(pieces):
                size = len(part)
                self._wire += size
                if full:
                    self._rest.append(memoryview(part))
                    continue
                try:
                    taken = self._socket.send(part)
                except OSError:  # full, or broken; the reactor will find the latter too and end the connection
                    taken = 0
                if taken < size:
                    full = True
                    self._rest.append(memoryview(part)[taken:])
        except TlsFault as fault:
            self.fail(LinkFault("tls", str(fault)))
            return False
        self._map.append((self._wire, self.given))
        if full:
            self.ask()
        return not full

    def acknowledged(self, octets: int) -> int:
        """See `StreamUplink.acknowledged`: whole batches only, which is all that the owner asks about."""
        waiting = self._map
        while waiting and waiting[0][0] <= octets:
            self._known = waiting.popleft()[1]
        return self._known

    def half_close(self) -> None:
        """Say that nothing more will come, in TLS and then in TCP."""
        if not self._half_closed:
            self._channel.close()
            # Twisted's transport sends its own buffer before the FIN, should the socket be full.
            self.transport.write(self._channel.outgoing())  # type: ignore[union-attr]
        super().half_close()

    def dataReceived(self, data: bytes) -> None:
        """The handshake; later session tickets, key updates, alerts.  Anything else is read and dropped."""
        if self.fault is not None:
            return
        if not self._heard and data[0] not in _RECORD_TYPES:
            self.fail(LinkFault("tls", f"it does not speak TLS (it answered {data[:_SAMPLE]!r}); {_PLAIN}"))
            return
        self._heard += len(data)
        try:
            if self._is_up:
                ended = self._channel.receive(data)
            else:
                ended = self._channel.handshake(data) and self._begin_with()
        except TlsFault as fault:
            self._flush()  # the alert that tells the peer
            self.fail(LinkFault("tls", str(fault)))
            return
        if not self._half_closed:
            self._flush()
        if ended:
            self.peer_closed()

    def _begin_with(self) -> bool:
        """
        The handshake is complete.

        :returns: whether the peer has closed already: what follows the handshake may have come with its end.
        """
        self._flush()
        greeting = self._owner.greeting()
        if greeting:
            for part in self._channel.protect([greeting]):
                self._wire += len(part)
                self.send(part)
        ended = self._channel.receive(b"")
        self.begin()
        return ended

    def _flush(self) -> None:
        out = self._channel.outgoing()
        if not out or self._socket is None:
            return
        self._wire += len(out)
        self._chatter = self._chatter + len(out) if self.full else 0
        if self._chatter > _CHATTER_OCTETS:
            self.fail(LinkFault("tls", "it makes TLS talk without end and reads nothing; see its log"))
            return
        self.send(out)
