"""
`hfp.hep` reads HEP as real programs sent it: every field of every captured message against what is known of it.

The captures are not part of the project: they are looked for in ``../shared/data/hep`` beside the checkout, or where
``HFP_CAPTURES`` says.  Beside each lies a list of its messages' fields, confirmed by decoders that are not ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import hfp
from hfp.hep import Framer, Packet, build, describe, from_datagram, parse_legacy, plausible, to_hep3

CAPTURES = Path(os.environ.get("HFP_CAPTURES") or Path(hfp.__file__).parents[2] / "shared" / "data" / "hep")
_MISSING = f"no captured HEP in {CAPTURES}; HFP_CAPTURES can name another directory"


def messages(pattern: str) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Name, octets and fields of each captured message."""
    paths = sorted(CAPTURES.glob(f"{pattern}.hepd"))
    if not paths:
        raise SkipTest(_MISSING)
    for path in paths:
        octets = path.read_bytes()
        at = 0
        for line in path.with_suffix("").with_suffix(".truth.jsonl").read_text().splitlines():
            size = int.from_bytes(octets[at : at + 4], "big")
            truth = json.loads(line)
            yield f"{path.stem} {truth['index']}", octets[at + 4 : at + 4 + size], truth
            at += 4 + size
        assert at == len(octets), path


def now_ns(truth: dict[str, Any]) -> int:
    """When a datagram was captured."""
    outer = truth["outer"]
    return int(outer["cap_sec"]) * 10**9 + int(outer["cap_usec"]) * 1000


class Hep3Tests(SynchronousTestCase):
    """HEP3, from eight programs."""

    def test_every_field(self) -> None:
        """What a packet says is what is known of it."""
        for name, octets, truth in messages("*-hep3-*"):
            self.assertEqual(len(octets), truth["datagram_len"], name)
            packet = Packet(octets)
            payload = packet.payload
            said = {
                "ip_family": packet.family,
                "ip_proto": packet.protocol,
                "src_ip": packet.source_address,
                "dst_ip": packet.destination_address,
                "src_port": packet.source_port,
                "dst_port": packet.destination_port,
                "ts_sec": packet.seconds,
                "ts_usec": packet.microseconds,
                "proto_type": packet.protocol_type,
                "capture_id": packet.agent_id,
                "auth_key": _hex(packet.authentication_key),
                "correlation_id_hex": _hex(packet.correlation_id),
                "node_name_hex": _hex(packet.agent_name),
                "payload_len": len(payload or b""),
                "payload_sha256": sha256(payload or b"").hexdigest(),
                "chunks": [[vendor, kind, len(octets) + 6] for vendor, kind, octets in packet.chunks],
            }
            self.assertEqual(said, {field: truth.get(field) for field in said}, name)
            self.assertEqual(packet.source, ip_address(truth["src_ip"]).packed)
            self.assertEqual(packet.time_ns, truth["ts_sec"] * 10**9 + truth["ts_usec"] * 1000)

    def test_same_octets(self) -> None:
        """Building what was parsed gives the same octets; so does changing a field and changing it back."""
        for name, octets, _ in messages("*-hep3-*"):
            packet = Packet(octets)
            self.assertEqual(build(packet.chunks), octets, name)
            self.assertIs(plausible(octets, 0), True)
            self.assertIs(from_datagram(octets, 0), octets)
            agent_id = packet.agent_id
            assert agent_id is not None
            self.assertEqual(packet.replace(agent_id=0).replace(agent_id=agent_id), packet, name)

    def test_streams(self) -> None:
        """The packets of a stream are those messages."""
        streams = sorted(CAPTURES.glob("*.hep3stream"))
        if not streams:
            raise SkipTest(_MISSING)
        for path in streams:
            faults: list[str] = []
            out: list[bytes | bytearray | memoryview] = []
            packets = Framer(lambda kind, _, faults=faults: faults.append(kind)).feed(path.read_bytes(), out)  # type: ignore[misc]
            whole = [octets for _, octets, _ in messages(path.stem)]
            self.assertEqual((packets, faults, b"".join(out)), (len(whole), [], b"".join(whole)), path.stem)

    def test_described(self) -> None:
        """Each has a line, with its addresses and without its key."""
        keys = 0
        for name, octets, truth in messages("*-hep3-*"):
            line = describe(octets)
            self.assertTrue(line.isascii() and line.isprintable(), name)
            for end in ("src", "dst"):
                address = truth[f"{end}_ip"]
                self.assertIn(f"[{address}]" if ":" in address else address, line)
            if truth["auth_key"]:
                keys += 1
                self.assertIn("key present", line)
                self.assertNotIn(bytes.fromhex(truth["auth_key"]).decode("latin-1"), line)
        self.assertGreater(keys, 0)


