"""
Tests for `hfp.intake.port`: accepting, and what happens when nothing can be accepted.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.intake import port
from hfp.intake.port import ACCEPTS, REST_S, SenderPort
from hfp.test.intakefakes import WatchingClock, told


class NotingFactory(Factory):
    """Notes who connects; lets nobody in who is to be refused."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.refuse = False

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(addr)
        return None if self.refuse else Protocol()


class SenderPortTests(SynchronousTestCase):
    """A port over loopback."""

    def setUp(self) -> None:
        self.clock = WatchingClock()
        self.repeats, self.lines = told(self.clock)
        self.factory = NotingFactory()
        self.port = self.listen()
        self.address = ("127.0.0.1", self.port.getHost().port)

    def listen(self, interface: str = "127.0.0.1", number: int = 0) -> SenderPort:
        listener = SenderPort(number, self.factory, interface, self.clock, self.repeats)
        listener.startListening()
        self.addCleanup(self.close, listener)
        return listener

    def close(self, listener: SenderPort) -> None:
        if listener.connected:
            listener.stopListening()
            self.clock.advance(0)
        for reader in list(self.clock.readers):
            reader.socket.close()

    def call(self, *, family: int = socket.AF_INET) -> socket.socket:
        caller = socket.socket(family)
        self.addCleanup(caller.close)
        caller.connect(self.address)
        return caller

    def failing(self, number: int) -> Callable[[], Any]:
        """Let accept fail; returns what lets it work again."""

        class Failing:
            def __init__(self, sock: socket.socket) -> None:
                self.sock = sock
                self.tries = 0

            def accept(self) -> Any:
                self.tries += 1
                raise OSError(number, os.strerror(number))

            def __getattr__(self, name: str) -> Any:
                return getattr(self.sock, name)

        sock = self.port.socket
        self.failing_socket = self.port.socket = Failing(sock)
        return lambda: setattr(self.port, "socket", sock)

    def test_interface(self) -> None:
        """It is a listening port."""
        verifyObject(IListeningPort, self.port)

    def test_accepts(self) -> None:
        """Who connects is given a protocol on a transport that the reactor reads."""
        caller = self.call()
        self.clock.wake()
        [address] = self.factory.made
        self.assertEqual((address.host, address.port), caller.getsockname())
        self.assertEqual(len(self.clock.readers), 2)

    def test_refused(self) -> None:
        """Who gets no protocol is closed."""
        self.factory.refuse = True
        caller = self.call()
        self.clock.wake()
        self.assertEqual(caller.recv(1), b"")

    def test_many(self) -> None:
        """Many that wait are accepted together, and others have their turn between."""
        callers = [self.call() for _ in range(ACCEPTS + 3)]
        self.port.doRead()
        self.assertEqual(len(self.factory.made), ACCEPTS)
        self.port.doRead()
        self.assertEqual(len(self.factory.made), len(callers))

    def test_both_families(self) -> None:
        """``::`` takes IPv4 as well."""
        self.address = ("127.0.0.1", self.listen("::").getHost().port)
        self.call()
        self.clock.wake()
        self.assertEqual(self.factory.made[0].host, "::ffff:127.0.0.1")

    def test_in_use(self) -> None:
        """A port that is taken is refused as Twisted does."""
        self.assertRaises(CannotListenError, self.listen, number=self.address[1])

    def test_out_of_descriptors(self) -> None:
        """Without descriptors the port rests, once a second, says so once, and goes on when there are some again."""
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.clock.advance(100)
            self.lines.clear()
            self.factory.made.clear()
            restore = self.failing(number)
            caller = self.call()
            for _ in range(10):
                self.clock.wake()  # a port that went on watching would be called each time
            self.assertEqual(self.failing_socket.tries, 1)
            self.clock.pump([REST_S, 0] * 3)
            for _ in range(3):
                self.clock.advance(REST_S)
                self.clock.wake()
            self.assertLess(self.failing_socket.tries, 8)
            [line] = self.lines
            self.assertIn("LimitNOFILE", line)
            restore()
            self.clock.advance(REST_S)
            self.clock.wake()
            self.assertEqual(len(self.factory.made), 1)
            caller.sendall(b"nothing was lost")

    def test_really_out_of_descriptors(self) -> None:
        """The same with a process that has no descriptor left: those who are connected stay, who waits is served."""
        self.call()
        self.clock.wake()
        callers = [self.call() for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, max(map(int, os.listdir("/proc/self/fd"))) + 20), hard))
        try:
            try:
                while True:
                    taken.append(os.dup(callers[0].fileno()))
            except OSError as problem:
                self.assertEqual(problem.errno, errno.EMFILE)
            for _ in range(5):
                self.clock.wake()
            self.assertEqual((len(self.factory.made), len(self.lines)), (1, 1))
            self.assertEqual(self.clock.readers[0].connected, 1)
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.clock.advance(REST_S)
        self.clock.wake()
        self.assertEqual((len(self.factory.made), len(self.lines)), (4, 1))

    def test_closed_while_it_rests(self) -> None:
        """A port that is closed while it rests leaves no timer."""
        self.failing(errno.EMFILE)()
        self.failing(errno.EMFILE)
        self.call()
        self.clock.wake()
        self.port.stopListening()
        self.clock.advance(0)
        self.repeats.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_passing_errors(self) -> None:
        """What one connection met on the network costs that connection, and no line."""
        restore = self.failing(errno.ECONNABORTED)
        self.port.doRead()
        restore()
        self.call()
        self.clock.wake()
        self.assertEqual((len(self.factory.made), self.lines), (1, []))

    def test_own_error(self) -> None:
        """An error of our own closes the connection that it happened on; the port goes on."""

        def fail(addr: Any) -> Any:
            raise ZeroDivisionError

        self.patch(self.factory, "buildProtocol", fail)
        caller = self.call()
        self.clock.wake()
        self.assertEqual(caller.recv(1), b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn(self.port, self.clock.readers)

    def test_backlog(self) -> None:
        """Many may wait."""
        self.assertGreaterEqual(port.BACKLOG, 1024)
        self.assertEqual(self.port.backlog, port.BACKLOG)
