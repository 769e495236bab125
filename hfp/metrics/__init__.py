"""
The catalogue of metrics, and the registry that publishes them.

Nothing is counted here: rooms count with plain integers, and `RelayCollector` turns a `hfp.status.RelayStatus` into
series when Prometheus asks.  A labelled counter per packet would cost more than relaying the packet.  So every series
is there from the start, and none outlives its remote.  ``docs/metrics.rst`` is the same catalogue for the operator, and
a test holds the two together.
"""

from hfp.metrics.gohfp import GO_HFP
from hfp.metrics.registry import CATALOGUE, RelayCollector, make_registry

__all__ = ["CATALOGUE", "GO_HFP", "RelayCollector", "make_registry"]
