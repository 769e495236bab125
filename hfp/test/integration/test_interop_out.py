"""
Real receivers: what hfp sends to Kamailio's sipcapture and to sngrep, they count to the last packet, and read right.
"""

from __future__ import annotations

import hashlib
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence

from hfp.test.integration import configurations
from hfp.test.integration.certificates import Authority
from hfp.test.integration.decoding import Datagram, Observed, observed, read_capture
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, Program, Relay, free_port, octets_underway
from hfp.test.integration.telephony import Receiver, is_bound, needs, sngrep
from hfp.test.peers.traffic import chunk, packet

_FAMILIES = {"2": 4, "10": 6}

#: As many at a time as fit into the smallest buffer of a receiver over UDP.
_AT_A_TIME = 50


def report(number: int, *, ipv6: bool = False, body: int = 0) -> bytes:
    """
    A SIP message as HEP 3; no two are the same.

    :param number: its capture agent id, so that it can be told from the others.
    :param body: octets.
    """
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    source, destination = ("2001:db8::1", "2001:db8::2") if ipv6 else ("192.0.2.1", "192.0.2.2")
    return packet(
        chunk(0, 1, bytes([family]))
        + chunk(0, 2, b"\x11")
        + chunk(0, 5 if ipv6 else 3, socket.inet_pton(family, source))
        + chunk(0, 6 if ipv6 else 4, socket.inet_pton(family, destination))
        + chunk(0, 7, struct.pack(">H", 5060 + number % 1000))
        + chunk(0, 8, b"\x13\xc4")
        + chunk(0, 9, struct.pack(">I", 1_790_000_000 + number))
        + chunk(0, 10, struct.pack(">I", number * 997 % 1_000_000))
        + chunk(0, 11, b"\x01")
        + chunk(0, 12, struct.pack(">I", number))
        + chunk(0, 15, _message(number, body))
    )


def _message(number: int, body: int) -> bytes:
    return (
        f"MESSAGE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}\r\n"
        f"From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: {number}@192.0.2.1\r\n"
        f"CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: {body}\r\n\r\n"
    ).encode() + bytes(32 + (number + at) % 95 for at in range(body))


def hep_2(number: int) -> bytes:
    """The same as HEP 2, as Kamailio sends it."""
    head = struct.pack(">BBBBHH", 2, 16, 2, 17, 5060 + number % 1000, 5060)
    time = struct.pack("<IIHH", 1_790_000_000 + number, number * 997 % 1_000_000, number, 0)
    return head + socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + time + _message(number, 0)


class ReceiverTestCase(ProcessTestCase):
    """A real receiver behind hfp."""

    def give(self, relay: Relay, packets: Sequence[bytes], taken: Callable[[], int] | None = None) -> None:
        """
        Send these over TCP.

        :param taken: how many packets the receiver has; then they are sent a few at a time, as it takes them.
        """
        connection = self.connect(relay)
        if taken is None:
            connection.sendall(b"".join(packets))
            return
        already = taken()
        for at in range(0, len(packets), _AT_A_TIME):
            some = packets[at : at + _AT_A_TIME]
            connection.sendall(b"".join(some))
            already += len(some)
            self.until_equal(taken, already, 10, f"the receiver has {already} packets")


