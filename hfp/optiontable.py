"""
The table of options: names, defaults, help, and how each value is read.

`hfp.options` makes the parser and the help from it; ``docs/options.rst`` explains the same options at length.  Reading
a value looks at nothing but its text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from hfp.addresses import parse_listen, parse_remote
from hfp.filters.loading import parse_filter
from hfp.networks import read_network
from hfp.optionvalues import count, directory, metrics_listener, policy, switch, transport, verdict
from hfp.quantities import parse_size, seconds, size, whole_seconds
from hfp.secrets import given_key, key_file

__all__ = ["OPTIONS", "SECTIONS", "Option"]


@frozen(kw_only=True)
class Option:
    """
    One option: a row of the table.

    :param name: the long name.
    :param setting: what it makes: an attribute of `Settings`, or what `hfp.options` makes others with.
    :param section: the help's heading above it.
    :param sample: a value for messages, where the default is none.
    :param split: between several values in one text, for a repeatable one.
    :param secret: the value is never shown.
    :param coerce: makes the value of the text, default included; raises ``ValueError`` with what is wrong and the cure.
    :param help: what it means, with the value's unit.
    :param default: as the operator would write it (a repeatable one has a tuple of them); ``None`` where there is none;
        empty where leaving it out means nothing.
    :param metavar: the value's name in the help; empty for a flag, which has none.
    :param short: one letter.
    :param alias: another long name.
    :param repeatable: may be given more than once; the setting is a tuple.
    """

    name: str
    setting: str
    section: str
    coerce: Callable[[str], Any]
    help: str
    default: str | tuple[str, ...] | None = None
    metavar: str = ""
    short: str = ""
    alias: str = ""
    repeatable: bool = False
    sample: str = ""
    split: str = ""
    secret: bool = False

    @property
    def defaults(self) -> tuple[str, ...]:
        """The texts that stand for it when it is left out."""
        texts = (self.default,) if isinstance(self.default, str) else self.default or ()
        return tuple(filter(None, texts))

    @property
    def example(self) -> str:
        """A value that it may have, or the value's name."""
        return self.sample or " ".join(self.defaults[:1]) or self.metavar


_SENDERS = "From the senders"
_FILTERS = "Filters"
_SPOOL = "The spool"
_COLLECTORS = "To the collectors"
_OPERATION = "Operation"

#: The help's headings, in order.
SECTIONS = (_SENDERS, _FILTERS, _COLLECTORS, _SPOOL, _OPERATION)

