"""
Real senders: sipp's calls through Kamailio, which traces them to hfp, in every HEP version over every transport.

Two witnesses, neither of them ours to get wrong together: what sipp says that it sent and received is what Kamailio
should have traced; what a tap between Kamailio and hfp wrote down is what Kamailio did send.
"""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence

from hfp.test.integration import configurations
from hfp.test.integration.certificates import Authority
from hfp.test.integration.decoding import (
    Datagram,
    Observed,
    datagrams_of,
    observed,
    packets_in,
    packets_of,
    write_capture,
)
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.media import Party, Rtpengine, media_port
from hfp.test.integration.programs import HOST, Collector, Relay, free_port
from hfp.test.integration.telephony import Proxy, Sipp, Tap, Traced, bracketed, is_bound, needs, run, sngrep

_CALLS = 20
_REFUSED = 5

#: What Kamailio sees of each call: seven messages on either side of it, but for its own "100 Trying".
_OF_A_CALL = 13
#: INVITE, 404 and ACK, and the ACK once more: Kamailio traces one to a stateless reply twice.
_OF_A_REFUSAL = 4
_TRACED = _CALLS * _OF_A_CALL + _REFUSED * _OF_A_REFUSAL

_AGENT = 4711

#: The proxy, who calls and who answers.  IPv6 has one address of this machine only that is always there.
_ADDRESSES = {2: (HOST, "127.0.0.2", "127.0.0.3"), 10: ("::1", "::1", "::1")}


class KamailioTestCase(ProcessTestCase):
    """Calls through a Kamailio that traces."""

    def setUp(self) -> None:
        super().setUp()
        self.began = time.time()

    def call(self, make_proxy: Callable[[str], Proxy], family: int = 2) -> Counter[Traced]:
        """
        Start the proxy and make the calls.

        :param make_proxy: gets the address of whoever takes calls.
        :returns: what the proxy has to trace.
        """
        host, near, far = _ADDRESSES[family]
        answering = Sipp("answer", self.directory, configurations.ANSWER, calls=_CALLS, host=far)
        proxy = make_proxy(answering.address)
        self.add(answering, lambda: is_bound("udp", answering.port))
        self.add(proxy, proxy.ready)
        to = f"{bracketed(host)}:{proxy.port}"
        told: Counter[Traced] = Counter()
        for name, service, scenario, calls in (
            ("call", "alice", configurations.CALL, _CALLS),
            ("refused", "nobody", configurations.REFUSED, _REFUSED),
        ):
            calling = Sipp(name, self.directory, scenario, to, "-s", service, "-r", "50", calls=calls, host=near)
            self.add(calling)
            self.assertEqual(calling.wait(20), 0, f"sipp failed: {calling.log()[-2000:]}")
            told += calling.saw_as_traced(host, proxy.port)
        self.assertEqual(answering.wait(10), 0, f"sipp failed: {answering.log()[-2000:]}")
        told += answering.saw_as_traced(host, proxy.port)
        # An ACK to a reply without state is traced twice: by the transaction layer's callback and by sl's.
        told += Counter({seen: count for seen, count in told.items() if seen[1].startswith(b"ACK sip:nobody@")})
        self.assertGreaterEqual(sum(told.values()), _TRACED)
        return told

    def arrived(self, relay: Relay, collector: Collector, number: int) -> list[bytes]:
        """The packets at the collector, once there are so many; nothing else may come, and nothing was amiss."""
        self.until_above(relay.received, number - 1, 10, "hfp has taken all that was traced")
        self.until(lambda: len(packets_in(collector.dumped)) >= number, 10, "all that was traced is at the collector")
        relay.stop()
        packets = packets_in(collector.dumped)
        self.assertEqual(len(packets), number, "more arrived than was traced")
        return packets

    def assert_told(self, packets: Sequence[Observed], told: Counter[Traced]) -> None:
        """The packets are what sipp saw, each as often as it was traced."""
        arrived = Counter((each.ends, each.payload) for each in packets)
        self.assertEqual(list((told - arrived).elements()), [], "traced, but did not arrive")
        self.assertEqual(list((arrived - told).elements()), [], "arrived, but was not traced")

    def assert_plausible(self, packets: Sequence[Observed], agent: int = _AGENT, family: int = 2) -> None:
        """All that is the same in all packets; their times lie between the start of the test and now."""
        for each in packets:
            said = (each.version, each.kind, each.agent, each.family, each.protocol)
            self.assertEqual(said, (3, 1, agent, family, socket.IPPROTO_UDP))
            # What is below a microsecond is cut off.
            self.assertTrue(self.began - 0.001 <= each.time <= time.time(), f"{each.time} is no time of this test")


