"""
What a packet's generic chunks say, as Python values: which attribute reads which chunk, and how a value is written.

`hfp.hep.packet.Packet` inherits these attributes, `hfp.hep.encoding.encode` takes them as keywords.  Nothing is read
before it is asked for, and nothing is kept: an attribute costs a search for its chunk and a conversion.

Each is None when the packet has no such chunk; a chunk whose payload has the wrong width raises
`hfp.errors.MalformedPacket` (``chunk``).  Of several chunks of one type the first counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hfp.errors import MalformedPacket
from hfp.hep.chunks import Chunk

if TYPE_CHECKING:
    from hfp.hep.packet import Packet

IPV6_FAMILY = 10

#: What each field's ``chunks`` gives: type and payload.
Written = list[tuple[int, bytes]]

_Value = TypeVar("_Value", int, str, bytes)


class Number:
    """An unsigned integer."""

    __slots__ = ("_chunk", "_name", "_width")

    def __init__(self, chunk: Chunk) -> None:
        assert chunk.width is not None
        self._chunk = int(chunk)
        self._name = chunk.name
        self._width = chunk.width

    @overload
    def __get__(self, packet: None, owner: Any) -> Number: ...
    @overload
    def __get__(self, packet: Packet, owner: Any) -> int | None: ...
    def __get__(self, packet: Packet | None, owner: Any) -> Number | int | None:
        if packet is None:
            return self
        octets = packet.get(self._chunk)
        if octets is None:
            return None
        if len(octets) != self._width:
            raise _wrong_width(self._chunk, self._width, octets)
        return int.from_bytes(octets, "big")

    def chunks(self, value: object) -> Written:
        """How the value is written."""
        number = _is(value, int)
        if not 0 <= number < 1 << 8 * self._width:
            raise ValueError(f"{self._name} has {8 * self._width} bits, {number} does not fit")
        return [(self._chunk, number.to_bytes(self._width, "big"))]


class Octets:
    """Any octets; text is written as UTF-8."""

    __slots__ = ("_chunk",)

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = int(chunk)

    @overload
    def __get__(self, packet: None, owner: Any) -> Octets: ...
    @overload
    def __get__(self, packet: Packet, owner: Any) -> bytes | None: ...
    def __get__(self, packet: Packet | None, owner: Any) -> Octets | bytes | None:
        return self if packet is None else packet.get(self._chunk)

    def chunks(self, value: object) -> Written:
        """How the value is written."""
        return [(self._chunk, value.encode() if isinstance(value, str) else _is(value, bytes))]


class Address:
    """A packed address, 4 or 16 octets."""

    __slots__ = ("_ipv4", "_ipv6")

    def __init__(self, ipv4: Chunk, ipv6: Chunk) -> None:
        self._ipv4 = (int(ipv4), 4)
        self._ipv6 = (int(ipv6), 16)

    @overload
    def __get__(self, packet: None, owner: Any) -> Address: ...
    @overload
    def __get__(self, packet: Packet, owner: Any) -> bytes | None: ...
    def __get__(self, packet: Packet | None, owner: Any) -> Address | bytes | None:
        if packet is None:
            return self
        # A packet may have both: the one of its family counts, and any is better than none.
        order = (self._ipv6, self._ipv4) if packet.family == IPV6_FAMILY else (self._ipv4, self._ipv6)
        for chunk, width in order:
            octets = packet.get(chunk)
            if octets is not None:
                if len(octets) != width:
                    raise _wrong_width(chunk, width, octets)
                return octets
        return None

    def chunks(self, value: object) -> Written:
        """How the value is written."""
        octets = _is(value, bytes)
        for chunk, width in (self._ipv4, self._ipv6):
            if len(octets) == width:
                return [(chunk, octets)]
        raise ValueError(f"an address has 4 or 16 octets, not {len(octets)}")


class AddressText:
    """An address as people write it."""

    __slots__ = ("_packed",)

    def __init__(self, packed: Address) -> None:
        self._packed = packed

    @overload
    def __get__(self, packet: None, owner: Any) -> AddressText: ...
    @overload
    def __get__(self, packet: Packet, owner: Any) -> str | None: ...
    def __get__(self, packet: Packet | None, owner: Any) -> AddressText | str | None:
        if packet is None:
            return self
        octets = self._packed.__get__(packet, None)
        if octets is None:
            return None
        return ".".join(map(str, octets)) if len(octets) == 4 else str(IPv6Address(octets))

    def chunks(self, value: object) -> Written:
        """How the value is written."""
        return self._packed.chunks(ip_address(_is(value, str)).packed)


class Moment:
    """Seconds and microseconds as one number of nanoseconds since 1970-01-01 UTC."""

    __slots__ = ()

    @overload
    def __get__(self, packet: None, owner: Any) -> Moment: ...
    @overload
    def __get__(self, packet: Packet, owner: Any) -> int | None: ...
    def __get__(self, packet: Packet | None, owner: Any) -> Moment | int | None:
        if packet is None:
            return self
        seconds = packet.seconds
        return None if seconds is None else seconds * 1_000_000_000 + (packet.microseconds or 0) * 1_000

    def chunks(self, value: object) -> Written:
        """How the value is written: microseconds are the smallest there are."""
        seconds, rest = divmod(_is(value, int), 1_000_000_000)
        return Fields.seconds.chunks(seconds) + Fields.microseconds.chunks(rest // 1_000)


Field = Number | Octets | Address | AddressText | Moment


class Fields:
    """The attributes, in the order of the specification."""

    __slots__ = ()

    #: 2 IPv4, 10 IPv6.
    family = Number(Chunk.FAMILY)
    #: IP protocol number: 6 TCP, 17 UDP, 132 SCTP; Kamailio and FreeSWITCH write 22 for TLS.
    protocol = Number(Chunk.PROTOCOL)
    #: Packed source address, 4 or 16 octets.
    source = Address(Chunk.SOURCE_IPV4, Chunk.SOURCE_IPV6)
    #: Packed destination address, 4 or 16 octets.
    destination = Address(Chunk.DESTINATION_IPV4, Chunk.DESTINATION_IPV6)
    #: Source address as text.
    source_address = AddressText(source)
    #: Destination address as text.
    destination_address = AddressText(destination)
    source_port = Number(Chunk.SOURCE_PORT)
    destination_port = Number(Chunk.DESTINATION_PORT)
    #: Unix time.
    seconds = Number(Chunk.SECONDS)
    #: As on the wire, so it may be a million or more.
    microseconds = Number(Chunk.MICROSECONDS)
    #: Unix time in nanoseconds; None without seconds.
    time_ns = Moment()
    #: One of `hfp.hep.ProtocolType`, or any other number.
    protocol_type = Number(Chunk.PROTOCOL_TYPE)
    #: Capture agent id.
    agent_id = Number(Chunk.AGENT_ID)
    #: Seconds.
    keep_alive = Number(Chunk.KEEP_ALIVE)
    #: A secret.
    authentication_key = Octets(Chunk.AUTHENTICATION_KEY)
    #: As on the wire; `Packet.payload` inflates it.
    compressed_payload = Octets(Chunk.COMPRESSED_PAYLOAD)
    correlation_id = Octets(Chunk.CORRELATION_ID)
    vlan = Number(Chunk.VLAN)
    #: Capture agent name.
    agent_name = Octets(Chunk.AGENT_NAME)
    source_mac = Number(Chunk.SOURCE_MAC)
    destination_mac = Number(Chunk.DESTINATION_MAC)
    ethernet_type = Number(Chunk.ETHERNET_TYPE)
    tcp_flags = Number(Chunk.TCP_FLAGS)
    ip_tos = Number(Chunk.IP_TOS)
    mos = Number(Chunk.MOS)
    r_factor = Number(Chunk.R_FACTOR)
    geo_location = Octets(Chunk.GEO_LOCATION)
    jitter = Number(Chunk.JITTER)
    transaction_type = Octets(Chunk.TRANSACTION_TYPE)
    json_keys = Octets(Chunk.JSON_KEYS)
    tags = Octets(Chunk.TAGS)
    tag_type = Number(Chunk.TAG_TYPE)
    #: 1 recording, 2 lawful interception.
    event_type = Number(Chunk.EVENT_TYPE)
    group_id = Octets(Chunk.GROUP_ID)


#: Every field by name; ``payload`` is read by `Packet.payload`, which also inflates.
FIELDS: Mapping[str, Field] = {
    **{name: field for name, field in vars(Fields).items() if not name.startswith("_")},
    "payload": Octets(Chunk.PAYLOAD),
}


def written(fields: Mapping[str, object]) -> dict[int, bytes]:
    """
    The chunks, type to payload, that say what *fields* say.

    :raises TypeError: if there is no such field, or the value has the wrong type.
    :raises ValueError: if a number does not fit, or an address is none.
    """
    chunks: dict[int, bytes] = {}
    for name, value in fields.items():
        if name not in FIELDS:
            raise TypeError(f"a packet has no field {name!r}")
        chunks.update(FIELDS[name].chunks(value))
    return chunks


def _is(value: object, kind: type[_Value]) -> _Value:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _wrong_width(chunk: int, width: int, octets: bytes) -> MalformedPacket:
    return MalformedPacket("chunk", f"chunk {chunk:#04x} has {len(octets)} octets of payload instead of {width}")
