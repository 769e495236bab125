"""
What a packet can carry: the capture protocol types of chunk 0x0b, by number and by name.

Source: HEP3 Network Protocol Specification rev. 37, table "Protocol types"; those marked below are in use without being
in it.
"""

from __future__ import annotations

from enum import IntEnum


class ProtocolType(IntEnum):
    """Capture protocol types; `protocol_type_name` has the names that people write."""

    SIP = 1
    XMPP = 2
    SDP = 3
    RTP = 4
    RTCP_JSON = 5
    MGCP = 6
    MEGACO = 7
    M2UA = 8
    M3UA = 9
    IAX = 10
    H322 = 11
    H321 = 12
    M2PA = 13
    MOS_FULL_JSON = 34
    MOS_SHORT_JSON = 35
    HORACLIFIX = 38  # not in the specification: quality reports of Oracle SBCs
    SIP_JSON = 50
    DNS_JSON = 53
    M3UA_JSON = 54  # ISUP
    RTSP_JSON = 55
    DIAMETER_JSON = 56
    GSM_MAP_JSON = 57
    RTCP_PION = 58
    CDR = 60
    VERTO = 61  # RTPEngine sends its NG protocol with this number
    OPENSIPS_MI = 0x57  # this one and the next three: not in the specification
    OPENSIPS_REST = 0x58
    OPENSIPS_NET = 0x59
    OPENSIPS_CONTROL = 0x60
    LOG_JSON = 99  # not in the specification
    LOG = 100  # not in the specification: log lines, Kamailio's hlog() for one


#: Names that others use for the same.
_ALIASES = {
    "rtcp": ProtocolType.RTCP_JSON,
    "mos": ProtocolType.MOS_FULL_JSON,
    "rtpagent": ProtocolType.MOS_FULL_JSON,
    "rtcpxr": ProtocolType.MOS_SHORT_JSON,
    "dns": ProtocolType.DNS_JSON,
    "isup": ProtocolType.M3UA_JSON,
    "rtsp": ProtocolType.RTSP_JSON,
    "diameter": ProtocolType.DIAMETER_JSON,
    "gsm-map": ProtocolType.GSM_MAP_JSON,
    "mi": ProtocolType.OPENSIPS_MI,
    "rest": ProtocolType.OPENSIPS_REST,
    "net": ProtocolType.OPENSIPS_NET,
    "control": ProtocolType.OPENSIPS_CONTROL,
}
_NAMES = {int(member): member.name.lower().replace("_", "-") for member in ProtocolType}
_NUMBERS = {**{name: number for number, name in _NAMES.items()}, **{name: int(of) for name, of in _ALIASES.items()}}


def protocol_type_name(number: int) -> str:
    """
    The name of a protocol type: ``sip``, ``rtcp-json``, ``log``.

    :returns: the number in decimal if it has no name.
    """
    return _NAMES.get(number) or str(number)


def protocol_type_number(name: str) -> int | None:
    """
    The number of a protocol type.

    :param name: any name that `protocol_type_name` gives, in any case, with ``-`` or ``_``; a usual shorter one
        (``rtcp``, ``isup``, ``dns``); or a decimal number, 0..255.
    :returns: None if there is no such type.
    """
    name = name.strip().lower().replace("_", "-")
    if name.isascii() and name.isdigit() and len(name) <= 3:
        return int(name) if int(name) <= 0xFF else None
    return _NUMBERS.get(name)
