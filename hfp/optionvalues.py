"""
How the values of some options are read: text in; the value out, or a ``ValueError`` with what is wrong and the cure.

Those with a grammar of their own have modules of their own: `hfp.addresses`, `hfp.networks`, `hfp.quantities`,
`hfp.secrets`, `hfp.filters.loading`.  Called by `hfp.optiontable`.
"""

from __future__ import annotations

from hfp.addresses import KINDS, ListenSpec, parse_listen
from hfp.spool import FullPolicy


def metrics_listener(text: str) -> ListenSpec | None:
    """Read ``off``, or where to serve ``/metrics``."""
    if text.lower() == "off":
        return None
    spec = parse_listen(text)
    if spec.kind != "tcp":
        raise ValueError(f"{spec.kind} does not serve this page; write tcp:PORT")
    return spec


def count(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise ValueError("is no such number; give one from 1 to 1000000")
    return int(text)


def transport(text: str) -> str:
    """Read a transport."""
    if text.lower() not in KINDS:
        raise ValueError(f"is not a transport that hfp has; write {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return text.lower()


def switch(text: str) -> bool:
    """Read ``on`` or ``off``."""
    if text.lower() not in ("on", "off"):
        raise ValueError("is neither on nor off; write one of them")
    return text.lower() == "on"


def verdict(text: str) -> str:
    """Read ``pass`` or ``reject``."""
    if text.lower() not in ("pass", "reject"):
        raise ValueError("is neither pass nor reject; write one of them")
    return text.lower()


def policy(text: str) -> FullPolicy:
    """Read a policy for a full spool."""
    try:
        return FullPolicy(text.lower())
    except ValueError:
        raise ValueError(f"is no policy; write {', '.join(policy.value for policy in FullPolicy)}") from None


def directory(text: str) -> str:
    """Read the name of a directory."""
    if not text:
        raise ValueError("is empty; name a directory")
    return text
