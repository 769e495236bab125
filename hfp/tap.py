"""
What ``twistd hfp`` starts.  Named by ``twisted/plugins/hfp_plugin.py``; the only module that takes the global reactor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.application.service import IService

from hfp.errors import HfpError
from hfp.logs import show_debug
from hfp.options import Options
from hfp.optiontable import OPTIONS
from hfp.preflight import preflight
from hfp.secrets import conceal_arguments

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """
    Make the relay of parsed options.

    The preflight stands here, not in the parsing: ``twistd`` has by now checked its pid file, so that "already running"
    is said before "port in use", and parsing stays free of side effects.  It has not yet become a daemon, so what is
    wrong is still said on the terminal.

    :raises SystemExit: with one line, when the machine does not allow it.
    """
    # Not at the top: twistd may still have to install another reactor, and --help needs neither.
    from twisted.internet import reactor

    from hfp.service import RelayService

    secret = [option for option in OPTIONS if option.secret]
    conceal_arguments([f"--{name}" for option in secret for name in (option.name, option.alias) if name])
    settings = options.settings
    twistd: Mapping[str, Any] = options.parent or {}
    changes_root_or_user = any(twistd.get(key) is not None for key in ("chroot", "uid", "gid"))
    try:
        preflight(settings, spool=not changes_root_or_user)
        relay = RelayService(settings, reactor)
    except HfpError as problem:
        raise SystemExit(f"hfp: {problem}") from None
    show_debug(settings.debug)
    return relay
