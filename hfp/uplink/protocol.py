"""
One connection to a collector over plain TCP: what is given goes into the socket as it is.
"""

from __future__ import annotations

from typing import Any

from hfp.uplink.stream import StreamUplink

#: How a TLS record starts that a server may send first: the type, an alert or a handshake, and the major version.
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")


class UplinkProtocol(StreamUplink):
    """
    A plain connection.

    :ivar _greeted: octets of the greeting, which count on the wire but not as given.
    """

    def __init__(self, owner: Any, clock: Any) -> None:
        super().__init__(owner, clock)
        self._greeted = 0
        self._heard = b""

    def open(self) -> None:
        """See `StreamUplink.open`."""
        greeting = self._owner.greeting()
        self._greeted = len(greeting)
        self.send(greeting)
        self.begin()

    def give(self, pieces: list[Any], octets: int, packets: int) -> bool:
        """See `IUplinkConnection.give`.  Hot, once per batch."""
        self.given += octets
        self.packets += packets
        try:
            if len(pieces) == 1:
                taken = self._socket.send(pieces[0])
            else:
                taken = self._socket.sendmsg(pieces)
        except BlockingIOError:
            taken = 0
        except OSError:  # the reactor will find the same and end the connection
            taken = 0
        if taken == octets:
            return True
        self.keep(pieces, taken)
        self.ask()
        return False

    def acknowledged(self, octets: int) -> int:
        """See `StreamUplink.acknowledged`."""
        return max(0, octets - self._greeted)

    def dataReceived(self, data: bytes) -> None:
        """A collector never answers; whatever this is, it is read (so that its end is seen) and dropped."""
        if len(self._heard) < 2:
            self._heard += data[:2]
            if self._heard[:2] in _TLS_RECORDS:
                self._owner.spoke_tls(self)
