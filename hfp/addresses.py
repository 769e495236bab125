"""
Addresses as the operator writes them: where to listen, whom to send to.

Text in, frozen records out; opens nothing and resolves no names.  Called by `hfp.options`.  The grammar follows
Twisted's endpoint strings (``tcp:9060:interface=127.0.0.1``, a colon inside a part escaped as ``\\:``), and takes the
shorter forms that everybody writes: ``:9060``, ``homer.example:9060``, ``[::1]:9060``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address

from attrs import evolve, frozen

from hfp.parts import plain, take_apart

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}")

#: What stands before the first colon where a transport is named: those that hfp speaks, and others that people try.
KINDS = ("tcp", "tls", "udp")
_OTHERS = ("ssl", "unix", "sctp", "http", "https", "ws", "wss")

#: What may follow the port, for each transport, and the attribute that it makes.
_LISTEN_KEYS = {
    "tcp": {"interface": "interface"},
    "udp": {"interface": "interface"},
    "tls": {
        "interface": "interface",
        "privateKey": "private_key",
        "certKey": "certificate",
        "caCertsFile": "ca_file",
    },
}
_REMOTE_KEYS = {
    "tcp": {},
    "udp": {},
    "tls": {
        "caFile": "ca_file",
        "clientCert": "certificate",
        "clientKey": "private_key",
        "serverName": "server_name",
        "insecure": "insecure",
    },
}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@frozen(kw_only=True)
class TlsFiles:
    """
    Files for TLS in PEM, by their paths; empty where none is given.

    :param certificate: our certificate, and those between it and its authority.
    :param private_key: its key.
    :param ca_file: certificates of the authorities that the peer's certificate must be signed by.
    """

    certificate: str = ""
    private_key: str = ""
    ca_file: str = ""

    def located(self, absolute: Callable[[str], str]) -> TlsFiles:
        """The same files with each path given to *absolute*."""
        paths = (self.certificate, self.private_key, self.ca_file)
        certificate, private_key, ca_file = (absolute(path) if path else "" for path in paths)
        return TlsFiles(certificate=certificate, private_key=private_key, ca_file=ca_file)


@frozen
class ListenSpec:
    """
    Where to listen.

    :param kind: ``tcp``, ``tls`` or ``udp``.
    :param port: 0 to 65535; with 0 the kernel picks one.
    :param interface: an IP address of this machine; empty for all of IPv4.
    :param files: for ``tls``.
    """

    kind: str
    port: int
    interface: str = ""
    files: TlsFiles = TlsFiles()

    @property
    def name(self) -> str:
        """The canonical form, the files of TLS left out."""
        where = f":interface={_bracketed(self.interface)}" if self.interface else ""
        return f"{self.kind}:{self.port}{where}"

    def __str__(self) -> str:
        return self.name

    def overlaps(self, other: ListenSpec) -> bool:
        """Whether the kernel would refuse the second of these two."""
        if self.port != other.port or self.port == 0 or (self.kind == "udp") != (other.kind == "udp"):
            return False
        everywhere = ("", "0.0.0.0", "::")
        return self.interface == other.interface or self.interface in everywhere or other.interface in everywhere

    def takes(self, kind: str, host: str, port: int) -> bool:
        """
        Whether what is sent to one of this machine's own addresses comes in here.

        :param kind: the transport that it is sent by.
        :param host: an IP address of this machine.
        :param port: where it is sent to.
        """
        if self.port != port or (self.kind == "udp") != (kind == "udp"):
            return False
        everywhere = ("::",) if ":" in host else ("", "0.0.0.0", "::")
        if self.interface == host or self.interface in everywhere:
            return True
        # What is sent to 0.0.0.0 or :: goes to loopback.
        return (host, self.interface) in (("0.0.0.0", "127.0.0.1"), ("::", "::1"))


@frozen
class RemoteSpec:
    """
    A collector to send to.

    :param kind: ``tcp``, ``tls`` or ``udp``; empty where the operator named none.
    :param host: a name in lower case, or an IP address, IPv6 without brackets.
    :param port: 1 to 65535.
    :param files: for ``tls``.
    :param server_name: for ``tls``: the name that the certificate must have; empty for *host*.
    :param insecure: for ``tls``: take any certificate.
    """

    kind: str
    host: str
    port: int
    files: TlsFiles = TlsFiles()
    server_name: str = ""
    insecure: bool = False

    @property
    def name(self) -> str:
        """The canonical form: names the cursor on disk, the metrics' label and the log lines."""
        return f"{self.kind or 'tcp'}:{_bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return self.name

    def by(self, kind: str) -> RemoteSpec:
        """The same, with this transport if none was named."""
        return self if self.kind else evolve(self, kind=kind)


