"""
Collectors behind TLS, with real sockets and certificates: whom hfp trusts, and that nothing is lost, whoever dies.
"""

from __future__ import annotations

import shutil
import socket
from functools import partial

from hfp.test.integration.certificates import Authority
from hfp.test.integration.harness import RESEND_WINDOW_S, duplicate_bound
from hfp.test.integration.programs import HOST, Relay, free_port
from hfp.test.integration.secured import TlsTestCase
from hfp.test.peers.ledger import Event
from hfp.test.peers.traffic import Traffic

_RATE = 3000


class TlsRemoteTests(TlsTestCase):
    """Collectors behind TLS."""

    options = ("--reconnect", "0.3")

    def test_verified(self) -> None:
        """All sizes arrive once over one connection; the figures count plain octets; all is confirmed."""
        collector = self.tls_collector(dump=True)
        relay = self.relay(self.trusting(collector))
        sent = self.send(relay, mix="every-size", count=3_000)
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)
        self.until_equal(lambda: relay.metric("hfp_packets_confirmed_total"), 3_000, 10, "all is confirmed")
        self.assertEqual(relay.metric("hfp_bytes_confirmed_total"), collector.dumped.stat().st_size)
        self.assertNotIn("insecure", relay.log())
        relay.stop()
        self.until(lambda: collector.connections() and collector.reading.events[Event.ENDED], 5, "an orderly end")

    def test_stop_is_an_end_without_doubt(self) -> None:
        """What was handed over before a stop is not sent again by the next life."""
        collector = self.tls_collector()
        relay = self.relay(self.trusting(collector))
        sent = self.send(relay, count=5_000)
        relay.stop()
        self.start(relay)
        sent |= self.send(relay, id=2, count=100)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_server_name(self) -> None:
        """The name that the certificate must have can be another than the host."""
        collector = self.tls_collector(self.authority.issue("named", "homer.example"))
        relay = self.relay(self.trusting(collector, "serverName=homer.example"))
        sent = self.send(relay, count=100)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)

    def test_ipv6(self) -> None:
        """An IPv6 address, which the certificate names."""
        collector = self.tls_collector(self.authority.issue("six", "::1"), host="::1")
        relay = self.relay(f"tls:[::1]:{collector.port}:caFile={self.authority.file}")
        sent = self.send(relay, count=100)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)

    def test_certificates_that_are_not_good(self) -> None:
        """A wrong name, an unknown authority, an expired one, a self-signed one: nothing is sent, the log says why."""
        other = Authority(self.directory, "other")
        for name, identity, reasons in (
            ("name", self.authority.issue("name", "homer.example"), (f"not for {HOST}", "serverName")),
            ("unknown", other.issue("unknown", HOST), ("caFile",)),
            ("expired", self.authority.issue("expired", HOST, days=-1), ("expired",)),
            ("self-signed", self.authority.self_signed("self-signed", HOST), ("caFile",)),
        ):
            collector = self.tls_collector(identity, dump=True)
            relay = self.relay(self.trusting(collector), name=f"hfp-{name}")
            self.send(relay, count=100)
            failures = partial(relay.metric, "hfp_remote_connects_total", result="tls")
            self.until_above(failures, 1, 10, name)
            self.assertEqual(relay.metric("hfp_remote_up"), 0)
            self.assertEqual(relay.metric("hfp_packets_sent_total"), 0)
            self.assertEqual(relay.metric("hfp_remote_unconfirmed_packets"), 100)
            for reason in reasons:
                self.assertIn(reason, _lines(relay, "cannot be reached"), name)
            relay.kill()
            collector.kill()
            self.assertEqual(collector.dumped.stat().st_size, 0, f"{name}: something was sent")
            collector.should_run = False

    def test_the_system_s_authorities(self) -> None:
        """Without ``caFile`` our private authority is not trusted."""
        collector = self.tls_collector()
        relay = self.relay(f"tls:{HOST}:{collector.port}")
        self.until_above(lambda: relay.metric("hfp_remote_connects_total", result="tls"), 0, 10, "it is refused")
        self.assertIn("caFile", _lines(relay, "cannot be reached"))

    def test_insecure(self) -> None:
        """``insecure=yes`` takes any certificate, and each start warns of it; so do ``-s`` and ``-p tls``."""
        collector = self.tls_collector(self.authority.self_signed("self-signed", "whoever"))
        relay = self.relay(f"tls:{HOST}:{collector.port}:insecure=yes")
        sent = self.send(relay, count=100)
        self.until_arrived(collector, sent, 5)
        relay.stop()
        self.start(relay)
        sent |= self.send(relay, id=2, count=100)
        self.until_arrived(collector, sent, 5)
        self.assertEqual(sum("#warn" in line and "insecure" in line for line in relay.log().splitlines()), 2)
        relay.stop()
        relay = self.relay(f"{HOST}:{collector.port}", options=["-p", "tls", "-s"], name="like-the-go-hfp")
        sent |= self.send(relay, id=3, count=100)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)
        self.assertEqual(sum("#warn" in line and "certificate" in line for line in relay.log().splitlines()), 1)

    def test_our_certificate(self) -> None:
        """A collector that wants a certificate of hfp gets it; without one the log says what may be amiss."""
        client = self.authority.issue("client", "hfp.example")
        collector = self.tls_collector(client_ca=self.authority.file)
        bare = self.relay(self.trusting(collector), name="bare")
        self.until(lambda: "clientCert" in bare.log(), 10, "the cure is in the log")
        bare.kill()
        relay = self.relay(self.trusting(collector, f"clientCert={client.certificate}", f"clientKey={client.key}"))
        sent = self.send(relay, count=100)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)

    def test_tls_collector_on_a_plain_remote(self) -> None:
        """``tcp:`` to a collector that speaks TLS: nothing counts as delivered, and the log says what it looks like."""
        collector = self.tls_collector(dump=True)
        relay = self.relay(f"tcp:{HOST}:{collector.port}")
        self.send(relay, count=100)
        self.until(lambda: "write tls: instead of tcp:" in relay.log(), 10, "the hint is in the log")
        self.assertIn("9060", _lines(relay, "write tls: instead of tcp:"))
        self.assertIn("9061", _lines(relay, "write tls: instead of tcp:"))
        relay.kill()
        right = self.relay(self.trusting(collector), name="right", spool=relay.spool)
        self.assertIn("100 packets", _lines(right, "still holds"))

    def test_alert_on_a_plain_remote(self) -> None:
        """A collector that answers plain HEP with a TLS alert, as Go's TLS does, is recognised by that."""
        with socket.create_server((HOST, free_port())) as server:
            server.settimeout(10)
            relay = self.relay(f"tcp:{HOST}:{server.getsockname()[1]}")
            self.send(relay, count=1)
            # The first connection may be older than the packet; any will do.
            with server.accept()[0] as connection:
                connection.settimeout(10)
                connection.recv(65_536)
                connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
                self.until(lambda: "answers in TLS" in relay.log(), 10, "the hint is in the log")
        self.assertIn("write tls: instead of tcp:", _lines(relay, "answers in TLS"))
        self.assertIn("9060", _lines(relay, "answers in TLS"))

    def test_plain_collector_on_a_tls_remote(self) -> None:
        """``tls:`` to a collector that speaks plain TCP."""
        collector = self.collector(dump=True)
        relay = self.relay(self.trusting(collector))
        self.send(relay, count=100)
        self.until(lambda: "write tcp: instead of tls:" in relay.log(), 15, "the hint is in the log")
        self.assertIn("9061", _lines(relay, "write tcp: instead of tls:"))
        self.assertEqual(relay.metric("hfp_packets_sent_total"), 0)
        self.assertEqual(relay.metric("hfp_remote_unconfirmed_packets"), 100)

    def test_nothing_answers(self) -> None:
        """A collector that accepts and says nothing: hfp gives up, tries again and keeps what comes in."""
        with socket.create_server((HOST, free_port())) as mute:
            relay = self.relay(f"tls:{HOST}:{mute.getsockname()[1]}:caFile={self.authority.file}")
            self.send(relay, count=100)
            self.until(lambda: "write tcp: instead of tls:" in relay.log(), 40, "the hint is in the log")

    def test_renewed_certificate(self) -> None:
        """The collector comes back with another certificate, as after a renewal."""
        collector = self.tls_collector()
        relay = self.relay(self.trusting(collector))
        sent = self.send(relay, count=100)
        self.until_arrived(collector, sent, 5)
        collector.kill()
        renewed = self.authority.issue("renewed", "localhost", HOST)
        for old, new in ((self.ours.certificate, renewed.certificate), (self.ours.key, renewed.key)):
            shutil.copy(new, old)
        self.start(collector)
        sent |= self.send(relay, id=2, count=100)
        self.until_arrived(collector, sent, 5)


