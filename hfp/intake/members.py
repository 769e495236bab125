"""
What a `hfp.intake.pool.ReadPool` reads: members, each one socket.

`Member` is the small interface between the two; `StreamMember` reads one sender's TCP connection,
`hfp.intake.udp.DatagramReceiver` one UDP port.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from hfp.intake.pool import ReadPool

#: Octets per read.  Below malloc's 128 KiB mmap threshold: above it each read pays for fresh pages (measured with
#: 200 KB reads: 1,650-2,225 ns per packet instead of 860-950).
READ_OCTETS = 120 * 1024


class Member:
    """
    One socket in the pool.

    :ivar fd: its descriptor, for as long as it is in the pool.
    :ivar hot: it is read in every round, whether it has said that it has data or not.
    :ivar streak: rounds that brought data on a busy relay (while not hot), or rounds in a row without (while hot).
    :ivar waited_for: its sender may wait for what was read (TCP's window); a sender of datagrams never does.
    :ivar more: the newest `read` ended because it had brought enough, not because there was no more.
    """

    __slots__ = ("fd", "hot", "more", "streak")

    waited_for = True

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.hot = False
        self.more = False
        self.streak = 0

    def read(self, pool: ReadPool, room: int) -> int:
        """
        Read until there is no more, or enough: append whole packets to ``pool.pieces``, add to its counts.

        Hot: called once per round for each member that has data, or is hot.

        :param room: octets that are enough.
        :returns: how many octets there were; 0 if the socket had nothing.
        """
        raise NotImplementedError

    def low_water(self, octets: int) -> None:
        """The socket is readable with this many octets and more; called when the member becomes hot, and cold again."""

    def fail(self) -> None:
        """`read` has raised, an error of hfp's own that is logged already: see to it that others can go on."""
        raise NotImplementedError


class StreamMember(Member):
    """
    One sender's TCP connection.

    :param transport: connected Twisted transport; its reactor must no longer read it.
    :param deliver: takes what a read brought, as ``dataReceived`` does.

    :ivar deliver: the same; may be set to something else at any time.
    """

    __slots__ = ("deliver", "recv", "transport")

    def __init__(self, transport: Any, deliver: Callable[[bytes], None]) -> None:
        super().__init__(transport.fileno())
        self.transport = transport
        self.recv: Callable[[int], bytes] = transport.socket.recv
        self.deliver = deliver

    def read(self, pool: ReadPool, room: int) -> int:
        # Hot: the loop's body runs once per read.
        recv = self.recv
        octets = 0
        self.more = False
        while True:
            try:
                data = recv(READ_OCTETS)
            except (BlockingIOError, InterruptedError):
                return octets
            except OSError:
                self._lose(pool, CONNECTION_LOST)
                return octets
            if not data:
                self._lose(pool, CONNECTION_DONE)
                return octets
            pool.reads += 1
            size = len(data)
            octets += size
            self.deliver(data)
            if size < READ_OCTETS:
                return octets
            if octets >= room:
                self.more = True
                return octets

    def low_water(self, octets: int) -> None:
        """
        From how many octets on the socket is readable.

        With more than arrives between two rounds the kernel acknowledges segments as they come in.  Otherwise it leaves
        that to the read, which then pays for sending the acknowledgement (and on loopback for all that the sender's
        side does with it: measured with 20 senders, 31 % of the relay's time).
        """
        sock = self.transport.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)
        if octets > 1 and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def fail(self) -> None:
        """Close this connection."""
        self.transport.abortConnection()

    def _lose(self, pool: ReadPool, reason: Exception) -> None:
        pool.remove(self.fd)
        self.transport.connectionLost(Failure(reason))