class KamailioTests(ReceiverTestCase):
    """Kamailio's sipcapture."""

    def receiver(self, *, host: str = HOST, tls: str = "") -> Receiver:
        """A Kamailio that listens."""
        needs("kamailio", modules=["sipcapture.so", *(["tls.so"] if tls else [])])
        receiver = Receiver(self.directory, host=host, tls=tls)
        self.add(receiver, receiver.ready)
        return receiver

    def assert_counted(self, receiver: Receiver, packets: Sequence[bytes], via: str) -> None:
        """It has taken each of these once, and read of each what is in it; nothing else came."""
        self.until_above(lambda: len(receiver.taken()), len(packets) - 1, 10, "Kamailio has counted them all")
        taken = receiver.taken()
        self.assertEqual({said["via"] for said in taken}, {via})
        self.assertEqual([_told(said) for said in taken], [_tells(packet) for packet in packets])
        self.assertEqual(receiver.refused(), [])

    def various(self) -> list[bytes]:
        """IPv4, IPv6, small and as large as any that Kamailio takes."""
        sizes = {150: 1_400, 151: 16_384, 152: 65_535 - 700, 153: 20_480}
        return [report(number, ipv6=number % 3 == 0, body=sizes.get(number, 0)) for number in range(300)]

    def test_tcp(self) -> None:
        """HEP 3 over TCP."""
        receiver = self.receiver()
        relay = self.relay(f"tcp:{HOST}:{receiver.port}")
        packets = self.various()
        self.give(relay, packets)
        self.assert_counted(receiver, packets, "tcp")

    def test_tcp_restarts(self) -> None:
        """
        Kamailio dies with packets that its kernel has taken and it has not read; then hfp is killed.

        Both start again, and Kamailio has counted each packet at least once, in their order.
        """
        receiver = self.receiver()
        relay = self.relay(f"tcp:{HOST}:{receiver.port}")
        packets = [report(number, body=300) for number in range(3_000)]
        wanted = {_tells(packet) for packet in packets}
        self.give(relay, packets[:1_000])
        self.until_above(lambda: len(receiver.taken()), 999, 10, "Kamailio has counted the first")
        receiver.freeze()
        self.give(relay, packets[1_000:2_000])
        self.until_above(lambda: relay.metric("hfp_packets_sent_total"), 1_999, 10, "hfp has sent the second")
        self.assertGreater(octets_underway(receiver.port), 0)
        receiver.kill()
        self.assertEqual(len(receiver.taken()), 1_000)
        self.add(receiver, receiver.ready)
        self.until_above(lambda: len(receiver.taken()), 1_999, 10, "Kamailio has counted the second")
        receiver.freeze()
        self.give(relay, packets[2_000:])
        self.until_above(relay.received, 2_999, 10, "hfp has taken all")
        relay.kill()
        self.start(relay)
        receiver.thaw()
        self.until(lambda: wanted <= set(map(_told, receiver.taken())), 20, "Kamailio has counted all of them")
        taken = [_told(said) for said in receiver.taken()]
        self.assertEqual(set(taken) - wanted, set(), "it has counted what was never sent")
        self.assertEqual(list(dict.fromkeys(taken)), [_tells(packet) for packet in packets], "out of order")
        self.assertEqual(receiver.refused(), [])

    def test_udp(self) -> None:
        """HEP 3 over UDP, and HEP 2 that hfp has made HEP 3 of."""
        receiver = self.receiver()
        port = free_port()
        relay = self.relay(f"udp:{HOST}:{receiver.port}", options=["--listen", f"udp:{port}:interface={HOST}"])
        # A datagram has at most 65,507 octets.
        packets = [packet for packet in self.various() if len(packet) <= 65_507]
        self.give(relay, packets, lambda: len(receiver.taken()))
        with socket.socket(type=socket.SOCK_DGRAM) as old:
            for number in range(1_000, 1_050):
                old.sendto(hep_2(number), (HOST, port))
                packets.append(report(number))
        self.assert_counted(receiver, packets, "udp")

    def test_udp_over_ipv6(self) -> None:
        """The same to ::1."""
        receiver = self.receiver(host="::1")
        relay = self.relay(f"udp:[::1]:{receiver.port}")
        packets = self.various()[:100]
        self.give(relay, packets, lambda: len(receiver.taken()))
        self.assert_counted(receiver, packets, "udp")

    def test_tls(self) -> None:
        """HEP 3 over TLS: hfp verifies Kamailio's certificate, and Kamailio hfp's."""
        authority = Authority(self.directory)
        server = authority.issue("server", "localhost")
        client = authority.issue("client", "hfp.example")
        port = free_port()
        receiver = self.receiver(
            tls=configurations.tls(
                host=HOST,
                tls_port=port,
                certificate=server.certificate,
                private_key=server.key,
                ca_file=authority.file,
                require=1,
            )
        )
        ours = f"clientCert={client.certificate}:clientKey={client.key}"
        relay = self.relay(f"tls:localhost:{port}:caFile={authority.file}:{ours}")
        packets = self.various()
        self.give(relay, packets)
        self.assert_counted(receiver, packets, "tls")
        self.until_above(lambda: relay.metric("hfp_packets_confirmed_total"), 299, 10, "all is confirmed")


class SngrepTests(ReceiverTestCase):
    """sngrep, which writes what it takes to a capture."""

    def test_udp(self) -> None:
        """HEP 3 of IPv4, which is what sngrep knows."""
        needs("sngrep")
        port = free_port()
        written = self.directory / "taken.pcap"
        receiver = Program("sngrep", sngrep("-F", "-L", f"udp:{HOST}:{port}", "-O", str(written)), self.directory)
        self.add(receiver, lambda: is_bound("udp", port))
        relay = self.relay(f"udp:{HOST}:{port}")
        # It takes up to 20,480 octets of HEP, and writes no IP packet of more.
        packets = [report(number, body=8_000 if number == 150 else 0) for number in range(300)]
        self.give(relay, packets, lambda: len(read_capture(written)))
        relay.stop()
        receiver.signal(signal.SIGTERM)
        receiver.wait(10)
        self.assertEqual([_shown(each) for each in read_capture(written)], [_shows(packet) for packet in packets])


def _told(said: Mapping[str, str]) -> tuple[object, ...]:
    """What Kamailio says of one packet."""
    kind = _FAMILIES[said["family"]]
    numbers = (said[name] for name in ("protocol", "source_port", "destination_port", "seconds", "microseconds"))
    return (
        said[f"source{kind}"],
        said[f"destination{kind}"],
        *map(int, numbers),
        int(said["kind"]),
        int(said["agent"]),
        int(said["octets"]),
        said["digest"],
    )


def _tells(packet: bytes) -> tuple[object, ...]:
    """What it should say."""
    each = observed(packet)
    return (
        each.source,
        each.destination,
        each.protocol,
        each.source_port,
        each.destination_port,
        each.seconds,
        each.microseconds,
        each.kind,
        each.agent,
        len(each.payload),
        hashlib.sha256(each.payload).hexdigest(),
    )


def _shown(each: Datagram) -> tuple[object, ...]:
    """What sngrep has written of one packet."""
    return each.time, each.source, each.source_port, each.destination, each.destination_port, each.payload


def _shows(packet: bytes) -> tuple[object, ...]:
    """What it should write."""
    each: Observed = observed(packet)
    assert each.seconds is not None and each.microseconds is not None
    return each.seconds * 1_000_000 + each.microseconds, *each.ends, each.payload