class KamailioOverUdpTests(KamailioTestCase):
    """Kamailio's siptrace over UDP, which is all that it has for HEP 1 and 2."""

    def trace(self, version: int, family: int = 2) -> None:
        """Calls, traced in this version; whatever Kamailio sends is at the collector, as HEP 3."""
        needs("kamailio", "sipp")
        host = _ADDRESSES[family][0]
        port = free_port()
        collector = self.collector(dump=True)
        relay = self.relay(collector, options=["--listen", f"udp:{port}:interface={bracketed(host)}"])
        tap = Tap(self.directory, "udp", port)
        self.add(tap, tap.ready)
        told = self.call(
            lambda answering: Proxy(
                self.directory, collector=tap.port, answering=answering, version=version, agent=_AGENT, host=host
            ),
            family,
        )
        sent = [observed(datagram) for datagram in datagrams_of(tap.record.read_bytes())]
        self.assert_told(sent, told)
        self.assertEqual({each.version for each in sent}, {version})
        packets = self.arrived(relay, collector, sum(told.values()))
        taken = [observed(packet) for packet in packets]
        if version == 3:
            self.assertEqual(packets, datagrams_of(tap.record.read_bytes()))
        self.assertEqual([_common(each) for each in taken], [_common(each) for each in sent])
        # The same chunks in the same order as in Kamailio's HEP 3.
        addresses = (3, 4) if family == 2 else (5, 6)
        self.assertEqual({each.chunks for each in taken}, {(1, 2, *addresses, 7, 8, 9, 10, 11, 12, 15)})
        if version == 2:
            self.assertEqual([each.time for each in taken], [each.time for each in sent])
        self.assert_plausible(taken, 0 if version == 1 else _AGENT, family)
        if version == 1:
            times = [each.time for each in taken]
            self.assertEqual(times, sorted(times), "they are of their receipt")

    def test_hep_1(self) -> None:
        """HEP 1, Kamailio's default: stamped on receipt; twins that are the same to the last octet both arrive."""
        self.trace(1)

    def test_hep_1_over_ipv6(self) -> None:
        """HEP 1 of IPv6."""
        self.trace(1, 10)

    def test_hep_2(self) -> None:
        """HEP 2: Kamailio's times and agent id."""
        self.trace(2)

    def test_hep_2_over_ipv6(self) -> None:
        """HEP 2 of IPv6."""
        self.trace(2, 10)

    def test_hep_3(self) -> None:
        """HEP 3: not an octet is changed."""
        self.trace(3)

    def test_hep_3_over_ipv6(self) -> None:
        """HEP 3 of IPv6."""
        self.trace(3, 10)


class KamailioOverTcpTests(KamailioTestCase):
    """Kamailio's siptrace over TCP."""

    def test_hep_3(self) -> None:
        """The stream arrives as it was sent, and hfp sends nothing back."""
        needs("kamailio", "sipp")
        collector = self.collector(dump=True)
        relay = self.relay(collector)
        tap = Tap(self.directory, "tcp", relay.port)
        self.add(tap, tap.ready)
        told = self.call(
            lambda answering: Proxy(
                self.directory, collector=tap.port, answering=answering, version=3, transport="tcp", agent=_AGENT
            )
        )
        packets = self.arrived(relay, collector, sum(told.values()))
        self.assertEqual(packets, packets_of(tap.record.read_bytes()))
        taken = [observed(packet) for packet in packets]
        self.assert_told(taken, told)
        self.assert_plausible(taken)
        self.assertEqual(tap.back.read_bytes(), b"", "hfp answered a sender")


class KamailioOverTlsTests(KamailioTestCase):
    """Kamailio's siptrace over TLS; each side verifies the other's certificate."""

    def test_hep_3(self) -> None:
        """What is encrypted on its way is unchanged at its end."""
        needs("kamailio", "sipp", modules=["tls.so"])
        authority = Authority(self.directory)
        server = authority.issue("server", HOST)
        client = authority.issue("client", "kamailio.example")
        port = free_port()
        files = f"privateKey={server.key}:certKey={server.certificate}:caCertsFile={authority.file}"
        collector = self.collector(dump=True)
        relay = self.relay(collector, options=["--listen", f"tls:{port}:interface={HOST}:{files}"])
        tls = configurations.tls(
            host=HOST,
            tls_port=free_port(),
            certificate=client.certificate,
            private_key=client.key,
            ca_file=authority.file,
            require=0,
        )
        told = self.call(
            lambda answering: Proxy(
                self.directory,
                collector=port,
                answering=answering,
                version=3,
                transport="tls",
                agent=_AGENT,
                tls=tls,
            )
        )
        taken = [observed(packet) for packet in self.arrived(relay, collector, sum(told.values()))]
        self.assert_told(taken, told)
        self.assert_plausible(taken)


