"""Tests for `hfp.loops`."""

from __future__ import annotations

import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hfp import loops
from hfp.addresses import ListenSpec, RemoteSpec
from hfp.loops import find_loop, is_own, looping_listener


class LoopTests(SynchronousTestCase):
    """Remotes that are our own listeners."""

    def test_own(self) -> None:
        """This machine's addresses, and others."""
        for host, own in (("127.0.0.1", True), ("127.9.8.7", True), ("192.0.2.1", False), ("2001:db8::1", False)):
            self.assertEqual(is_own(host), own, host)

    def test_listener(self) -> None:
        """It must have the port, the transport and the address."""
        for listener, kind, host, found in (
            (ListenSpec("tcp", 9060), "tcp", "127.0.0.1", True),
            (ListenSpec("tcp", 9060), "tls", "127.0.0.1", True),
            (ListenSpec("tcp", 9060), "udp", "127.0.0.1", False),
            (ListenSpec("udp", 9060), "udp", "127.0.0.1", True),
            (ListenSpec("tcp", 9061), "tcp", "127.0.0.1", False),
            (ListenSpec("tcp", 9060), "tcp", "192.0.2.1", False),
            (ListenSpec("tcp", 9060, "127.0.0.2"), "tcp", "127.0.0.1", False),
            (ListenSpec("tcp", 9060, "::"), "tcp", "127.0.0.1", True),
            (ListenSpec("tcp", 9060), "tcp", "::1", False),
            (ListenSpec("tcp", 9060), "tcp", "0.0.0.0", True),
            (ListenSpec("tcp", 9060, "127.0.0.1"), "tcp", "0.0.0.0", True),
            (ListenSpec("tcp", 9060, "127.0.0.2"), "tcp", "0.0.0.0", False),
            (ListenSpec("tcp", 9060), "tcp", "::", False),
        ):
            looping = looping_listener([listener], kind, host, 9060)
            self.assertEqual(looping, listener if found else None, (listener, kind, host))

    def test_names(self) -> None:
        """A name is judged by every address that it has."""

        def addresses(*hosts: str) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 9060)) for host in hosts]

        real = socket.getaddrinfo
        answers = {"me.example": addresses("192.0.2.1", "127.0.0.1"), "other.example": addresses("192.0.2.1")}

        def resolve(host: str, *rest: Any, **more: Any) -> Any:
            if host == "nowhere.example":
                raise socket.gaierror
            return answers.get(host) or real(host, *rest, **more)

        self.patch(socket, "getaddrinfo", resolve)
        listeners = [ListenSpec("udp", 9060), ListenSpec("tcp", 9060)]
        self.assertEqual(find_loop(listeners, RemoteSpec("tcp", "me.example", 9060)), listeners[1])
        self.assertEqual(find_loop(listeners, RemoteSpec("tcp", "other.example", 9060)), None)
        self.assertEqual(find_loop(listeners, RemoteSpec("tcp", "nowhere.example", 9060)), None)

    def test_other_ports_are_not_resolved(self) -> None:
        """A remote on a port that nobody of us has costs no look at its name."""
        self.patch(loops, "Thread", None)
        self.assertEqual(find_loop([ListenSpec("tcp", 9061)], RemoteSpec("tcp", "me.example", 9060)), None)