OPTIONS: tuple[Option, ...] = (
    Option(
        name="listen",
        setting="listen",
        section=_SENDERS,
        short="l",
        metavar="SPEC",
        default=("tcp:9060", "udp:9060"),
        repeatable=True,
        coerce=parse_listen,
        help="Take HEP here: tcp:PORT[:interface=ADDRESS], or [HOST]:PORT; udp:PORT[:interface=ADDRESS]; "
        "tls:PORT:... as below.  Repeatable.",
    ),
    Option(
        name="convert",
        setting="convert",
        section=_SENDERS,
        metavar="on|off",
        default="on",
        coerce=switch,
        help="Make HEP 3 of HEP 1 and 2; off: pass them on as they are, to udp remotes only.",
    ),
    Option(
        name="allow",
        setting="allow",
        section=_SENDERS,
        metavar="CIDR[,CIDR...]",
        sample="192.0.2.0/24",
        default=(),
        repeatable=True,
        split=",",
        coerce=read_network,
        help="Take HEP from these networks only.  Repeatable.",
    ),
    Option(
        name="auth-key",
        setting="auth_keys",
        section=_SENDERS,
        metavar="KEY",
        default=(),
        repeatable=True,
        secret=True,
        coerce=given_key("--auth-key"),
        help="Take only packets that carry this authentication key (chunk 14).  Repeatable: any of them will do.",
    ),
    Option(
        name="auth-key-file",
        setting="auth_keys",
        section=_SENDERS,
        metavar="FILE",
        default=(),
        repeatable=True,
        coerce=key_file("--auth-key-file"),
        help="The same with the keys in a file, one on each line.",
    ),
    Option(
        name="max-connections",
        setting="max_connections",
        section=_SENDERS,
        metavar="NUMBER",
        default="1000",
        coerce=count,
        help="Senders connected at a time; more are turned away.",
    ),
    Option(
        name="max-connections-per-host",
        setting="max_connections_per_host",
        section=_SENDERS,
        metavar="NUMBER",
        default="100",
        coerce=count,
        help="Of them, from one address.",
    ),
    Option(
        name="packet-deadline",
        setting="packet_deadline_s",
        section=_SENDERS,
        metavar="SECONDS",
        default="30",
        coerce=seconds(1, 3600),
        help="Close a connection that brings no packet within this time, or does not complete one that it began.  "
        "Between packets a sender may be silent for ever.",
    ),
    Option(
        name="filter",
        setting="filters",
        section=_FILTERS,
        metavar="NAME[:ARGUMENTS]",
        default=(),
        repeatable=True,
        sample="type:sip",
        coerce=parse_filter,
        help="Let only those packets go on that this filter passes.  Repeatable: one after the other, in the order "
        "given.  See --help-filters.",
    ),
    Option(
        name="filter-errors",
        setting="filter_errors",
        section=_FILTERS,
        metavar="pass|reject",
        default="pass",
        coerce=verdict,
        help="What becomes of a packet about which a filter fails.",
    ),
    Option(
        name="ipf",
        setting="ipf",
        section=_FILTERS,
        metavar="ADDRESS[,ADDRESS...]",
        default=(),
        repeatable=True,
        split=",",
        sample="192.0.2.1",
        coerce=read_network,
        help="Filter by these source or destination addresses, as the Go HFP does; the same as --filter ip:ADDRESS,...",
    ),
    Option(
        name="ipfa",
        setting="ipfa",
        section=_FILTERS,
        metavar="pass|reject",
        default="pass",
        coerce=verdict,
        help="Whether packets with an address of --ipf pass, and no others, or are rejected.",
    ),
    Option(
        name="remote",
        setting="remotes",
        section=_COLLECTORS,
        short="r",
        metavar="SPEC",
        repeatable=True,
        sample="homer.example:9060",
        coerce=parse_remote,
        help="Send to this collector: tcp:HOST:PORT, or HOST:PORT; [::1]:9060 for IPv6; udp:HOST:PORT; "
        "tls:HOST:PORT[:...] as below.  Repeatable: each one gets everything, and one that is away delays no other.",
    ),
    Option(
        name="protocol",
        setting="protocol",
        section=_COLLECTORS,
        short="p",
        metavar="tcp|tls|udp",
        default="tcp",
        coerce=transport,
        help="What a bare HOST:PORT means as a remote.",
    ),
    Option(
        name="skip-verify",
        setting="skip_verify",
        section=_COLLECTORS,
        short="s",
        default="off",
        coerce=switch,
        help="Take any certificate of a tls remote: whoever is on the way can read and change everything.",
    ),
    Option(
        name="hello-key",
        setting="hello_key",
        section=_COLLECTORS,
        alias="hp",
        metavar="KEY",
        default="",
        secret=True,
        coerce=given_key("--hello-key"),
        help="Begin each connection with a HEP PING packet that carries this authentication key.",
    ),
    Option(
        name="hello-key-file",
        setting="hello_key",
        section=_COLLECTORS,
        metavar="FILE",
        default="",
        coerce=key_file("--hello-key-file"),
        help="The same with the key on the first line of a file.",
    ),
    Option(
        name="resend-window",
        setting="resend_window_s",
        section=_COLLECTORS,
        metavar="SECONDS",
        default="2",
        coerce=seconds(0, 3600),
        help="After an unclean loss of the connection, send again what the collector's kernel acknowledged less than "
        "this long ago.",
    ),
    Option(
        name="replay-rate",
        setting="replay_rate_octets",
        section=_COLLECTORS,
        metavar="SIZE",
        default="0",
        coerce=size(parse_size("64KB")),
        help="Send a backlog at no more than this many bytes per second, 64KB or more; 0 for as fast as it goes.",
    ),
    Option(
        name="reconnect",
        setting="reconnect_s",
        section=_COLLECTORS,
        metavar="SECONDS",
        default="5",
        coerce=seconds(0.1, 3600),
        help="Longest pause between two attempts to connect; the first ones are shorter.",
    ),
    Option(
        name="keepalive",
        setting="keepalive_s",
        section=_COLLECTORS,
        metavar="SECONDS",
        default="5",
        coerce=whole_seconds(0, 32767),
        help="Let TCP probe a collector after this idle time; whole seconds, 0 for never.",
    ),
    Option(
        name="nodelay",
        setting="nodelay",
        section=_COLLECTORS,
        default="off",
        coerce=switch,
        help="Send the small segments of a backlog at once too (TCP_NODELAY); live packets always go at once.",
    ),
    Option(
        name="spool",
        setting="spool",
        section=_SPOOL,
        metavar="DIR",
        default="hfp-spool",
        coerce=directory,
        help="Directory of the spool; made if missing, never shared by two hfp.  Relative to the working directory.",
    ),
    Option(
        name="spool-limit",
        setting="spool_limit_octets",
        section=_SPOOL,
        alias="maxbuffer",
        metavar="SIZE",
        default="4GB",
        coerce=size(parse_size("4MB")),
        help="Most disk space for the spool, 4MB or more; 0 for all that the file system's reserve leaves.",
    ),
    Option(
        name="spool-full",
        setting="spool_full",
        section=_SPOOL,
        metavar="POLICY",
        default="drop-oldest",
        coerce=policy,
        help="At the limit: drop-oldest, drop-newest, or block, which stops reading from senders.",
    ),
    Option(
        name="sync",
        setting="sync_s",
        section=_SPOOL,
        metavar="SECONDS",
        default="0.2",
        coerce=seconds(0.001, 3600, zero=True),
        help="How long unconfirmed data may stay unsynced, which is what a power cut can cost; 0 syncs each batch "
        "before it counts as taken.",
    ),
    Option(
        name="forget",
        setting="forget",
        section=_SPOOL,
        metavar="SPEC",
        default=(),
        repeatable=True,
        coerce=parse_remote,
        help="Drop what the spool still keeps for this remote, which is no longer configured.  Repeatable.",
    ),
    Option(
        name="prom",
        setting="prom",
        section=_OPERATION,
        metavar="SPEC",
        default="tcp:8090:interface=127.0.0.1",
        coerce=metrics_listener,
        help="Serve /metrics for Prometheus here: like --listen (a bare port: all interfaces), or off.",
    ),
    Option(
        name="hepdecode",
        setting="hepdecode",
        section=_OPERATION,
        metavar="on|off",
        default="off",
        coerce=switch,
        help="Log packets, decoded and shortened: a few per second.  Keys and passwords are masked, the rest is not.",
    ),
    Option(
        name="debug",
        setting="debug",
        section=_OPERATION,
        short="d",
        metavar="on|off",
        default="off",
        coerce=switch,
        help="Log debug events too.",
    ),
)