class SngrepTests(ProcessTestCase):
    """sngrep, which reads a capture and sends what it finds; its HEP 2 has a length and padding that mean nothing."""

    def trace(self, version: int) -> None:
        """A capture, sent in this version."""
        needs("sngrep")
        port = free_port()
        collector = self.collector(dump=True)
        relay = self.relay(collector, options=["--listen", f"udp:{port}:interface={HOST}"])
        tap = Tap(self.directory, "udp", port)
        self.add(tap, tap.ready)
        captured = [_captured(number) for number in range(60)]
        write_capture(self.directory / "in.pcap", captured)
        (self.directory / "rc").write_text(f"set eep.send.version {version}\nset eep.send.id 1234\n")
        run(sngrep("-f", "rc", "-H", f"udp:{HOST}:{tap.port}", "-I", "in.pcap"), self.directory, 20)
        self.until_above(relay.received, len(captured) - 1, 10, "hfp has taken all")
        self.until(lambda: len(packets_in(collector.dumped)) >= len(captured), 10, "all is at the collector")
        relay.stop()
        packets = packets_in(collector.dumped)
        sent = datagrams_of(tap.record.read_bytes())
        if version == 3:
            self.assertEqual(packets, sent)
        taken = [observed(packet) for packet in packets]
        # Its capture id is 16 bits where HEP 3 has 32: that is how it is sent.
        agent = 1234 if version == 2 else 1234 << 16
        self.assertEqual({(each.version, each.kind, each.agent, each.protocol) for each in taken}, {(3, 1, agent, 17)})
        self.assertEqual([_common(each) for each in taken], [_common(observed(datagram)) for datagram in sent])
        self.assertEqual(
            [(round(each.time * 1e6), *each.ends, each.payload) for each in taken], list(map(_seen, captured))
        )

    def test_hep_2(self) -> None:
        """Times of years ago, in HEP 2."""
        self.trace(2)

    def test_hep_3(self) -> None:
        """In HEP 3."""
        self.trace(3)


class RtpengineTests(ProcessTestCase):
    """rtpengine, which reports the RTCP of a call."""

    def trace(self, kind: str) -> None:
        """A call with reports both ways."""
        needs("rtpengine")
        port = free_port()
        collector = self.collector(dump=True)
        relay = self.relay(collector, options=["--listen", f"udp:{port}:interface={HOST}"])
        tap = Tap(self.directory, kind, port if kind == "udp" else relay.port)
        self.add(tap, tap.ready)
        rtpengine = Rtpengine(self.directory, tap.port, kind, _AGENT)
        self.add(rtpengine, rtpengine.ready)
        caller, callee = Party(1), Party(2)
        self.addCleanup(caller.close)
        self.addCleanup(callee.close)
        tags = {"call_id": "a-call", "from_tag": "caller"}
        to_callee = rtpengine.order(command="offer", sdp=caller.description(), **tags)
        to_caller = rtpengine.order(command="answer", sdp=callee.description(), to_tag="callee", **tags)
        near, far = media_port(to_caller), media_port(to_callee)
        began = time.time()
        for number in range(1, 11):
            caller.talk(near, number)
            callee.talk(far, number)
            caller.report(near, 2, number)
            callee.report(far, 1, number)
        self.until_above(relay.received, 19, 10, "hfp has taken all reports")
        self.until(lambda: len(packets_in(collector.dumped)) >= 20, 10, "all is at the collector")
        relay.stop()
        packets = packets_in(collector.dumped)
        sent = tap.record.read_bytes()
        self.assertEqual(packets, datagrams_of(sent) if kind == "udp" else packets_of(sent))
        taken = [observed(packet) for packet in packets]
        self.assertEqual({(each.kind, each.agent, each.protocol) for each in taken}, {(5, _AGENT, 17)})
        for party, to in ((caller, near), (callee, far)):
            of_party = [each for each in taken if each.ends == (HOST, party.port + 1, HOST, to + 1)]
            said = [json.loads(each.payload)["sender_information"]["packets"] for each in of_party]
            self.assertEqual(said, list(range(1, 11)))
        for each in taken:
            self.assertTrue(began - 0.001 <= each.time <= time.time())

    def test_udp(self) -> None:
        """Over UDP."""
        self.trace("udp")

    def test_tcp(self) -> None:
        """Over TCP."""
        self.trace("tcp")


def _captured(number: int) -> Datagram:
    """A message of a call of the year 2015, the first on a full second."""
    method = ("OPTIONS", "REGISTER", "PUBLISH")[number % 3]
    message = (
        f"{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}\r\n"
        f"From: <sip:alice@example.org>;tag={number}\r\nTo: <sip:bob@example.org>\r\n"
        f"Call-ID: {number}@192.0.2.1\r\nCSeq: 1 {method}\r\nSubject: {'x' * 97 * (number % 10)}\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    time_us = 1_430_000_000_000_000 + number * 333_333
    return Datagram(time_us, "192.0.2.1", 5060, "192.0.2.2", 5070 + number, message)


def _seen(each: Datagram) -> tuple[object, ...]:
    return each.time, each.source, each.source_port, each.destination, each.destination_port, each.payload


def _common(each: Observed) -> tuple[object, ...]:
    """What every version has."""
    return each.ends, each.family, each.protocol, each.payload
