"""
Addresses as the operator writes them: where to listen, whom to send to.

Text in, frozen records out; opens nothing and resolves no names.  Called by `hfp.options`.  The grammar follows
Twisted's endpoint strings (``tcp:9060:interface=127.0.0.1``, a colon inside a part escaped as ``\\:``), and takes the
shorter forms that everybody writes: ``:9060``, ``homer.example:9060``, ``[::1]:9060``.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

from attrs import frozen

#: One part of an address: whatever has no colon, save inside brackets or after a backslash.
_PART = re.compile(r"(?:\[[^\[\]]*\]|\\.|[^:\\])*")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}")

#: What stands before the first colon where a transport is named; of these hfp speaks tcp.
_KINDS = ("tcp", "udp", "tls", "ssl", "unix")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@frozen
class ListenSpec:
    """
    Where to listen.

    :param kind: ``tcp``.
    :param port: 0 to 65535; with 0 the kernel picks one.
    :param interface: an IP address of this machine; empty for all of IPv4.
    """

    kind: str
    port: int
    interface: str = ""

    @property
    def name(self) -> str:
        """The canonical form, which can be given back as an option's value."""
        where = f":interface={_bracketed(self.interface)}" if self.interface else ""
        return f"{self.kind}:{self.port}{where}"

    def __str__(self) -> str:
        return self.name

    def overlaps(self, other: ListenSpec) -> bool:
        """Whether the kernel would refuse the second of these two."""
        if self.port != other.port or self.port == 0:
            return False
        everywhere = ("", "0.0.0.0", "::")
        return self.interface == other.interface or self.interface in everywhere or other.interface in everywhere


@frozen
class RemoteSpec:
    """
    A collector to send to.

    :param kind: ``tcp``.
    :param host: a name in lower case, or an IP address, IPv6 without brackets.
    :param port: 1 to 65535.
    """

    kind: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The canonical form: names the cursor on disk, the metrics' label and the log lines."""
        return f"{self.kind}:{_bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return self.name

    def reaches(self, listener: ListenSpec) -> bool:
        """Whether what is sent here surely comes back in at that listener; of names, only localhost is judged."""
        hosts = ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,)
        return self.port == listener.port and any(_arrives(host, listener.interface) for host in hosts)


def _arrives(host: str, interface: str) -> bool:
    if host == interface:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    everywhere = ("::",) if address.version == 6 else ("", "0.0.0.0", "::")
    return (address.is_loopback or address.is_unspecified) and interface in everywhere


def parse_listen(text: str) -> ListenSpec:
    """
    Read ``tcp:PORT[:interface=ADDRESS]``, ``[HOST]:PORT`` or ``PORT``.

    :raises ValueError: with what is wrong and the cure, when it is none of these.
    """
    kind, parts = _kind_and_parts(text, "tcp:9060 or tcp:9060:interface=127.0.0.1")
    interface = ""
    if kind:
        port = parts.pop(0) if parts else ""
        for part in parts:
            key, equals, value = part.partition("=")
            if key != "interface" or not equals:
                raise ValueError(f"{part!r} means nothing here; write {kind}:PORT or {kind}:PORT:interface=ADDRESS")
            interface = value
    elif len(parts) <= 2:
        interface, port = ["", *parts][-2:]
    else:
        raise ValueError(_too_many(parts))
    return ListenSpec("tcp", _port(port, 0), _interface(interface) if interface else "")


def parse_remote(text: str) -> RemoteSpec:
    """
    Read ``tcp:HOST:PORT`` or ``HOST:PORT``.

    :raises ValueError: with what is wrong and the cure, when it is neither.
    """
    kind, parts = _kind_and_parts(text, "tcp:homer.example:9060")
    if len(parts) < 2:
        lack = "host or no port" if kind else "port"
        raise ValueError(f"has no {lack}; write tcp:HOST:PORT, for example tcp:homer.example:9060")
    if len(parts) != 2:
        raise ValueError(_too_many(parts))
    host, port = parts
    return RemoteSpec("tcp", _host(host), _port(port, 1))


def _kind_and_parts(text: str, example: str) -> tuple[str, list[str]]:
    if not text:
        raise ValueError(f"is empty; write for example {example}")
    parts = []
    at = 0
    while True:
        found = _PART.match(text, at)
        assert found is not None, "the pattern takes the empty string too"
        parts.append(re.sub(r"\\(.)", r"\1", found.group()))
        at = found.end()
        if at == len(text):
            break
        if text[at] != ":":
            raise ValueError(f"is not an address; write for example {example}")
        at += 1
    kind = parts[0].lower()
    if kind not in _KINDS:
        return "", parts
    if kind != "tcp":
        raise ValueError(f"{kind} is not a transport that hfp has; write tcp")
    return kind, parts[1:]


def _too_many(parts: list[str]) -> str:
    for host, port in ((parts[:-1], parts[-1]), (parts, "PORT")):
        try:
            bare = IPv6Address(":".join(host))
        except ValueError:
            continue
        return f"an IPv6 address stands in brackets; write [{bare}]:{port}"
    return f"has {len(parts)} parts where a host and a port belong; write HOST:PORT"


def _port(text: str, lowest: int) -> int:
    if not text:
        raise ValueError("has no port; add one, for example :9060")
    if not _PORT.fullmatch(text) or not lowest <= int(text) <= 65535:
        raise ValueError(f"{text!r} is not a port; give a number from {lowest} to 65535")
    return int(text)


def _unbracketed(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(IPv6Address(_address(text[1:-1])))
        except ValueError:
            raise ValueError(f"{text[1:-1]!r} is not an IPv6 address; only those stand in brackets") from None
    return text


def _address(text: str) -> str:
    # Python takes anything for the scope, the name of an interface behind the %.
    _, percent, scope = text.partition("%")
    if percent and not _LABEL.fullmatch(scope.lower()):
        raise ValueError(f"{text!r} is not an IP address")
    return str(ip_address(text))


def _interface(text: str) -> str:
    plain = _unbracketed(text)
    try:
        return _address("127.0.0.1" if plain.lower() == "localhost" else plain)
    except ValueError:
        raise ValueError(
            f"{plain!r} is not an IP address; give one of this machine's addresses, or none to listen on all"
        ) from None


def _host(text: str) -> str:
    plain = _unbracketed(text)
    try:
        return _address(plain)
    except ValueError:
        pass
    name = plain.lower()
    labels = name.removesuffix(".").split(".")
    if not name:
        raise ValueError("has no host; write tcp:HOST:PORT, for example tcp:homer.example:9060")
    if len(name) > 253 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{plain!r} is neither an IP address nor a host name (other alphabets: write its xn-- form)")
    return name
