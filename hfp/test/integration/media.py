"""
rtpengine, told what to do with its ng protocol, and two parties that talk RTCP through it.

Used by the tests of real senders.  Source: rtpengine's documentation of the ng protocol (bencoded dictionaries behind a
cookie), RFC 3550 sections 5.1 and 6.4.1.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from pathlib import Path

from hfp.test.integration.programs import HOST, Program, free_port
from hfp.test.integration.telephony import where

_ANSWER_S = 0.3


class Rtpengine(Program):
    """
    rtpengine that reports RTCP with HEP 3.

    :param collector: the port that it sends HEP to.
    :param transport: ``udp`` or ``tcp``.
    """

    def __init__(self, directory: Path, collector: int, transport: str, agent: int) -> None:
        control, first = free_port(), free_port()
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._control.connect((HOST, control))
        self._control.settimeout(_ANSWER_S)
        command = [where("rtpengine") or "rtpengine", "--foreground", "--log-stderr", "--log-level=6", "--table=-1"]
        command += [f"--interface={HOST}", f"--listen-ng={HOST}:{control}", "--num-threads=2", "--config-file=none"]
        command += [f"--port-min={first}", f"--port-max={first + 60}", f"--pidfile={directory / 'rtpengine.pid'}"]
        command += [f"--homer={HOST}:{collector}", f"--homer-protocol={transport}", f"--homer-id={agent}"]
        super().__init__("rtpengine", command, directory)

    def ready(self) -> bool:
        """Whether it answers."""
        return b"pong" in self.order(command="ping")

    def order(self, **order: str) -> bytes:
        """What it answers; nothing if it does not in time."""
        cookie = b"%d" % time.monotonic_ns()
        try:
            self._control.send(cookie + b" " + _bencoded(order))
            return self._control.recv(65_536)
        except (TimeoutError, ConnectionRefusedError):
            return b""

    def kill(self) -> None:
        super().kill()
        self._control.close()


class Party:
    """One end of a call: an RTP port, and the RTCP port above it."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        self.port = free_port() & ~1
        for at, each in enumerate(self._sockets):
            each.bind((HOST, self.port + at))

    def description(self) -> str:
        """In SDP."""
        return (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )

    def talk(self, to: int, number: int) -> None:
        """One RTP packet."""
        head = struct.pack(">BBHII", 0x80, 0, number, number * 160, self._source)
        self._sockets[0].sendto(head + bytes(160), (HOST, to))

    def report(self, to: int, about: int, number: int) -> None:
        """One RTCP sender report, which says that so many packets were sent."""
        head = struct.pack(">BBHI", 0x81, 200, 12, self._source)
        sender = struct.pack(">IIIII", 0xE000_0000 + number, 0, number * 160, number, number * 160)
        block = struct.pack(">IIIIII", about, 0, number, 5, 0, 0)
        self._sockets[1].sendto(head + sender + block, (HOST, to + 1))

    def close(self) -> None:
        """Free the ports."""
        for each in self._sockets:
            each.close()


def media_port(answer: bytes) -> int:
    """The port that rtpengine has put into a description."""
    found = re.search(rb"m=audio (\d+)", answer)
    assert found is not None, f"no port in {answer!r}"
    return int(found[1])


def _bencoded(order: dict[str, str]) -> bytes:
    words = [word.encode() for key in sorted(order) for word in (key.replace("_", "-"), order[key])]
    return b"d" + b"".join(b"%d:%s" % (len(word), word) for word in words) + b"e"
