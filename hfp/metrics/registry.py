"""
The registry that publishes the catalogue.  Called by `hfp.service`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hfp.metrics.filters import FILTERS
from hfp.metrics.gohfp import GO_HFP
from hfp.metrics.intake import INTAKE
from hfp.metrics.process import PROCESS
from hfp.metrics.remotes import REMOTES
from hfp.metrics.series import Series
from hfp.metrics.spool import SPOOL
from hfp.status import RelayStatus

CATALOGUE: tuple[Series, ...] = GO_HFP + INTAKE + FILTERS + REMOTES + SPOOL + PROCESS


class RelayCollector(Collector):
    """
    Turns a status into series, at each scrape.

    :param status: gives the status of now; called once per scrape, in the thread that scrapes.
    """

    def __init__(self, status: Callable[[], RelayStatus]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Name what `collect` gives, without asking for a status: the relay may not have started."""
        return [series.family() for series in CATALOGUE]

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        for series in CATALOGUE:
            family = series.family()
            for values, number in series.read(status):
                family.add_sample(series.name, dict(zip(series.labels, values, strict=True)), number)
            yield family


def make_registry(status: Callable[[], RelayStatus]) -> CollectorRegistry:
    """
    Make a registry of hfp's metrics and those of the process; never prometheus_client's global one.

    :param status: gives the status of now; not called before the first scrape.
    """
    registry = CollectorRegistry()
    registry.register(RelayCollector(status))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
