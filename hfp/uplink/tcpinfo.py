"""
What the kernel knows of a TCP connection: Linux's ``TCP_INFO``.

Source: ``struct tcp_info`` in ``linux/tcp.h``; it only ever grows at its end: a shorter answer means an older kernel.
"""

from __future__ import annotations

import socket
import struct

from attrs import frozen

_SIZE = 256
_FIELDS = struct.Struct(
    "="
    "x"  # state
    "x"  # ca_state
    "B"  # retransmits: unanswered ones of the oldest segment
    "B"  # probes: unanswered ones of a closed window
    "20x"
    "I"  # unacked: segments
    "28x"
    "I"  # last_ack_recv: milliseconds
    "60x"
    "Q"  # bytes_acked, SYN and FIN included
    "16x"
    "I"  # notsent_bytes
    "80x"
    "I"  # snd_wnd: octets that the peer is ready to take
)
_OLDEST = struct.calcsize("=148x")  # up to notsent_bytes: Linux 4.6


@frozen
class TcpInfo:
    """
    :param retransmits: retransmissions of the oldest segment that nobody answered.
    :param probes: probes of a closed window that nobody answered.
    :param unacked: segments on their way.
    :param last_ack_ms: milliseconds since the peer's kernel last acknowledged anything.
    :param acked: octets that the peer's kernel has acknowledged; the SYN counts as one, and so does the FIN.
    :param not_sent: octets that wait in the socket for the peer's window.
    :param window: octets that the peer is ready to take; -1 where the kernel (before 5.4) does not say.
    """

    retransmits: int
    probes: int
    unacked: int
    last_ack_ms: int
    acked: int
    not_sent: int
    window: int


def tcp_info(sock: socket.socket) -> TcpInfo:
    """
    :raises OSError: if the socket is no TCP socket, or the kernel is older than 4.6.
    """
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    if len(raw) < _OLDEST:
        raise OSError("this kernel's TCP_INFO is too short; Linux 4.6 or newer is needed")
    whole = raw.ljust(_SIZE, b"\0")
    info = TcpInfo(*_FIELDS.unpack_from(whole))
    if len(raw) < _FIELDS.size:
        return TcpInfo(info.retransmits, info.probes, info.unacked, info.last_ack_ms, info.acked, info.not_sent, -1)
    return info
