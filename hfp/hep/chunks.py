"""
What chunks there are: the generic ones with the format of their payload, and the vendors that number their own.

Only names and formats.  Reads no packet; `hfp.hep.packet` and `hfp.hep.fields` do.

Source: HEP3 Network Protocol Specification rev. 37, tables "Generic chunks" and "Vendors".
"""

from __future__ import annotations

from enum import IntEnum

#: Octets of a format's payload; those of ``octets`` may have any number.  Integers are big-endian and unsigned.
WIDTHS = {"uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "ipv4": 4, "ipv6": 16}


class Chunk(IntEnum):
    """
    Types of the generic chunks (vendor 0).

    :ivar format: what the payload is: ``uint8``, ``uint16``, ``uint32``, ``uint64``, ``ipv4``, ``ipv6`` or ``octets``.
    :ivar width: octets that the payload has; None if it may have any number.
    """

    format: str
    width: int | None

    def __new__(cls, number: int, format: str) -> Chunk:  # noqa: A002  # the specification's word
        member = int.__new__(cls, number)
        member._value_ = number
        member.format = format
        member.width = WIDTHS.get(format)
        return member

    FAMILY = 0x01, "uint8"  # of the addresses: 2 IPv4, 10 IPv6
    PROTOCOL = 0x02, "uint8"  # IP protocol number; 22 from Kamailio and FreeSWITCH is SIP over TLS
    SOURCE_IPV4 = 0x03, "ipv4"
    DESTINATION_IPV4 = 0x04, "ipv4"
    SOURCE_IPV6 = 0x05, "ipv6"
    DESTINATION_IPV6 = 0x06, "ipv6"
    SOURCE_PORT = 0x07, "uint16"
    DESTINATION_PORT = 0x08, "uint16"
    SECONDS = 0x09, "uint32"  # since 1970-01-01 UTC
    MICROSECONDS = 0x0A, "uint32"
    PROTOCOL_TYPE = 0x0B, "uint8"  # see `hfp.hep.catalogue.ProtocolType`
    AGENT_ID = 0x0C, "uint32"
    KEEP_ALIVE = 0x0D, "uint16"  # seconds
    AUTHENTICATION_KEY = 0x0E, "octets"
    PAYLOAD = 0x0F, "octets"
    COMPRESSED_PAYLOAD = 0x10, "octets"  # gzip or zlib
    CORRELATION_ID = 0x11, "octets"
    VLAN = 0x12, "uint16"
    AGENT_NAME = 0x13, "octets"
    SOURCE_MAC = 0x14, "uint64"
    DESTINATION_MAC = 0x15, "uint64"
    ETHERNET_TYPE = 0x16, "uint16"
    TCP_FLAGS = 0x17, "uint8"
    IP_TOS = 0x18, "uint8"
    MOS = 0x20, "uint16"
    R_FACTOR = 0x21, "uint16"
    GEO_LOCATION = 0x22, "octets"
    JITTER = 0x23, "uint32"
    TRANSACTION_TYPE = 0x24, "octets"  # call, registration
    JSON_KEYS = 0x25, "octets"  # of the payload
    TAGS = 0x26, "octets"
    TAG_TYPE = 0x27, "uint16"
    EVENT_TYPE = 0x28, "uint16"  # 1 recording, 2 lawful interception
    GROUP_ID = 0x29, "octets"


class Vendor(IntEnum):
    """Who numbers a chunk's type."""

    GENERIC = 0
    FREESWITCH = 1
    KAMAILIO = 2
    OPENSIPS = 3
    ASTERISK = 4
    HOMER = 5
    SIPXECS = 6
    YETI = 7
    GENESYS = 8
