"""
The command line, as one frozen `hfp.settings.Settings`.

One table, `OPTIONS`, makes the parser, the defaults and the help.  Parsing looks at nothing but its arguments:
`hfp.preflight` then looks at the machine.  Nothing else in hfp reads options.  Called by ``twistd``, through `hfp.tap`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from getopt import GetoptError
from typing import Any, NoReturn

from attrs import frozen
from twisted import __version__ as twisted_version
from twisted.python import usage

from hfp import __version__
from hfp.addresses import ListenSpec, RemoteSpec, parse_listen, parse_remote
from hfp.errors import UsageProblem
from hfp.quantities import parse_size, seconds, size, whole_seconds
from hfp.settings import Settings, check
from hfp.spool import FullPolicy

__all__ = ["OPTIONS", "ListenSpec", "Option", "Options", "RemoteSpec", "Settings"]


@frozen(kw_only=True)
class Option:
    """
    One option: a row of the table.

    :param name: the long name.
    :param setting: the attribute of `Settings` that it makes.
    :param section: the help's heading above it.
    :param coerce: makes the value of the text, default included; raises ``ValueError`` with what is wrong and the cure.
    :param help: what it means, with the value's unit.
    :param default: as the operator would write it; ``None`` where there is none.
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
    default: str | None = None
    metavar: str = ""
    short: str = ""
    alias: str = ""
    repeatable: bool = False


def _prom(text: str) -> ListenSpec | None:
    if text.lower() == "off":
        return None
    return parse_listen(text)


