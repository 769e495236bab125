"""
The packet with which the Go HFP greets a collector that wants an authentication key.
"""

from __future__ import annotations

from hfp.hep.catalogue import ProtocolType
from hfp.hep.encoding import encode

_UDP = 17
_SIP_PORT = 5060


def ping(key: bytes, now_ns: int) -> bytes:
    """
    A "HEP PING".

    It says what the Go HFP's says, save for three faults: there the time is the second of the minute, so in 1970, the
    IP protocol is ICMP, and the IPv4 chunks have 16 octets of payload, which collectors refuse.

    :param key: the authentication key (chunk 0x0e).
    :param now_ns: Unix time in nanoseconds.
    :raises ValueError: if the key makes the packet exceed 65535 octets.
    """
    return encode(
        protocol=_UDP,
        source_address="192.168.0.1",
        destination_address="192.168.0.2",
        source_port=_SIP_PORT,
        destination_port=_SIP_PORT,
        time_ns=now_ns,
        protocol_type=ProtocolType.SIP,
        agent_id=999,
        authentication_key=key,
        payload=b"HEP PING",
    )
