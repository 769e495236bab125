"""
The codec and npm's hep-js understand each other: what one writes, the other reads.

Needs ``node``, and either ``HEPJS_DIRECTORY``, a directory with ``node_modules/hep-js`` in it, or ``npm``, which then
fetches the package into a temporary one.

What hep-js cannot do is left out: it has no IPv6, makes UTF-8 text of payloads, and reads a vendor's chunk as if it
were the generic one of the same type.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hfp.hep import Packet, encode
from hfp.test.test_hep_captures import messages

_VERSION = "1.0.22"
_INSTALL_S = 60
_RUN_S = 60

#: hep-js's name of a field, and ours.
_NUMBERS = {
    "protocolFamily": "family",
    "protocol": "protocol",
    "srcPort": "source_port",
    "dstPort": "destination_port",
    "timeSeconds": "seconds",
    "timeUseconds": "microseconds",
    "payloadType": "protocol_type",
    "captureId": "agent_id",
    "mos": "mos",
}
_ADDRESSES = {"srcIp": "source_address", "dstIp": "destination_address"}
_TEXTS = {"capturePass": "authentication_key", "correlation_id": "correlation_id", "hepNodeName": "agent_name"}

_PROGRAM = """
const hep = require('hep-js');
const lines = require('fs').readFileSync(0, 'utf8').split('\\n').filter(line => line);
for (const line of lines) {
    const job = JSON.parse(line);
    if (job.octets !== undefined) {
        console.log(JSON.stringify(hep.decapsulate(Buffer.from(job.octets, 'hex'))));
    } else {
        console.log(JSON.stringify(hep.encapsulate(job.payload, job.rcinfo).toString('hex')));
    }
}
"""

_ascii = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60)
_fields = st.fixed_dictionaries(
    {
        "protocol": st.integers(0, 255),
        "source_address": st.ip_addresses(v=4).map(str),
        "destination_address": st.ip_addresses(v=4).map(str),
        "source_port": st.integers(0, 0xFFFF),
        "destination_port": st.integers(0, 0xFFFF),
        "seconds": st.integers(0, 0xFFFFFFFF),
        "microseconds": st.integers(0, 0xFFFFFFFF),
        "protocol_type": st.integers(0, 255),
        "agent_id": st.integers(0, 0xFFFFFFFF),
        "agent_name": _ascii,
        "payload": _ascii,
    },
    optional={"authentication_key": _ascii, "correlation_id": _ascii},
)


@cache
def _directory() -> Path | str:
    """Where node_modules with hep-js is, or why there is none."""
    if shutil.which("node") is None:
        return "node is not installed"
    named = os.environ.get("HEPJS_DIRECTORY")
    if named:
        here = Path(named, "node_modules", "hep-js").is_dir()
        return Path(named) if here else f"HEPJS_DIRECTORY={named} has no node_modules/hep-js"
    if shutil.which("npm") is None:
        return "npm is not installed, and HEPJS_DIRECTORY does not say where hep-js is"
    directory = mkdtemp(prefix="hfp-hepjs-", dir=".")  # in trial's own temporary directory
    install = [
        "npm",
        "install",
        "--prefix",
        directory,
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=0",
        "--fetch-timeout=15000",
        f"hep-js@{_VERSION}",
    ]
    try:
        subprocess.run(install, capture_output=True, check=True, timeout=_INSTALL_S, stdin=subprocess.DEVNULL)
    except subprocess.SubprocessError as error:
        return f"npm cannot install hep-js {_VERSION}: {error}"
    return Path(directory).resolve()


class HepJsTests(SynchronousTestCase):
    """hep-js as encoder and decoder."""

    def hep_js(self, jobs: Iterable[dict[str, Any]]) -> list[Any]:
        """What hep-js gives for each job: ``octets`` to be decoded, or ``payload`` and ``rcinfo`` to be encoded."""
        directory = _directory()
        if isinstance(directory, str):
            raise SkipTest(directory)
        done = subprocess.run(
            ["node", "-e", _PROGRAM],
            input="\n".join(map(json.dumps, jobs)),
            capture_output=True,
            check=True,
            text=True,
            timeout=_RUN_S,
            env={**os.environ, "NODE_PATH": str(directory / "node_modules")},
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def assert_same(self, packet: Packet, decoded: Any, name: object) -> None:
        """hep-js and we read the same."""
        info = decoded["rcinfo"]
        for theirs, ours in {**_NUMBERS, **_ADDRESSES}.items():
            self.assertEqual(getattr(packet, ours), info.get(theirs), (name, ours))
        for theirs, ours in _TEXTS.items():
            octets = getattr(packet, ours)
            self.assertEqual(octets and octets.decode(errors="replace"), info.get(theirs), (name, ours))
        self.assertEqual((packet.payload or b"").decode(errors="replace"), decoded.get("payload", ""), name)

    def test_reads_what_we_write(self) -> None:
        """Every field that we encode is what hep-js decodes."""
        packets = [encode(**fields) for fields in _examples()]
        packets.append(encode(source_address="192.0.2.1", destination_address="192.0.2.2", mos=42, payload="{}"))
        decoded = self.hep_js({"octets": octets.hex()} for octets in packets)
        self.assertEqual(len(decoded), len(packets))
        for octets, theirs in zip(packets, decoded, strict=True):
            self.assert_same(Packet(octets), theirs, octets.hex())

    def test_writes_what_we_read(self) -> None:
        """Every field that hep-js encodes is what we decode."""
        all_fields = _examples()
        jobs = []
        for fields in all_fields:
            info = {theirs: fields.get(ours) for theirs, ours in {**_NUMBERS, **_ADDRESSES, **_TEXTS}.items()}
            info = {name: value for name, value in info.items() if value is not None} | {"protocolFamily": 2}
            jobs.append({"payload": fields["payload"], "rcinfo": info})
        for fields, octets in zip(all_fields, self.hep_js(jobs), strict=True):
            packet = Packet(bytes.fromhex(octets))
            for name, value in {**fields, "family": 2}.items():
                said = getattr(packet, name)
                self.assertEqual(said.decode() if isinstance(said, bytes) else said, value, name)

    def test_captured(self) -> None:
        """Of captured messages, hep-js and we read the same."""
        captured = [
            (name, Packet(octets))
            for name, octets, truth in messages("*-hep3-*")
            if truth["ip_family"] == 2 and all(vendor == 0 for vendor, _, _ in truth["chunks"])
        ]
        decoded = self.hep_js({"octets": packet.octets.hex()} for _, packet in captured)
        self.assertEqual(len(decoded), len(captured))
        for (name, packet), theirs in zip(captured, decoded, strict=True):
            if packet.transaction_type is None:  # hep-js reads that text as a number
                self.assert_same(packet, theirs, name)


def _examples() -> list[dict[str, Any]]:
    """The same fields every time, for one start of node instead of one for each."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=150, database=None, derandomize=True, deadline=None)
    @given(_fields)
    def collect(fields: dict[str, Any]) -> None:
        found.append(fields)

    collect()
    return found
