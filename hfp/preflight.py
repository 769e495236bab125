"""
A look at the machine before the relay starts: can the spool be used, are the ports free, do the files of TLS and keys
say what they should, is no remote ourselves?

Looks only, and leaves nothing behind.  What it finds can change a moment later, so whoever opens the spool and the
ports may meet the same errors; but that is in the running daemon, and here the operator still sits at the terminal and
gets one line.  Called by `hfp.tap`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from tempfile import TemporaryFile

from hfp.addresses import ListenSpec
from hfp.errors import SpoolLocked, SpoolUnusable, UsageProblem
from hfp.links import client_side, server_side
from hfp.loops import find_loop
from hfp.settings import Settings

_OWN_DIRECTORY = "choose another directory, or let hfp's user write to this one"


def preflight(settings: Settings, spool: bool = True) -> None:
    """
    Check that the settings can be carried out on this machine now.

    :param spool: whether to look at the spool: not where ``twistd`` will change its root or its user first.
    :raises HfpError: with the option, its value, what is wrong and the cure, when they cannot.
    """
    for remote in settings.remotes:
        listener_reached = find_loop(settings.listen, remote)
        if listener_reached is not None:
            raise UsageProblem(
                f"--remote {remote.name}: is this hfp's own --listen {listener_reached.name}, packets would go in "
                "circles; change one of the two ports"
            )
    for listener in settings.listen:
        _check_port("--listen", listener)
    for listener in settings.listen:
        if listener.kind == "tls":
            server_side(listener)
    for remote in settings.remotes:
        if remote.kind == "tls":
            client_side(remote)
    for secret in (*settings.auth_keys, *filter(None, [settings.hello_key])):
        secret.read()
    if settings.prom:
        _check_port("--prom", settings.prom)
    if spool:
        _check_spool(settings.spool)


def _check_port(option: str, listener: ListenSpec) -> None:
    family = socket.AF_INET6 if ":" in listener.interface else socket.AF_INET
    stream = listener.kind != "udp"
    said = f"{option} {listener.name}"
    try:
        with socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as probe:
            if stream:
                # As the real listener will; without it, old connections in TIME_WAIT would seem to hold the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Bound, never listening: no sender may meet a listener that goes away again.
            probe.bind(socket.getaddrinfo(listener.interface or "0.0.0.0", listener.port, family)[0][4])
    except OSError as error:
        raise UsageProblem(f"{said}: {_port_problem(error, listener)}") from None


def _port_problem(error: OSError, listener: ListenSpec) -> str:
    which = "u" if listener.kind == "udp" else "t"
    if error.errno == errno.EADDRINUSE:
        return f"the port is in use; choose another, or stop what has it (see: ss -l{which}np sport = :{listener.port})"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; give one of its own (see: ip address), or none for all"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "ports below 1024 are for root; choose a higher one, or give hfp CAP_NET_BIND_SERVICE"
    return f"cannot listen there ({error.strerror}); choose another address"


def _check_spool(path: str) -> None:
    try:
        made = _make_directories(path)
    except OSError as error:
        raise SpoolUnusable(f"--spool {path}: cannot be made ({error.strerror}); {_OWN_DIRECTORY}") from None
    try:
        if not made:
            _check_lock(path)
        # Has no name, so that not even SIGKILL leaves it behind.
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        # A spool on a full disk must open: how else would it ever get empty?
        if made or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise SpoolUnusable(f"--spool {path}: cannot be written ({error.strerror}); {_OWN_DIRECTORY}") from None
    finally:
        for directory in reversed(made):
            os.rmdir(directory)


def _make_directories(path: str) -> list[str]:
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a directory")
    made: list[str] = []
    try:
        for directory in reversed(missing):
            os.mkdir(directory, 0o700)
            made.append(directory)
    except OSError:
        for directory in reversed(made):
            os.rmdir(directory)
        raise
    return made


def _check_lock(path: str) -> None:
    try:
        descriptor = os.open(os.path.join(path, "lock"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SpoolLocked(
            f"--spool {path}: is in use by another process; stop that one, or give each hfp a directory of its own"
        ) from None
    finally:
        os.close(descriptor)
