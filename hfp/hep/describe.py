"""
A packet as one line for the log.

The octets are a stranger's: whatever they are, the line is printable ASCII, bounded, without secrets, and there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from hfp.errors import MalformedPacket
from hfp.hep.catalogue import protocol_type_name
from hfp.hep.masking import mask
from hfp.hep.packet import Packet

#: Characters of an agent's name or a correlation id that are shown.
_SHORT = 64

_IP_PROTOCOLS = {6: "TCP", 17: "UDP", 22: "TLS", 132: "SCTP"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ESCAPES = {
    **{octet: chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in range(256)},
    ord("\\"): "\\\\",
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
}


def describe(octets: bytes | bytearray | memoryview, most: int = 600) -> str:
    """
    Addresses, ports, time, type, agent, correlation id and the beginning of the payload, in one line.

    The authentication key is only said to be there; in the payload, secrets are hidden as `hfp.hep.masking.mask` says.
    Never raises: what is malformed is said to be so, with none of its octets.

    :param octets: what should be a HEP3 packet.
    :param most: characters that the line has at most.
    """
    packet = Packet(octets)
    try:
        packet.chunks  # noqa: B018  # raises unless all of them are well-formed
    except MalformedPacket as error:
        return f"malformed HEP3 of {len(packet.octets)} octets: {error}"[:most]
    line = " ".join(_parts(packet))
    try:
        payload = packet.payload
    except MalformedPacket as error:
        return f"{line}, {error}"[:most]
    if payload is None:
        return f"{line}, no payload"[:most]
    line = f"{line}, {len(payload)} octets: {_escaped(mask(payload))}"
    return line if len(line) <= most else line[: max(most - 3, 0)] + "..."[:most]


def _parts(packet: Packet) -> Iterator[str]:
    yield _end(packet, "source")
    yield "->"
    yield _end(packet, "destination")
    protocol = _value(packet, "protocol")
    if protocol is not None:
        yield _IP_PROTOCOLS.get(protocol, f"IP protocol {protocol}") if isinstance(protocol, int) else protocol
    kind = _value(packet, "protocol_type")
    yield "no type" if kind is None else protocol_type_name(kind) if isinstance(kind, int) else f"type {kind}"
    yield f"at {_time(packet)}"
    for name, label in (("agent_id", "agent"), ("agent_name", "name"), ("correlation_id", "correlation")):
        value = _value(packet, name)
        if value is not None:
            yield f"{label} {value}"
    if packet.authentication_key is not None:
        yield "key present"


def _end(packet: Packet, which: str) -> str:
    address = _value(packet, f"{which}_address")
    port = _value(packet, f"{which}_port")
    text = "?" if address is None else f"[{address}]" if ":" in str(address) else str(address)
    return f"{text}:{'?' if port is None else port}"


def _time(packet: Packet) -> str:
    try:
        time_ns = packet.time_ns
    except MalformedPacket:
        return "malformed time"
    if time_ns is None:
        return "no time"
    moment = _EPOCH + timedelta(microseconds=time_ns // 1_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _value(packet: Packet, field: str) -> int | str | None:
    """One field; octets escaped, short and in quotes; ``malformed`` if its width is wrong."""
    try:
        value: int | str | bytes | None = getattr(packet, field)
    except MalformedPacket:
        return "malformed"
    if isinstance(value, bytes):
        text = _escaped(mask(value))
        return f'"{text[:_SHORT]}..."' if len(text) > _SHORT else f'"{text}"'
    return value


def _escaped(octets: bytes) -> str:
    return octets.decode("latin-1").translate(_ESCAPES)