def parse_listen(text: str) -> ListenSpec:
    """
    Read ``tcp:PORT``, ``udp:PORT`` or ``tls:PORT:privateKey=FILE:certKey=FILE[:caCertsFile=FILE]``, each with
    ``[:interface=ADDRESS]``; or, for tcp, ``[HOST]:PORT`` or ``PORT``.

    :raises ValueError: with what is wrong and the cure, when it is none of these.
    """
    kind, parts = _kind_and_parts(text, "tcp:9060 or udp:9060:interface=127.0.0.1")
    values: dict[str, str] = {}
    if kind:
        port = parts.pop(0) if parts else ""
        values = _values(kind, parts, _LISTEN_KEYS[kind], f"{kind}:PORT or {kind}:PORT:interface=ADDRESS")
    elif len(parts) <= 2:
        values["interface"], port = ["", *parts][-2:]
    else:
        raise ValueError(_too_many(parts))
    number = _port(port, 0)
    interface = values.pop("interface", "")
    if kind == "tls":
        for key in ("privateKey", "certKey"):
            if _LISTEN_KEYS[kind][key] not in values:
                raise ValueError(f"has no {key}; write tls:{number}:privateKey=FILE:certKey=FILE")
    return ListenSpec(kind or "tcp", number, _interface(interface) if interface else "", TlsFiles(**values))


def parse_remote(text: str) -> RemoteSpec:
    """
    Read ``tcp:HOST:PORT``, ``udp:HOST:PORT``,
    ``tls:HOST:PORT[:caFile=FILE][:clientCert=FILE:clientKey=FILE][:serverName=NAME][:insecure=yes]``, or ``HOST:PORT``,
    which leaves the transport open.

    :raises ValueError: with what is wrong and the cure, when it is none of these.
    """
    kind, parts = _kind_and_parts(text, "tcp:homer.example:9060")
    shown = kind or "tcp"
    if len(parts) < 2:
        lack = "host or no port" if kind else "port"
        raise ValueError(f"has no {lack}; write {shown}:HOST:PORT, for example {shown}:homer.example:9060")
    if len(parts) != 2 and (not kind or "=" not in parts[2]):
        raise ValueError(_too_many(parts))
    host, port, *rest = parts
    values = _values(shown, rest, _REMOTE_KEYS[shown], f"{shown}:HOST:PORT")
    server_name = values.pop("server_name", "")
    insecure = values.pop("insecure", "no").lower()
    if insecure not in ("yes", "no"):
        raise ValueError(f"insecure={insecure} is neither yes nor no; write one of them")
    if ("certificate" in values) != ("private_key" in values):
        raise ValueError("clientCert and clientKey belong together; give both or none")
    if insecure == "yes" and "ca_file" in values:
        raise ValueError("insecure=yes checks no certificate, so caFile means nothing; leave one of the two out")
    return RemoteSpec(
        kind,
        _host(host),
        _port(port, 1),
        TlsFiles(**values),
        _host(server_name) if server_name else "",
        insecure == "yes",
    )


def _values(kind: str, parts: list[str], keys: Mapping[str, str], example: str) -> dict[str, str]:
    values = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if key not in keys or not equals:
            known = f"{kind} takes {', '.join(keys)}" if keys else f"{kind} takes nothing more"
            raise ValueError(f"{part!r} means nothing here; write {example} ({known})")
        if not value:
            raise ValueError(f"{key} is empty; write {key}=VALUE, or leave it out")
        if keys[key] in values:
            raise ValueError(f"{key} is given twice; leave one out")
        values[keys[key]] = value
    return values


def _kind_and_parts(text: str, example: str) -> tuple[str, list[str]]:
    if not text:
        raise ValueError(f"is empty; write for example {example}")
    try:
        parts = [plain(part) for part in take_apart(text)]
    except ValueError:
        raise ValueError(f"is not an address; write for example {example}") from None
    kind = parts[0].lower()
    if kind in _OTHERS and len(parts) > 2:
        raise ValueError(f"{kind} is not a transport that hfp has; write {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return (kind, parts[1:]) if kind in KINDS else ("", parts)


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
        raise ValueError("has no host; write HOST:PORT, for example homer.example:9060")
    if len(name) > 253 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{plain!r} is neither an IP address nor a host name (other alphabets: write its xn-- form)")
    return name
