"""Tests for `hfp.metrics`."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import evolve
from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import hfp
from hfp.metrics import CATALOGUE, GO_HFP, make_registry
from hfp.status import Amount, CursorStatus, FilterStatus, IntakeStatus, RelayStatus, SpoolStatus, UplinkStatus

A = "tcp:a.example:9060"
B = "tcp:[::1]:9060"
OLD = "tcp:old.example:9060"


def two(packets: int) -> Amount:
    """So many packets, and a hundred times as many octets."""
    return Amount(packets=packets, octets=packets * 100)


#: Each number stands for itself: no two series that could be confused have the same.
STATUS = RelayStatus(
    now=1_700_000_100.0,
    started_at=1_700_000_000.0,
    intake=IntakeStatus(
        received=two(11),
        connects=12,
        connected=13,
        reads=14,
        invalid={"tls": 15, "http": 0},
        skipped_octets=16,
        last_packet_at=1_700_000_017.5,
        last_connect_at=1_700_000_018.5,
        paused=True,
        refused={"not-allowed": 81},
        refused_datagrams=82,
        deadlines={"first-packet": 83},
        tls_failures={"plain": 84},
        datagrams=85,
        converted={"1": 86, "2": 87},
        kernel_drops={"udp:9060": 88},
        unauthenticated=89,
        unauthenticated_by_host={"192.0.2.1": 90},
    ),
    spool=SpoolStatus(
        disk_octets=21,
        backlog=two(22),
        limit_octets=23,
        segments=24,
        spare_segments=25,
        quarantined_segments=26,
        memory_segments=27,
        refused=two(28),
        corrupt_records=29,
        corrupt=two(30),
        torn=31,
        syncs=32,
        sync_errors=33,
        sync_s=34.5,
        last_sync_s=0.35,
        write_errors=36,
        flushes=37,
        full=True,
        degraded=False,
        cursors=(
            CursorStatus(name=A, configured=True, unconfirmed=two(41), dropped={"spool-full": two(42)}, oldest_s=43.5),
            CursorStatus(
                name=OLD, configured=False, unconfirmed=two(44), dropped={"spool-full": two(45)}, oldest_s=46.5
            ),
        ),
    ),
    filters=(FilterStatus(name="ip", packets={"pass": 91, "reject": 92}, seconds=9.5),),
    uplinks=(
        UplinkStatus(
            name=A,
            up=True,
            stalled=True,
            connects={"ok": 51, "refused": 0},
            losses={"dead": 52},
            sent=two(53),
            resent=two(54),
            confirmed=two(55),
            lagging=two(56),
            drains=57,
            failed_drains=58,
            since_s=59.5,
            dropped={"too-big": two(60)},
        ),
        UplinkStatus(name=B, drains=61, failed_drains=62),
    ),
)

EXPECTED = {
    "hfp_client_connects_in": 12,
    "hfp_connection_status_out": 0,
    "hfp_hep_bytes_in_file": 2200,
    "hfp_hep_file_flushes_success": 118,
    "hfp_hep_file_flushes_error": 120,
    "hfp_client_in_last_metric_timestamp": 1_700_000_017.5,
    "hfp_packets_received_total": 11,
    "hfp_bytes_received_total": 1100,
    "hfp_reads_total": 14,
    "hfp_sender_connects_total": 12,
    "hfp_senders_connected": 13,
    "hfp_invalid_total{kind=tls}": 15,
    "hfp_invalid_total{kind=http}": 0,
    "hfp_connections_refused_total{reason=not-allowed}": 81,
    "hfp_datagrams_refused_total": 82,
    "hfp_deadlines_missed_total{deadline=first-packet}": 83,
    "hfp_tls_failures_total{kind=plain}": 84,
    "hfp_datagrams_received_total": 85,
    "hfp_packets_converted_total{version=1}": 86,
    "hfp_packets_converted_total{version=2}": 87,
    "hfp_udp_kernel_drops_total{listener=udp:9060}": 88,
    "hfp_packets_unauthenticated_total": 89,
    "hfp_sender_packets_unauthenticated_total{sender=192.0.2.1}": 90,
    "hfp_filter_packets_total{filter=ip,verdict=pass}": 91,
    "hfp_filter_packets_total{filter=ip,verdict=reject}": 92,
    "hfp_filter_seconds_total{filter=ip}": 9.5,
    f"hfp_packets_dropped_total{{reason=too-big,remote={A}}}": 60,
    f"hfp_bytes_dropped_total{{reason=too-big,remote={A}}}": 6000,
    "hfp_bytes_skipped_total": 16,
    "hfp_intake_paused": 1,
    "hfp_last_packet_timestamp_seconds": 1_700_000_017.5,
    "hfp_last_connect_timestamp_seconds": 1_700_000_018.5,
    f"hfp_remote_up{{remote={A}}}": 1,
    f"hfp_remote_up{{remote={B}}}": 0,
    f"hfp_remote_stalled{{remote={A}}}": 1,
    f"hfp_remote_state_seconds{{remote={A}}}": 59.5,
    f"hfp_remote_connects_total{{remote={A},result=ok}}": 51,
    f"hfp_remote_connects_total{{remote={A},result=refused}}": 0,
    f"hfp_remote_losses_total{{cause=dead,remote={A}}}": 52,
    f"hfp_packets_sent_total{{remote={A}}}": 53,
    f"hfp_bytes_sent_total{{remote={A}}}": 5300,
    f"hfp_packets_resent_total{{remote={A}}}": 54,
    f"hfp_bytes_resent_total{{remote={A}}}": 5400,
    f"hfp_packets_confirmed_total{{remote={A}}}": 55,
    f"hfp_bytes_confirmed_total{{remote={A}}}": 5500,
    f"hfp_remote_lagging_packets{{remote={A}}}": 56,
    f"hfp_remote_lagging_bytes{{remote={A}}}": 5600,
    f"hfp_remote_drains_total{{remote={B}}}": 61,
    f"hfp_remote_failed_drains_total{{remote={B}}}": 62,
    f"hfp_remote_configured{{remote={A}}}": 1,
    f"hfp_remote_configured{{remote={OLD}}}": 0,
    f"hfp_remote_unconfirmed_packets{{remote={A}}}": 41,
    f"hfp_remote_unconfirmed_bytes{{remote={OLD}}}": 4400,
    f"hfp_remote_oldest_age_seconds{{remote={A}}}": 43.5,
    "hfp_packets_dropped_total{reason=refused,remote=}": 28,
    "hfp_bytes_dropped_total{reason=refused,remote=}": 2800,
    f"hfp_packets_dropped_total{{reason=spool-full,remote={A}}}": 42,
    f"hfp_bytes_dropped_total{{reason=spool-full,remote={OLD}}}": 4500,
    "hfp_spool_disk_bytes": 21,
    "hfp_spool_limit_bytes": 23,
    "hfp_spool_backlog_packets": 22,
    "hfp_spool_backlog_bytes": 2200,
    "hfp_spool_segments{state=live}": 24,
    "hfp_spool_segments{state=spare}": 25,
    "hfp_spool_segments{state=quarantined}": 26,
    "hfp_spool_segments{state=memory}": 27,
    "hfp_spool_segments_freed_total": 37,
    "hfp_spool_full": 1,
    "hfp_spool_degraded": 0,
    "hfp_spool_syncs_total": 32,
    "hfp_spool_sync_errors_total": 33,
    "hfp_spool_sync_seconds_total": 34.5,
    "hfp_spool_last_sync_seconds": 0.35,
    "hfp_spool_write_errors_total": 36,
    "hfp_spool_corrupt_records_total": 29,
    "hfp_spool_corrupt_packets_total": 30,
    "hfp_spool_corrupt_bytes_total": 3000,
    "hfp_spool_torn_tails_total": 31,
    "hfp_start_time_seconds": 1_700_000_000.0,
}


def scraped(status: RelayStatus) -> str:
    """What Prometheus is given for a status."""
    return generate_latest(make_registry(lambda: status)).decode()


def readings(text: str) -> dict[str, float]:
    """All series of a scrape: name and sorted labels, and the number."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{label}={value}" for label, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


