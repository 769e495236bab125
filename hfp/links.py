"""
Our side of TLS for each listener and remote that the operator named.  Called by `hfp.preflight`, which wants to know
whether the files will do, and by `hfp.service`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from hfp import tls
from hfp.addresses import ListenSpec, RemoteSpec
from hfp.errors import UsageProblem
from hfp.settings import Settings

#: Days before a certificate ends when it is first spoken of.
EXPIRY_DAYS = 14


def server_side(listener: ListenSpec) -> Any:
    """
    What makes the connections of senders over TLS; see `hfp.tls.server_creator`.

    :raises UsageProblem: with the option, the file, what is wrong and the cure.
    """
    files = listener.files
    try:
        return tls.server_creator(files.private_key, files.certificate, files.ca_file or None)
    except UsageProblem as problem:
        raise UsageProblem(f"--listen {listener.name}: {problem}") from None


def client_side(remote: RemoteSpec) -> Any:
    """
    What makes the connections to a collector over TLS; see `hfp.tls.client_creator`.

    :raises UsageProblem: with the option, the file, what is wrong and the cure.
    """
    files = remote.files
    try:
        return tls.client_creator(
            remote.host,
            server_name=remote.server_name or None,
            ca_file=files.ca_file or None,
            certificate=files.certificate or None,
            key=files.private_key or None,
            insecure=remote.insecure,
        )
    except UsageProblem as problem:
        raise UsageProblem(f"--remote {remote.name}: {problem}") from None


def describe_risks(settings: Settings) -> list[str]:
    """What can be used as it is, and yet needs the operator's eye: a line for each, said at every start."""
    return [*_insecure(settings), *_exposed(settings), *_expiring(settings)]


def _insecure(settings: Settings) -> Iterator[str]:
    for remote in settings.remotes:
        if remote.insecure:
            yield (
                f"remote {remote.name}: its certificate is not checked (insecure=yes or --skip-verify), so whoever is "
                "on the way can read and change what is sent; name its authority with caFile=FILE instead"
            )


def _exposed(settings: Settings) -> Iterator[str]:
    for secret in (*settings.auth_keys, *filter(None, [settings.hello_key])):
        if secret.exposed:
            yield f"{secret.option} {secret.path}: any user of this machine can read it; forbid that (chmod 600)"
    for option, spec in _with_files(settings):
        if spec.files.private_key and tls.is_exposed(spec.files.private_key):
            yield (
                f"{option} {spec.name}: any user of this machine can read the key {spec.files.private_key}; forbid "
                "that (chmod 600)"
            )


def _expiring(settings: Settings) -> Iterator[str]:
    now = time.time()
    for option, spec in _with_files(settings):
        if spec.files.certificate:
            left = tls.expiry(spec.files.certificate).timestamp() - now
            if left < 0:
                yield f"{option} {spec.name}: the certificate {spec.files.certificate} has expired; renew it"
            elif left < EXPIRY_DAYS * 86_400:
                yield (
                    f"{option} {spec.name}: the certificate {spec.files.certificate} expires in {left / 86_400:.0f} "
                    "days; renew it"
                )


def _with_files(settings: Settings) -> Iterator[tuple[str, ListenSpec | RemoteSpec]]:
    for listener in settings.listen:
        yield "--listen", listener
    for remote in settings.remotes:
        yield "--remote", remote