class TlsDeliveryTests(TlsTestCase):
    """Under TLS as well, nothing is lost whoever dies."""

    def bound(self, mean_size: float, losses: int) -> float:
        """Of duplicates."""
        return duplicate_bound(rate=_RATE, window_s=RESEND_WINDOW_S, mean_size=mean_size, losses=losses)

    def test_collector_is_killed_under_load(self) -> None:
        """SIGKILL of the collector, twice."""
        collector = self.tls_collector()
        relay = self.relay(self.trusting(collector))
        sender = self.sender(relay, count=24_000, rate=_RATE)
        for mark in (6_000, 14_000):
            self.until_above(collector.arrived, mark, 15, "the collector is under load")
            collector.kill()
            self.until_above(sender.given, sender.given() + _RATE // 2, 10, "half a second without it")
            self.start(collector)
        sent = sender.finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=self.bound(sender.mean_size, 2))

    def test_hfp_is_killed_while_the_backlog_drains(self) -> None:
        """SIGKILL of hfp with half of what it has taken on its way: the next life sends the rest."""
        drain_octets_s = 6_000_000
        collector = self.tls_collector()
        relay = self.relay(self.trusting(collector))
        collector.order(f"slow {drain_octets_s}")
        sent = self.send(relay, count=20_000)
        self.until_above(collector.arrived, 5_000, 20, "the collector is at work")
        relay.kill()
        self.assertLess(collector.arrived(), 20_000)
        collector.order("fast")
        self.start(relay)
        self.until_arrived(collector, sent, 20)
        size = Traffic(1).mean_size()
        bound = duplicate_bound(rate=drain_octets_s / size, window_s=RESEND_WINDOW_S, mean_size=size)
        self.assert_delivered(collector, sent, duplicates=bound)

    def test_collector_stalls(self) -> None:
        """A collector that does not read for a while: the connection is kept, and nothing comes twice."""
        collector = self.tls_collector()
        relay = self.relay(self.trusting(collector))
        sender = self.sender(relay, count=30_000, rate=6_000, mix="2000")
        self.until_above(collector.arrived, 3_000, 15, "the collector is under load")
        collector.order("stall")
        self.until_above(sender.given, 24_000, 15, "the sender does not notice")
        collector.order("fast")
        sent = sender.finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)

    def test_link_is_silent_for_ever(self) -> None:
        """A link that goes silent is given up, and what was not acknowledged is sent again to who comes then."""
        collector = self.tls_collector()
        relay = self.relay(self.trusting(collector))
        sent = self.send(relay, count=3_000)
        self.until_arrived(collector, sent, 10)
        collector.order("silence")
        sent |= self.send(relay, id=2, count=1_000)
        self.until(lambda: relay.metric("hfp_remote_up") == 0, 25, "it is given up")
        collector.order("hear")
        self.until_arrived(collector, sent, 20)
        self.assert_delivered(collector, sent, duplicates=4_000)


def _lines(relay: Relay, words: str) -> str:
    """The lines of its log with these words."""
    return "\n".join(line for line in relay.log().splitlines() if words in line)