def _switch(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError("is neither on nor off; write one of them")
    return text.lower() == "on"


def _policy(text: str) -> FullPolicy:
    try:
        return FullPolicy(text.lower())
    except ValueError:
        raise ValueError(f"is no policy; write {', '.join(policy.value for policy in FullPolicy)}") from None


def _directory(text: str) -> str:
    if not text:
        raise ValueError("is empty; name a directory")
    return text


_SENDERS = "From the senders"
_SPOOL = "The spool"
_COLLECTORS = "To the collectors"
_OPERATION = "Operation"

OPTIONS: tuple[Option, ...] = (
    Option(
        name="listen",
        setting="listen",
        section=_SENDERS,
        short="l",
        metavar="SPEC",
        default="tcp:9060",
        repeatable=True,
        coerce=parse_listen,
        help="Take HEP here: tcp:PORT[:interface=ADDRESS], or [HOST]:PORT.  Repeatable.",
    ),
    Option(
        name="remote",
        setting="remotes",
        section=_COLLECTORS,
        short="r",
        metavar="SPEC",
        repeatable=True,
        coerce=parse_remote,
        help="Send to this collector: tcp:HOST:PORT, or HOST:PORT; [::1]:9060 for IPv6.  Repeatable: each one gets "
        "everything, and one that is away delays no other.",
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
        coerce=_switch,
        help="Send the small segments of a backlog at once too (TCP_NODELAY); live packets always go at once.",
    ),
    Option(
        name="spool",
        setting="spool",
        section=_SPOOL,
        metavar="DIR",
        default="hfp-spool",
        coerce=_directory,
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
        coerce=_policy,
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
        default="",
        repeatable=True,
        coerce=lambda text: parse_remote(text).name,
        help="Drop what the spool still keeps for this remote, which is no longer configured.  Repeatable.",
    ),
    Option(
        name="prom",
        setting="prom",
        section=_OPERATION,
        metavar="SPEC",
        default="tcp:8090:interface=127.0.0.1",
        coerce=_prom,
        help="Serve /metrics for Prometheus here: like --listen (a bare port: all interfaces), or off.",
    ),
    Option(
        name="debug",
        setting="debug",
        section=_OPERATION,
        short="d",
        metavar="on|off",
        default="off",
        coerce=_switch,
        help="Log debug events too.",
    ),
)

_BY_NAME = {name: option for option in OPTIONS for name in (option.name, option.alias, option.short) if name}

EPILOGUE = """\
SIZE is a number of bytes, or one with KB, MB, GB, TB (powers of 1000) or KiB,
MiB, GiB, TiB (powers of 1024).  SECONDS may have a fraction.

Example, two collectors, at most 20 GB on disk:

    twistd -n hfp --listen tcp:9060 --remote tcp:homer.example:9060 \\
        --remote tcp:backup.example:9060 --spool /var/spool/hfp --spool-limit 20GB
"""


class Options(usage.Options):
    """
    Twisted's parser for `OPTIONS`.

    Wrong use ends the process with one line on standard error that names the option, the value and the cure: left to
    itself, ``twistd`` would print its whole help first.

    :ivar settings: the result, after `parseOptions`.
    """

    synopsis = "--remote HOST:PORT [options]"
    settings: Settings

    def take(self, option: Option, spelled: str, text: str) -> None:
        """Keep one value; called for each option as it is met."""
        try:
            value = option.coerce(text)
        except ValueError as problem:
            raise UsageProblem(f"--{spelled} {_shown(text)}: {problem}") from None
        self[option.name] = (*self.get(option.name, ()), value) if option.repeatable else value

    def opt_help(self) -> NoReturn:
        """Print this help."""
        sys.stdout.write(str(self))
        raise SystemExit(0)

    opt_h = opt_help

    def opt_version(self) -> NoReturn:
        """Print the versions of hfp, Twisted and Python."""
        python = ".".join(map(str, sys.version_info[:3]))
        sys.stdout.write(f"hfp {__version__}, Twisted {twisted_version}, Python {python}\n")
        raise SystemExit(0)

    def parseArgs(self, *words: str) -> None:
        if words:
            raise UsageProblem(f"{_shown(words[0])}: is not an option; a collector's address goes after --remote")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except (UsageProblem, usage.UsageError) as problem:
            line = _explained(problem.__context__) if isinstance(problem.__context__, GetoptError) else problem
            raise SystemExit(f"hfp: {line}") from None

    def postOptions(self) -> None:
        for option in OPTIONS:
            if option.name in self:
                continue
            if option.default is None:
                raise UsageProblem(f"--{option.name} is missing; give it, for example --remote homer.example:9060")
            if option.repeatable and not option.default:
                self[option.name] = ()
            else:
                self.take(option, option.name, option.default)
        self["spool"] = self._absolute(self["spool"])
        self.settings = Settings(**{option.setting: self[option.name] for option in OPTIONS})
        check(self.settings)

    def _absolute(self, path: str) -> str:
        # twistd changes its root and working directory only after the options are parsed.
        twistd: dict[str, Any] = self.parent or {}
        here = "/" if twistd.get("chroot") else os.getcwd()
        return os.path.normpath(os.path.join(here, twistd.get("rundir") or ".", path))

    def getUsage(self, width: int | None = None) -> str:
        columns = min(max(width or int(os.environ.get("COLUMNS") or 80), 60), 100)
        return "".join(_help(columns))


def _method(option: Option, spelled: str) -> Callable[..., None]:
    take: Callable[..., None]
    if option.metavar:

        def take(self: Options, text: str) -> None:
            self.take(option, spelled, text)

    else:

        def take(self: Options) -> None:
            self.take(option, spelled, "on")

    take.__doc__ = option.help
    return take


# An opt_ method for each name, not optParameters: there a repeated option overwrites itself, a wrong value is reported
# without the option's name, and defaults are not coerced.
for _option in OPTIONS:
    for _name in filter(None, (_option.name, _option.alias, _option.short)):
        _spelled = _option.name if _name == _option.short else _name
        setattr(Options, "opt_" + _name.replace("-", "_"), _method(_option, _spelled))


def _explained(error: GetoptError) -> str:
    """Say in our words what getopt refused."""
    name = error.opt
    dashed = f"--{name}" if len(name) > 1 else f"-{name}"
    option = _BY_NAME.get(name)
    if option and option.metavar:
        return f"{dashed}: needs a value; for example {dashed} {option.default or 'homer.example:9060'}"
    if option or name in ("help", "version"):
        return f"{dashed}: takes no value; write it alone"
    long_names = [*(long for long in _BY_NAME if len(long) > 1), "help", "version"]
    meant = [long for long in long_names if long.startswith(name)]
    if meant:
        return f"{_shown(dashed)}: could be {' or '.join(f'--{long}' for long in meant)}; write it out"
    close = get_close_matches(name, long_names, 1)
    return f"{_shown(dashed)}: no such option; " + (f"did you mean --{close[0]}?" if close else "see twistd hfp --help")


def _shown(text: str) -> str:
    """A value as it may stand in a line: on one line, short, quoted where it would mislead."""
    short = text if len(text) <= 100 else text[:97] + "..."
    return short if short.isprintable() and short.strip() == short and short else repr(short)


def _help(columns: int) -> Iterator[str]:
    rows = [(option.section, _usage(option), _meaning(option)) for option in OPTIONS]
    rows.append((_OPERATION, "      --version", "Print the versions of hfp, Twisted and Python."))
    rows.append((_OPERATION, "  -h, --help", "Print this help."))
    for section in (_SENDERS, _COLLECTORS, _SPOOL, _OPERATION):
        yield f"\n{section}:\n"
        for _, left, meaning in (row for row in rows if row[0] == section):
            indent = " " * 30
            text = textwrap.wrap(meaning, columns, initial_indent=indent, subsequent_indent=indent)
            if len(left) < 29:
                text[0] = left.ljust(30) + text[0].lstrip()
            else:
                text.insert(0, left)
            yield "\n".join(text) + "\n"
    yield f"\n{EPILOGUE}"


def _usage(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    return f"  {short}--{option.name} {option.metavar}".rstrip()


def _meaning(option: Option) -> str:
    notes = []
    if option.alias:
        notes.append(f"also --{option.alias}")
    if option.default is None:
        notes.append("required")
    elif option.default:
        notes.append(f"default {option.default}")
    return f"{option.help} ({'; '.join(notes)})" if notes else option.help