class CatalogueTests(SynchronousTestCase):
    """What Prometheus gets."""

    def test_values(self) -> None:
        """Each series shows the number that it is named for."""
        found = readings(scraped(STATUS))
        self.assertEqual({name: found.get(name) for name in EXPECTED}, EXPECTED)

    def test_each_series_is_tested(self) -> None:
        """The test above leaves no metric out."""
        tested = {name.partition("{")[0] for name in EXPECTED} | {"hfp_build_info"}
        self.assertEqual({series.name for series in CATALOGUE}, tested)

    def test_all_there_from_the_start(self) -> None:
        """Before anything has happened each metric has its HELP, its TYPE and at least one series."""
        text = scraped(
            RelayStatus(
                now=1.0,
                started_at=1.0,
                intake=IntakeStatus(
                    invalid={"tls": 0},
                    refused={"not-allowed": 0},
                    deadlines={"first-packet": 0},
                    tls_failures={"plain": 0},
                    converted={"1": 0},
                    kernel_drops={"udp:9060": 0},
                ),
                filters=(FilterStatus(name="ip", packets={"pass": 0}),),
                spool=SpoolStatus(cursors=(CursorStatus(name=A, configured=True, dropped={"spool-full": two(0)}),)),
                uplinks=(UplinkStatus(name=A, connects={"ok": 0}, losses={"dead": 0}),),
            )
        )
        for series in CATALOGUE:
            name = series.name
            # By sender there is nothing before there is a sender.
            first = "" if name == "hfp_sender_packets_unauthenticated_total" else name
            self.assertIn(f"# HELP {name} {series.help}\n# TYPE {name} {series.kind}\n{first}", text)

    def test_go_hfp_names(self) -> None:
        """The Go HFP's six names are there, exactly; none of them has got a ``_total``."""
        names = {line.split("{")[0].split(" ")[0] for line in scraped(STATUS).splitlines() if line.startswith("hfp_")}
        go_names = {
            "hfp_client_connects_in",
            "hfp_connection_status_out",
            "hfp_hep_bytes_in_file",
            "hfp_hep_file_flushes_success",
            "hfp_hep_file_flushes_error",
            "hfp_client_in_last_metric_timestamp",
        }
        self.assertEqual({series.name for series in GO_HFP}, go_names)
        self.assertEqual(go_names - names, set())
        self.assertEqual({name for name in names if name.removesuffix("_total") in go_names}, go_names)

    def test_connection_status_out(self) -> None:
        """The Go HFP's status is 1 when all remotes are connected, not before."""
        up = tuple(evolve(uplink, up=True) for uplink in STATUS.uplinks)
        self.assertEqual(readings(scraped(evolve(STATUS, uplinks=up)))["hfp_connection_status_out"], 1)
        self.assertEqual(readings(scraped(evolve(STATUS, uplinks=up[:1])))["hfp_connection_status_out"], 1)
        self.assertEqual(readings(scraped(STATUS))["hfp_connection_status_out"], 0)

    def test_build_info(self) -> None:
        """The versions are labels."""
        (name,) = [name for name in readings(scraped(STATUS)) if name.startswith("hfp_build_info")]
        self.assertRegex(name, rf"\{{python=3\.\d+\.\d+,twisted=[^,]+,version={re.escape(hfp.__version__)}\}}")

    def test_counters_end_in_total(self) -> None:
        """Names follow Prometheus's rules: counters end in ``_total``, nothing else does."""
        for series in CATALOGUE:
            self.assertEqual(series.name.endswith("_total"), series.kind == "counter", series.name)
            self.assertTrue(series.help.endswith("."), series.name)

    def test_labels_are_escaped(self) -> None:
        """A remote's name with quotes and newlines cannot break the format."""
        odd = 'tcp:a"b\\c\nd:1'
        status = evolve(STATUS, uplinks=(UplinkStatus(name=odd, up=True),))
        self.assertEqual(readings(scraped(status))[f"hfp_remote_up{{remote={odd}}}"], 1)


