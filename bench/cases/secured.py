"""TLS from the sender and to the collector, beside the same without TLS."""

from __future__ import annotations

import statistics

import attrs

from bench.build import build
from bench.certificate import make_certificate
from bench.figures import HAPROXY, HFP, Row, Target, samples_of
from bench.relays import PLAIN, Setup
from bench.session import Session
from bench.variants import Runs, Variant, cost_row, costs, disturbed, measure_variants

__all__ = ["tls"]

_PER_WRITE = 20
_CASE = f"TLS in and out, 1 connection, {_PER_WRITE} packets per write"
_TARGET = Target("<=", 3.0)


def tls(session: Session) -> list[Row]:
    """
    As fast as it goes, 20 packets in each of the sender's writes and so in each of its records.

    Both relays verify the collector's certificate; the cipher is the one that OpenSSL prefers.
    """
    setups = {"TCP": PLAIN, "TLS": Setup("tls", make_certificate(session.directory))}
    kit = attrs.evolve(session.kit, programs=build(tls=True))
    variants = {
        f"{relay}, {name}": Variant(relay, session.plan.twenty_packets, _PER_WRITE, setup=setup, kit=kit)
        for name, setup in setups.items()
        for relay in (HFP, HAPROXY)
    }
    runs = measure_variants(session, "TLS", variants)
    rows = [
        cost_row(runs, _CASE, f"CPU time per packet, {name}", f"{HFP}, {name}", against=f"{HAPROXY}, {name}")
        for name in setups
    ]
    rows.append(
        Row(
            _CASE,
            "cost with TLS to cost without",
            "x",
            samples_of({relay: _growth(runs, relay) for relay in (HFP, HAPROXY)}),
            digits=2,
            target=_TARGET,
            disturbance=disturbed(runs, *(f"{HFP}, {name}" for name in setups)),
        )
    )
    rates = {relay: [passage.packets_per_s / 1000 for passage in runs[f"{relay}, TLS"]] for relay in (HFP, HAPROXY)}
    return [*rows, Row(_CASE, "throughput with TLS", "1000 packets/s", samples_of(rates))]


def _growth(runs: Runs, relay: str) -> list[float]:
    plain, secured = (costs(runs, f"{relay}, {name}") for name in ("TCP", "TLS"))
    return [statistics.median(secured) / statistics.median(plain)] if plain and secured else []
