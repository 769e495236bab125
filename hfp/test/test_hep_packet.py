"""
Tests for `hfp.hep.packet`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.hep import Chunk, build, plausible


class BuildTests(SynchronousTestCase):
    """`build`."""

    def test_specification(self) -> None:
        """The example of the specification comes out octet for octet."""
        packet = build(
            [
                (0, Chunk.FAMILY, b"\x02"),
                (0, Chunk.PROTOCOL, b"\x11"),
                (0, Chunk.SOURCE_IPV4, bytes([212, 202, 0, 1])),
                (0, Chunk.DESTINATION_IPV4, bytes([82, 116, 0, 211])),
                (0, Chunk.SOURCE_PORT, (12010).to_bytes(2, "big")),
                (0, Chunk.DESTINATION_PORT, (5060).to_bytes(2, "big")),
                (0, Chunk.SECONDS, (0x4E4982CB).to_bytes(4, "big")),
                (0, Chunk.MICROSECONDS, (120000).to_bytes(4, "big")),
                (0, Chunk.PROTOCOL_TYPE, b"\x01"),
                (0, Chunk.AGENT_ID, (228).to_bytes(4, "big")),
                (0, Chunk.PAYLOAD, b"INVITE sip:bob"),
            ]
        )
        self.assertEqual(
            packet.hex(),
            "4845503300710000000100070200000002000711000000030 00ad4ca0001".replace(" ", "")
            + "00000004000a527400d3000000070008 2eea00000008000813c4".replace(" ", "")
            + "00000009000a4e4982cb0000000a000a0001d4c00000000b000701"
            + "0000000c000a000000e40000000f0014494e56495445207369703a626f62",
        )
        self.assertIs(plausible(packet, 0), True)

    def test_too_large(self) -> None:
        """65535 octets are a packet, one more is refused."""
        self.assertEqual(len(build([(0, Chunk.PAYLOAD, bytes(65535 - 12))])), 65535)
        self.assertRaises(ValueError, build, [(0, Chunk.PAYLOAD, bytes(65535 - 11))])