class LegacyTests(SynchronousTestCase):
    """HEP1 and HEP2, from Kamailio and sngrep."""

    def test_parsed(self) -> None:
        """Every field, header length and padding too."""
        for name, octets, truth in messages("*-hep[12]-*"):
            packet = parse_legacy(octets, now_ns(truth))
            said = {
                "hep_version": packet.version,
                "ip_family": packet.family,
                "ip_proto": packet.protocol,
                "src_ip": str(ip_address(packet.source)),
                "dst_ip": str(ip_address(packet.destination)),
                "src_port": packet.source_port,
                "dst_port": packet.destination_port,
                "ts_sec": packet.seconds,
                "ts_usec": packet.microseconds,
                "capture_id": packet.agent_id,
                "hdr_length_octet": packet.header_length,
                "payload_sha256": sha256(packet.payload).hexdigest(),
            }
            self.assertEqual(said, {field: truth.get(field) for field in said}, name)
            self.assertEqual(packet.padding.hex(), truth.get("pad_hex") or "", name)
            self.assertFalse(packet.big_endian)

    def test_converted(self) -> None:
        """As HEP3, every field is the same; HEP1 has the time of receipt."""
        for name, octets, truth in messages("*-hep[12]-*"):
            received = now_ns(truth)
            packet = Packet(to_hep3(octets, received))
            self.assertEqual(from_datagram(octets, received), packet.octets)
            if truth["hep_version"] == 1:
                truth = {**truth, "ts_sec": received // 10**9, "ts_usec": received // 1000 % 10**6, "capture_id": 0}
            said = {
                "ip_family": packet.family,
                "ip_proto": packet.protocol,
                "src_ip": packet.source_address,
                "dst_ip": packet.destination_address,
                "src_port": packet.source_port,
                "dst_port": packet.destination_port,
                "ts_sec": packet.seconds,
                "ts_usec": packet.microseconds,
                "capture_id": packet.agent_id,
                "payload_len": len(packet.payload or b""),
                "payload_sha256": sha256(packet.payload or b"").hexdigest(),
            }
            self.assertEqual(said, {field: truth[field] for field in said}, name)
            self.assertEqual(packet.protocol_type, 1)

    def test_both_byte_orders(self) -> None:
        """The same from a processor with the other byte order says the same."""
        for name, octets, truth in messages("*-hep2-*"):
            at = 16 if truth["ip_family"] == 2 else 40
            swapped = b"".join(octets[at + start : at + end][::-1] for start, end in ((0, 4), (4, 8), (8, 10)))
            other = octets[:at] + swapped + octets[at + 10 :]
            if abs(truth["ts_sec"] - truth["outer"]["cap_sec"]) < 86_000:
                self.assertEqual(to_hep3(other, now_ns(truth)), to_hep3(octets, now_ns(truth)), name)

    def test_without_padding(self) -> None:
        """The same from a sender that writes no padding says the same."""
        for name, octets, truth in messages("*-hep2-*"):
            at = 26 if truth["ip_family"] == 2 else 50
            other = octets[:at] + octets[at + 2 :]
            self.assertEqual(to_hep3(other, now_ns(truth)), to_hep3(octets, now_ns(truth)), name)


class QuirkTests(SynchronousTestCase):
    """The captures have the quirks that the tests above are for."""

    def test_capture_id_in_the_wrong_half(self) -> None:
        """sngrep and sipgrep write the id with htons into 32 bits: it is taken as it is."""
        self.assertEqual({Packet(octets).agent_id for _, octets, _ in messages("sngrep-hep3-udp4")}, {131203072})
        self.assertEqual({Packet(octets).agent_id for _, octets, _ in messages("sipgrep-hep3-udp4")}, {6619136})

    def test_header_length(self) -> None:
        """Kamailio's leaves out the time part, sngrep's is the datagram's length divided by 256."""
        for _, octets, truth in messages("kam-hep2-*"):
            self.assertEqual(octets[1], 16 if truth["ip_family"] == 2 else 40)
        for _, octets, _ in messages("sngrep-hep2-*"):
            self.assertEqual(octets[1], len(octets) >> 8)

    def test_padding(self) -> None:
        """sngrep's padding is rubbish."""
        paddings = {parse_legacy(octets, now_ns(truth)).padding for _, octets, truth in messages("sngrep-hep2-*")}
        self.assertGreater(len(paddings - {b"\0\0"}), 0)

    def test_tls(self) -> None:
        """Kamailio's number for SIP over TLS is not an IP protocol's, and is kept."""
        self.assertIn(22, {Packet(octets).protocol for _, octets, _ in messages("kam-hep3-siptls-udp4")})

    def test_any_payload(self) -> None:
        """Payloads have NULs and octets that are no UTF-8."""
        payloads = [Packet(octets).payload for _, octets, _ in messages("*-hep3-*")]
        self.assertTrue(any(payload and b"\0" in payload and b"\xff" in payload for payload in payloads))
        self.assertTrue(any(_is_not_utf8(payload or b"") for payload in payloads))

    def test_largest_time(self) -> None:
        """Seconds are unsigned."""
        self.assertEqual(max(Packet(octets).seconds or 0 for _, octets, _ in messages("hepjs-*")), 0xFFFFFFFF)

    def test_vendor_chunks_behind_the_payload(self) -> None:
        """hep-js sends vendor chunks, of types that generic ones have too, behind the payload."""
        found = [
            packet
            for packet in (Packet(octets) for _, octets, _ in messages("hepjs-*"))
            if packet.chunks[-1][0] == 4661
        ]
        self.assertGreater(len(found), 0)
        for packet in found:
            self.assertIsNotNone(packet.get(3, vendor=4661))
            self.assertEqual(len(packet.get(3) or b""), 4)


def _hex(octets: bytes | None) -> str | None:
    return None if octets is None else octets.hex()


def _is_not_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return True
    return False
