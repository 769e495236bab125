"""
Who may send, and how many at a time.

Asked when a connection is accepted, before TLS begins, and for datagrams; `hfp.intake.tcp` and `hfp.intake.udp` call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from hfp.logs import Repeats

#: Why a connection is refused.
REASONS = ("not-allowed", "max-connections", "max-connections-per-host")

#: Hosts whose answer is remembered; when there are more, all are forgotten and asked anew.
MOST_HOSTS = 4096

#: What stands before an IPv4 address that came in over IPv6 (RFC 4291, section 2.5.5.2).
_MAPPED = "::ffff:"


def plain_host(host: str) -> str:
    """A peer's address, and an IPv4 address that came in over IPv6 as plain IPv4."""
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


class Access:
    """
    The access rules.

    :param allow: networks that may send; none for everybody.
    :param max_connections: connections at a time; 0 for no limit.
    :param max_connections_per_host: connections of one address at a time; 0 for no limit.
    :param repeats: keeps the log lines few.

    :ivar refused: by reason (`REASONS`), connections refused.
    :ivar refused_datagrams: datagrams that came from hosts that may not send.
    """

    def __init__(
        self,
        allow: Sequence[IPv4Network | IPv6Network],
        max_connections: int,
        max_connections_per_host: int,
        repeats: Repeats,
    ) -> None:
        self._networks = {
            version: [net for net in map(_unmapped, allow) if net.version == version] for version in (4, 6)
        }
        self._max_connections = max_connections
        self._max_per_host = max_connections_per_host
        self._repeats = repeats
        self._allowed: dict[str, bool] = {}
        self._open: Counter[str] = Counter()
        self.restricted = bool(allow)
        self.connections = 0
        self.refused = dict.fromkeys(REASONS, 0)
        self.refused_datagrams = 0

    def allows(self, host: str) -> bool:
        """Whether this host (an address as `plain_host` returns it) is in a network that may send."""
        if not self.restricted:
            return True
        allowed = self._allowed.get(host)
        if allowed is None:
            if len(self._allowed) >= MOST_HOSTS:
                self._allowed.clear()
            address = ip_address(host)
            allowed = self._allowed[host] = any(address in network for network in self._networks[address.version])
        return allowed

    def admits(self, host: str) -> bool:
        """Whether one more connection of this host may be; counts and logs if not."""
        if not self.allows(host):
            self.refused["not-allowed"] += 1
            self._tell_not_allowed(host)
            return False
        if self._max_connections and self.connections >= self._max_connections:
            self.refused["max-connections"] += 1
            self._repeats.warn(
                "max-connections",
                "refused a connection of {host}: {most} senders are connected; raise --max-connections if too few",
                host=host,
                most=self._max_connections,
            )
            return False
        if self._max_per_host and self._open[host] >= self._max_per_host:
            self.refused["max-connections-per-host"] += 1
            self._repeats.warn(
                ("max-connections-per-host", host),
                "refused a connection of {host}: it has {most} already; raise --max-connections-per-host if too few",
                host=host,
                most=self._max_per_host,
            )
            return False
        return True

    def opened(self, host: str) -> None:
        """A connection that was admitted is open."""
        self.connections += 1
        self._open[host] += 1

    def closed(self, host: str) -> None:
        """... and is no more."""
        self.connections -= 1
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]

    def refuse_datagram(self, host: str) -> None:
        """A datagram came from a host that may not send."""
        self.refused_datagrams += 1
        self._tell_not_allowed(host)

    def _tell_not_allowed(self, host: str) -> None:
        self._repeats.warn(
            ("not-allowed", host),
            "refused sender {host}: it is in none of the networks of --allow; add it there",
            host=host,
        )


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """A network of IPv4 addresses that is written as IPv6, as IPv4."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network
