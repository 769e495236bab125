"""
HEP over UDP: one `DatagramReceiver` for each port, a member of the read pool.

What is HEP3 goes on as it came; everything else is shown to `hfp.hep.from_datagram`, which makes HEP3 of HEP1 and HEP2
and names what is neither.  Nothing is ever sent back.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Hashable, Sequence

from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError

from hfp.errors import MalformedPacket
from hfp.hep import from_datagram
from hfp.intake.access import MOST_HOSTS, Access, plain_host
from hfp.intake.datagrams import MOST, datagrams_of
from hfp.intake.faults import Faults
from hfp.intake.members import READ_OCTETS, Member
from hfp.intake.pool import ReadPool
from hfp.intake.screening import screened
from hfp.interfaces import IScreen, Sender
from hfp.logs import Logger

#: The receive buffer that is asked for, and what is too little, octets.  It takes what arrives while hfp does something
#: else: at 100,000 datagrams of 600 octets per second the first is worth 0.2 s.
BUFFER_OCTETS = 16 * 1024 * 1024
SMALL_BUFFER_OCTETS = 4 * 1024 * 1024

_SO_RCVBUFFORCE = getattr(socket, "SO_RCVBUFFORCE", 33)

#: Linux socket(7) SO_MEMINFO: nine counters of 32 bits, of which the last is the datagrams that were dropped.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_DROPS = 8

#: The versions of HEP that have no length of their own.
OLD_VERSIONS = (1, 2)

#: Reads that count what is lost when the pool is paused as hfp stops: a whole receive buffer, and somewhat more.
MOST_CLOSING_READS = 1024


class DatagramReceiver(Member):
    """
    One UDP port.

    :param name: what the operator calls it.
    :param interface: IP address of this machine; empty for all of IPv4; ``::`` takes IPv4 as well, as TCP does.
    :param port: 0 lets the kernel pick one.
    :param convert: make HEP3 of HEP1 and HEP2; else they go on as they are, in batches of their own.
    :param converted: by version (``1``, ``2``), packets of which HEP3 was made; is added to.
    :param screens: look at each packet.
    :raises CannotListenError: if the address or port can't be had.

    :ivar received: datagrams read, since the start.
    """

    __slots__ = (
        "_access",
        "_allowed",
        "_convert",
        "_converted",
        "_datagrams",
        "_drops",
        "_errors",
        "_faults",
        "_interface",
        "_portions",
        "_screens",
        "_socket",
        "name",
        "received",
    )
    waited_for = False
    _log = Logger()

    def __init__(
        self,
        name: str,
        interface: str,
        port: int,
        access: Access,
        faults: Faults,
        convert: bool,
        converted: dict[str, int],
        screens: Sequence[IScreen] = (),
    ) -> None:
        self.name = name
        self._interface = interface
        self._access = access
        self._faults = faults
        self._screens = tuple(screens)
        self._convert = convert
        self._converted = converted
        self._allowed: set[Hashable] = set()
        self._portions: list[tuple[int, int, int]] = []  # of what was received and not looked at yet, the next one last
        self._drops = 0
        self._errors: set[type[Exception]] = set()
        self.received = 0
        ipv6 = isIPv6Address(interface)
        self._socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._datagrams = datagrams_of(self._socket)
        self._grow_buffer()
        try:
            # Through getaddrinfo, for the scope in fe80::1%eth0.
            self._socket.bind(
                socket.getaddrinfo(interface, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
                if ipv6
                else (interface, port)
            )
        except OSError as problem:
            self._socket.close()
            raise CannotListenError(interface, port, problem) from None
        super().__init__(self._socket.fileno())

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where it listens."""
        address = self._socket.getsockname()
        return (IPv6Address if len(address) == 4 else IPv4Address)("UDP", *address)

    # Member

    def read(self, pool: ReadPool, room: int) -> int:
        # Hot: the loop's body runs once for up to `MOST` datagrams.
        octets = 0
        self.more = False
        while True:
            full = True
            if not self._portions:
                lengths = self._datagrams.receive()
                count = len(lengths)
                if not count:
                    return octets
                pool.reads += 1
                self.received += count
                full = count == MOST
                size = sum(lengths)
                self._portions = [(0, count, size)] if size <= READ_OCTETS else _portions(lengths)
            first, last, size = self._portions.pop()
            octets += size or 1
            self._take(pool, first, last)
            if not full and not self._portions:
                return octets
            if octets >= room:
                self.more = True
                return octets

    def fail(self) -> None:
        """Let go of what the error came with."""
        self._portions = []

    # What came in

    def _take(self, pool: ReadPool, first: int, last: int) -> None:
        # Hot: once per portion.
        datagrams = self._datagrams
        if not self._screens and (
            not self._access.restricted or self._allowed.issuperset(datagrams.hosts(first, last))
        ):
            packets = datagrams.packets(first, last)
            if packets is not None:
                pool.pieces.append(packets)
                pool.packets += last - first
                return
        self._sort(pool, first, last)

    def _sort(self, pool: ReadPool, first: int, last: int) -> None:
        """Look at each datagram by itself."""
        now_ns = time.time_ns()
        packets: list[bytes] = []
        by_sender: dict[Sender, list[bytes]] = {}
        for i in range(first, last):
            if self._access.restricted and not self._allows(i):
                continue
            datagram = self._datagrams.datagram(i)
            packet = self._packet(i, datagram, now_ns)
            if packet is None:
                continue
            if datagram[0] in OLD_VERSIONS:
                if not self._convert:
                    # Screens know HEP3 only, so they are shown what this would have become.
                    if not self._screens or screened(self._screens, [packet], 1, self._sender(i))[1]:
                        pool.datagrams.append(datagram)
                    continue
                self._converted[str(datagram[0])] += 1
            if self._screens:
                by_sender.setdefault(self._sender(i), []).append(packet)
            else:
                packets.append(packet)
        if packets:
            pool.pieces.append(b"".join(packets))
            pool.packets += len(packets)
        for sender, packets in by_sender.items():
            passed, count = screened(self._screens, [b"".join(packets)], len(packets), sender)
            pool.pieces += passed
            pool.packets += count

    def _packet(self, i: int, datagram: bytes, now_ns: int) -> bytes | None:
        """A datagram as HEP3; None if it is no HEP, which is counted."""
        try:
            packet = from_datagram(datagram, now_ns)
            if len(packet) < len(datagram) and datagram[0] not in OLD_VERSIONS:
                self._faults.datagram("surplus", self._sender(i).host, datagram[len(packet) :])
            return packet
        except MalformedPacket as fault:
            kind = fault.kind
        except Exception as problem:
            kind = "error"
            if type(problem) not in self._errors:  # once each, so that nobody can fill the log with tracebacks
                self._errors.add(type(problem))
                self._log.failure("an error of hfp's own in a datagram; it is lost, others go on")
        self._faults.datagram(kind, self._sender(i).host, datagram)
        return None

    def _allows(self, i: int) -> bool:
        (key,) = self._datagrams.hosts(i, i + 1)
        if key in self._allowed:
            return True
        host = self._sender(i).host
        if not self._access.allows(host):
            self._access.refuse_datagram(host)
            return False
        if len(self._allowed) >= MOST_HOSTS:
            self._allowed.clear()
        self._allowed.add(key)
        return True

    def _sender(self, i: int) -> Sender:
        host, port = self._datagrams.sender(i)
        return Sender("udp", plain_host(host), port)

    # What the kernel does

    def _grow_buffer(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_OCTETS)
        except OSError:  # for root only
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        got = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel doubles it
        if got < SMALL_BUFFER_OCTETS:
            self._log.warn(
                "--listen {name}: the system allows a receive buffer of {got} octets only, bursts of datagrams may be "
                "lost; raise it with: sysctl -w net.core.rmem_max={wanted} (and in /etc/sysctl.d, to keep it), then "
                "restart hfp",
                name=self.name,
                got=got,
                wanted=BUFFER_OCTETS,
            )

    @property
    def drops(self) -> int:
        """Datagrams that the kernel dropped because the receive buffer was full, since the start."""
        if self._socket.fileno() != -1:
            drops = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_DROPS]
            self._drops += (drops - self._drops) % 2**32  # the kernel's counter has 32 bits
        return self._drops

    def close(self) -> None:
        """Stop listening; what arrived and was not read, because the pool is paused, is lost."""
        _ = self.drops
        lost = sum(last - first for first, last, _ in self._portions)
        self._portions = []
        for _ in range(MOST_CLOSING_READS):
            count = len(self._datagrams.receive())
            if not count:
                break
            lost += count
        self._socket.close()
        if lost:
            self._log.critical(
                "--listen {name}: {lost} datagrams are lost: hfp was told to stop, and the spool is full",
                name=self.name,
                lost=lost,
            )


def _portions(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """
    Large datagrams, in portions of at most `READ_OCTETS`, or of one.

    :returns: first, last (not included) and octets of each, the first portion last.
    """
    portions = []
    first = octets = 0
    for i, length in enumerate(lengths):
        if octets + length > READ_OCTETS and i > first:
            portions.append((first, i, octets))
            first, octets = i, 0
        octets += length
    portions.append((first, len(lengths), octets))
    portions.reverse()
    return portions