class RegistryTests(SynchronousTestCase):
    """The registry itself."""

    def test_own(self) -> None:
        """Two relays in one process do not meet, and the global registry stays as it was."""
        before = list(REGISTRY.collect())
        one = make_registry(lambda: STATUS)
        make_registry(lambda: STATUS)
        self.assertEqual([family.name for family in REGISTRY.collect()], [family.name for family in before])
        self.assertIsNot(one, REGISTRY)

    def test_no_status_before_a_scrape(self) -> None:
        """Making the registry asks for no status: the relay may not have started."""
        make_registry(lambda: self.fail("asked"))

    def test_process(self) -> None:
        """CPU time, memory and descriptors of the process are there too."""
        found = readings(scraped(STATUS))
        self.assertIn("process_cpu_seconds_total", found)
        self.assertIn("process_resident_memory_bytes", found)


class DocumentTests(SynchronousTestCase):
    """``docs/metrics.rst`` is the same catalogue."""

    def test_same(self) -> None:
        """Each metric stands there once, with its type, labels and meaning, and nothing else does."""
        page = Path(hfp.__file__).parents[1] / "docs" / "metrics.rst"
        if not page.exists():
            raise SkipTest("no checkout, so no docs")
        row = r"^   \* - ``(hfp_\w+)``\n     - (.*)\n     -(.*)\n     - .+\n     - (.+)\n     -"
        documented = sorted(
            (name, kind, tuple(re.findall(r"\w+", labels)), meaning)
            for name, kind, labels, meaning in re.findall(row, page.read_text(), re.MULTILINE)
        )
        published = sorted((series.name, series.kind, series.labels, series.help) for series in CATALOGUE)
        self.assertEqual(documented, published)
