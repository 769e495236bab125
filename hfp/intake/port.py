"""
Listening for senders, also when the process has no descriptor left.

Twisted's own port then accepts with a reserved descriptor and closes, writes four lines to the log for each such
connection, and spins without end once it has lost the reservation.  Here senders wait in the kernel's queue until
there are descriptors again, and the log gets a line a minute.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.tcp import Port

from hfp.logs import Logger, Repeats

#: Connections that may wait to be accepted.
BACKLOG = 1024

#: Connections accepted in one go.
ACCEPTS = 100

#: Seconds without accepting, when nothing can be accepted.
REST_S = 1.0

#: What accept(2) says when the process or the system has run out of something.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class SenderPort(Port):
    """
    A listening TCP port.

    :param repeats: keeps the log lines few.
    """

    _log = Logger()

    def __init__(self, port: int, factory: IProtocolFactory, interface: str, reactor: Any, repeats: Repeats) -> None:
        super().__init__(port, factory, BACKLOG, interface, reactor)
        self._clock = reactor
        self._repeats = repeats
        self._rest: Any = None

    def doRead(self) -> None:
        """Somebody wants to connect."""
        for _ in range(ACCEPTS):
            try:
                accepted, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno in _EXHAUSTED:
                    self._take_rest(problem)
                    return
                continue  # accept(2): what that one connection met on the network, or a firewall's refusal
            try:
                self._serve(accepted, address)
            except Exception:
                self._log.failure("an error of hfp's own with a new connection, which is closed; others go on")
                accepted.close()

    def connectionLost(self, reason: Any) -> None:
        """The port is closed."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        super().connectionLost(reason)

    def _serve(self, accepted: socket.socket, address: Any) -> None:
        if len(address) == 4:  # IPv6; a scope belongs to the address: fe80::1%eth0
            host = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            address = (host, *address[1:])
        peer = (IPv6Address if len(address) == 4 else IPv4Address)("TCP", *address)
        factory: Any = self.factory
        protocol = factory.buildProtocol(peer)
        if protocol is None:
            accepted.close()
            return
        session = self.sessionno
        self.sessionno = session + 1
        protocol.makeConnection(self.transport(accepted, protocol, address, self, session, self.reactor))

    def _take_rest(self, problem: OSError) -> None:
        self._repeats.warn(
            ("accept", problem.errno),
            "cannot accept senders' connections ({problem}); they wait, those that are connected go on; let hfp have "
            "more open files (systemd: LimitNOFILE=, shell: ulimit -n), or have fewer senders with --max-connections",
            problem=os.strerror(problem.errno or 0),
        )
        self.stopReading()
        self._rest = self._clock.callLater(REST_S, self._rested)

    def _rested(self) -> None:
        self._rest = None
        if self.connected and not self.disconnecting:
            self.startReading()
