"""
The command line, as one frozen `hfp.settings.Settings`.

One table, `hfp.optiontable.OPTIONS`, makes the parser, the defaults and the help.  Parsing looks at nothing but its
arguments: `hfp.preflight` then looks at the machine.  Nothing else in hfp reads options.  Called by ``twistd``, through
`hfp.tap`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from getopt import GetoptError
from typing import Any, NoReturn

from attrs import evolve
from twisted import __version__ as twisted_version
from twisted.python import usage

from hfp import __version__
from hfp.addresses import RemoteSpec
from hfp.errors import UsageProblem
from hfp.filters.loading import FilterSpec, describe_installed, installed
from hfp.optiontable import OPTIONS, SECTIONS, Option
from hfp.settings import Settings, check

__all__ = ["OPTIONS", "Option", "Options", "Settings"]


_BY_NAME = {name: option for option in OPTIONS for name in (option.name, option.alias, option.short) if name}

EPILOGUE = """\
SIZE is a number of bytes, or one with KB, MB, GB, TB (powers of 1000) or KiB,
MiB, GiB, TiB (powers of 1024).  SECONDS may have a fraction.

TLS (pip install 'hfp[tls]') takes files in PEM; with caCertsFile senders must
show a certificate signed by it, without caFile the system's authorities count:

    --listen tls:PORT:privateKey=FILE:certKey=FILE[:caCertsFile=FILE]
    --remote tls:HOST:PORT[:caFile=FILE][:clientCert=FILE:clientKey=FILE]
                 [:serverName=NAME][:insecure=yes]

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
        for part in text.split(option.split) if option.split else [text]:
            try:
                value = option.coerce(part)
            except ValueError as problem:
                shown = "" if option.secret else f" {_shown(part)}"
                raise UsageProblem(f"--{spelled}{shown}: {problem}") from None
            self[option.setting] = (*self.get(option.setting, ()), value) if option.repeatable else value

    def opt_help(self) -> NoReturn:
        """Print this help."""
        sys.stdout.write(str(self))
        raise SystemExit(0)

    opt_h = opt_help

    def opt_help_filters(self) -> NoReturn:
        """Print the filters that are installed."""
        sys.stdout.write(describe_installed(installed()))
        raise SystemExit(0)

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
            if option.setting in self:
                continue
            if option.default is None:
                raise UsageProblem(f"--{option.name} is missing; give it, for example --remote homer.example:9060")
            if not option.default:
                self[option.setting] = () if option.repeatable else None
            for text in option.defaults:
                self.take(option, option.name, text)
        chosen = {option.setting: self[option.setting] for option in OPTIONS}
        kind, insecure = chosen.pop("protocol"), chosen.pop("skip_verify")
        by_address = _by_address(chosen.pop("ipf"), chosen.pop("ipfa"))
        chosen["filters"] = (*by_address, *chosen["filters"])
        chosen["spool"] = self._absolute(chosen["spool"])
        chosen["listen"] = tuple(evolve(spec, files=spec.files.located(os.path.abspath)) for spec in chosen["listen"])
        chosen["remotes"] = tuple(self._remote(spec.by(kind), insecure) for spec in chosen["remotes"])
        chosen["forget"] = tuple(spec.by(kind).name for spec in chosen["forget"])
        chosen["auth_keys"] = tuple(secret.located(os.path.abspath) for secret in chosen["auth_keys"])
        if chosen["hello_key"]:
            chosen["hello_key"] = chosen["hello_key"].located(os.path.abspath)
        self.settings = Settings(**chosen)
        check(self.settings)

    def _remote(self, spec: RemoteSpec, insecure: bool) -> RemoteSpec:
        if spec.kind != "tls":
            return spec
        if insecure and spec.files.ca_file:
            raise UsageProblem(f"--remote {spec.name}: caFile means nothing with --skip-verify; leave one out")
        return evolve(spec, files=spec.files.located(os.path.abspath), insecure=spec.insecure or insecure)

    def _absolute(self, path: str) -> str:
        # twistd changes its root and working directory only after the options are parsed.
        twistd: dict[str, Any] = self.parent or {}
        here = "/" if twistd.get("chroot") else os.getcwd()
        return os.path.normpath(os.path.join(here, twistd.get("rundir") or ".", path))

    def getUsage(self, width: int | None = None) -> str:
        columns = min(max(width or int(os.environ.get("COLUMNS") or 80), 60), 100)
        return "".join(_help(columns))


def _by_address(networks: Sequence[Any], verdict: str) -> list[FilterSpec]:
    """The filter that ``--ipf`` and ``--ipfa`` stand for, if any."""
    if not networks:
        return []
    texts = [f"[{network}]" if network.version == 6 else str(network) for network in networks]
    return [FilterSpec("ip", f"either={','.join(texts)}:{verdict}")]


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
        return f"{dashed}: needs a value; for example {dashed} {option.example}"
    if option or name in ("help", "help-filters", "version"):
        return f"{dashed}: takes no value; write it alone"
    long_names = [*(long for long in _BY_NAME if len(long) > 1), "help", "help-filters", "version"]
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
    rows.append(("Filters", "      --help-filters", "Print the filters that are installed, with a line each."))
    rows.append((SECTIONS[-1], "      --version", "Print the versions of hfp, Twisted and Python."))
    rows.append((SECTIONS[-1], "  -h, --help", "Print this help."))
    for section in SECTIONS:
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
    elif option.defaults:
        notes.append(f"default {' and '.join(option.defaults)}")
    return f"{option.help} ({'; '.join(notes)})" if notes else option.help
