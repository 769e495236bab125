"""
Does what is sent to a remote come back in at one of our own listeners?  Called by `hfp.preflight`, and by `hfp.service`
for each connection, because names change what they mean.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from threading import Thread

from hfp.addresses import ListenSpec, RemoteSpec

#: Seconds that the look at a remote's name may delay the start; the same is asked again of each connection.
_RESOLVE_S = 2.0


def is_own(host: str) -> bool:
    """
    Whether an IP address is one of this machine's.

    Asks the kernel from where it would send to it: to its own addresses it sends from the same.  No packet leaves.
    """
    if ip_address(host.partition("%")[0]).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.getaddrinfo(host, 9, family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return bool(probe.getsockname()[0] == probe.getpeername()[0])
    except OSError:
        return False


def looping_listener(listeners: Iterable[ListenSpec], kind: str, host: str, port: int) -> ListenSpec | None:
    """
    The listener that takes what is sent there, if one of ours does.

    :param kind: the transport.
    :param host: an IP address.
    """
    for listener in listeners:
        if listener.takes(kind, host, port) and is_own(host):
            return listener
    return None


def find_loop(listeners: Iterable[ListenSpec], remote: RemoteSpec) -> ListenSpec | None:
    """The same for a remote whose host may be a name; a name that does not resolve soon is not waited for."""
    candidates = [spec for spec in listeners if spec.port == remote.port]
    if not candidates:
        return None
    hosts: list[str] = []

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(remote.host, remote.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        hosts.extend(str(address[4][0]) for address in found)

    thread = Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(_RESOLVE_S)
    for host in hosts:
        listener = looping_listener(candidates, remote.kind, host, remote.port)
        if listener is not None:
            return listener
    return None
