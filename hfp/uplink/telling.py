"""
What an uplink tells the operator: each line once when it is news, then in summaries.
"""

from __future__ import annotations

from typing import Any

from hfp.logs import Logger, Repeats
from hfp.uplink.stream import USUAL_PORTS

#: Seconds; a connection that ends sooner, with nothing confirmed, was closed at once.
AT_ONCE_S = 2.0

#: Seconds that a connection must have lasted for its end to be news by itself.
LASTED_S = 5.0

_AT_ONCE = {
    "tcp": "as a collector does that expects TLS on that port (then write tls: instead of tcp:)",
    "tls": "as a collector does that does not accept our client certificate, or wants one (clientCert, clientKey)",
}

_DROPPED = {
    "not-hep3": "{packets} packets that are no HEP3 are not sent to remote {name}: with --convert off they go to udp "
    "remotes only",
    "too-big": "a packet of {octets} octets is not sent to remote {name}: no UDP datagram can hold it; a tcp or tls "
    "remote can",
}


class Telling:
    """
    :param name: the remote's.
    :param kind: ``tcp``, ``tls`` or ``udp``.
    :param repeats: for log lines that would repeat.
    """

    _log = Logger()

    def __init__(self, name: str, kind: str, repeats: Repeats) -> None:
        self._name = name
        self._kind = kind
        self._repeats = repeats
        self._lasted = True  # the last connection did, or there was none yet
        self._hinted = False
        self._at_once = 0  # connections in a row that ended so
        self._has_taken = False  # something was confirmed on a connection

    def connected(self, peer: Any, waiting: int, again: int) -> None:
        """
        :param waiting: packets that wait for it.
        :param again: packets that will be sent again.
        """
        self._hinted = False
        self._say(
            "info",
            "remote {name} is connected ({peer}); {waiting} packets wait for it, {again} are sent again",
            peer=_address(peer),
            waiting=waiting,
            again=again,
        )

    def gone(self, cause: str, reason: str, seconds: float, *, fruitless: bool, again: int, waiting: int) -> None:
        """
        :param seconds: how long the connection lasted.
        :param fruitless: nothing was confirmed on it.
        """
        self._lasted = seconds >= LASTED_S
        self._say(
            "warn",
            "remote {name} is gone ({cause}: {reason}); {again} packets that may not have been read will be sent "
            "again, {waiting} wait",
            cause=cause,
            reason=reason,
            again=again,
            waiting=waiting,
        )
        at_once = fruitless and seconds < AT_ONCE_S and cause in ("closed", "reset")
        self._at_once = self._at_once + 1 if at_once else 0
        # One alone may be a collector that was restarted.
        if not fruitless:
            self._has_taken = True
        if self._at_once > 1 and self._has_taken:
            self._repeats.warn(
                (self._name, "same place"),
                "remote {name} has taken packets before and now ends each connection at once, at the same place: it "
                "may not be able to take what stands there, a packet that is too large for it for example; hfp sends "
                "it again until it is taken (docs/collectors: packets that a collector cannot take)",
                name=self._name,
            )
        elif self._at_once > 1 and not self._hinted:
            self._repeats.warn(
                (self._name, "at once"),
                "remote {name} ends each connection at once, {like}, or one that does not let this host in; {ports}",
                name=self._name,
                like=_AT_ONCE.get(self._kind, ""),
                ports=USUAL_PORTS,
            )

    def spoke_tls(self) -> None:
        """It answered in TLS on a plain connection."""
        self._hinted = True
        self._repeats.warn(
            (self._name, "spoke tls"),
            "remote {name} answers in TLS: that port is not for plain TCP; write tls: instead of tcp: ({ports})",
            name=self._name,
            ports=USUAL_PORTS,
        )

    def unreachable(self, result: str, reason: str, every_s: float, waiting: int) -> None:
        """
        An attempt has failed.

        :param every_s: longest pause between two attempts, seconds.
        """
        if result == "loop":
            self._repeats.critical(
                (self._name, result),
                "remote {name} leads back into this hfp, and every packet would go round for ever: {reason}; nothing "
                "is sent to it, {waiting} packets wait in the spool",
                name=self._name,
                reason=reason,
                waiting=waiting,
            )
            return
        self._repeats.warn(
            (self._name, result),
            "remote {name} cannot be reached ({result}: {reason}); trying again at least every {seconds:g} s, "
            "{waiting} packets wait for it in the spool",
            name=self._name,
            result=result,
            reason=reason,
            seconds=every_s,
            waiting=waiting,
        )

    def dropped(self, reason: str, packets: int, octets: int) -> None:
        """Packets that this remote will never get."""
        self._repeats.critical((self._name, reason), _DROPPED[reason], name=self._name, packets=packets, octets=octets)

    def _say(self, level: str, text: str, **fields: Any) -> None:
        """News goes into the log; of a connection that comes and goes the news is only that it does."""
        if self._lasted:
            getattr(self._log, level)(text, name=self._name, **fields)
        else:
            getattr(self._repeats, level)((self._name, text), text, name=self._name, **fields)


def _address(peer: Any) -> str:
    host, port = getattr(peer, "host", None), getattr(peer, "port", None)
    if host is None:
        return str(peer)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
