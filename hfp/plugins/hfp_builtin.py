"""
The filters that hfp brings along, for Twisted's plugin system to find.

Imported whenever filters are looked for, so it imports nothing of theirs: each does when it is built.
"""

from __future__ import annotations

from importlib import import_module

from zope.interface import implementer

from hfp.interfaces import FilterContext, IFilter, IFilterFactory


@implementer(IFilterFactory)
class _Builtin:
    """
    Makes one of the built-in filters.

    :param module: of `hfp.filters.builtin`; it has ``build``.
    """

    def __init__(self, name: str, module: str, help: str) -> None:  # noqa: A002  # the interface's word
        self.name = name
        self.help = help
        self._module = module

    def build(self, arguments: str, context: FilterContext) -> IFilter:
        """See `IFilterFactory`."""
        made: IFilter = import_module(f"hfp.filters.builtin.{self._module}").build(arguments, context)
        return made


ip = _Builtin(
    "ip", "addresses", "by addresses of what was captured: ip:CIDR,... or ip:src=CIDR,...:dst=...:either=...[:reject]"
)
port = _Builtin("port", "ports", "by ports of what was captured: port:5060,5080-5090 or port:src=...:dst=...[:reject]")
type_ = _Builtin("type", "types", "by HEP's protocol type: type:sip,rtcp,100[:reject]")
node = _Builtin("node", "nodes", "by capture agent id or name: node:2001,2010-2019,sbc-*[:reject]")
sip = _Builtin(
    "sip", "expressions", "by an expression: sip:[other=reject:](all request (method INVITE)) or sip:file=PATH"
)
sample = _Builtin(
    "sample", "sampling", "keeps so many percent of the calls, each whole: sample:10[:seed=TEXT][:by=call-id]"
)
dedup = _Builtin(
    "dedup", "duplicates", "rejects what was captured twice: dedup[:window=500ms][:ignore=node][:keep=retransmissions]"
)
rate = _Builtin("rate", "rates", "so many packets per second: rate:500[:per=sender|agent|all][:burst=N]")
time = _Builtin("time", "times", "repairs times that cannot be right: time[:past=3652d][:future=24h]")
key = _Builtin(
    "key", "keys", "sets or removes the authentication key: key:file=PATH[:replace], key:set=KEY or key:remove"
)
name = _Builtin(
    "name", "names", "sets agent id and name by sender: name:192.0.2.1=2001/sbc-1:10.0.0.0/8=2002[:only=missing]"
)
mask = _Builtin("mask", "privacy", "hides bodies or users: mask:bodies[=MESSAGE,INFO] and mask:users:key-file=PATH")
