"""
Keys that the operator gives, and how they stay out of sight.

A key comes as an option's value or in a file.  It is never part of a ``repr``, a log line or a metric.  What stood on
the command line can be read by every user of the machine, so `conceal_arguments` writes over it as soon as the options
are parsed; a file is safer, because nothing can be done about the moment before.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Collection

from attrs import field, frozen

from hfp.errors import UsageProblem

#: Octets of a file with keys that are read, at most.
_MOST_OCTETS = 1024 * 1024


@frozen
class Secret:
    """
    Where keys come from.

    :param option: the option that named it, for messages.
    :param path: the file; empty if the key itself was given.
    :param key: the key itself; empty if it is in a file.
    """

    option: str
    path: str = ""
    key: bytes = field(default=b"", repr=False)

    def located(self, absolute: Callable[[str], str]) -> Secret:
        """The same with the file's path given to *absolute*."""
        return Secret(self.option, absolute(self.path)) if self.path else self

    def read(self) -> list[bytes]:
        """
        The keys: one, or one for each line of the file that is not empty.

        :raises UsageProblem: if the file cannot be read or holds none.
        """
        if not self.path:
            return [self.key]
        try:
            with open(self.path, "rb") as file:
                lines = file.read(_MOST_OCTETS).splitlines()
        except OSError as error:
            raise UsageProblem(
                f"{self.option} {self.path}: cannot be read ({error.strerror}); name a file that hfp's user may read"
            ) from None
        keys = [line for line in lines if line]
        if not keys:
            raise UsageProblem(f"{self.option} {self.path}: holds no key; write one on a line of its own")
        return keys

    @property
    def exposed(self) -> bool:
        """Whether any user of this machine may read the file."""
        return bool(self.path) and bool(os.stat(self.path).st_mode & 0o004)


def given_key(option: str) -> Callable[[str], Secret]:
    """What reads a key that is an option's value."""

    def read(text: str) -> Secret:
        if not text:
            raise ValueError("is empty; give the key, or leave the option out")
        return Secret(option, key=os.fsencode(text))

    return read


def key_file(option: str) -> Callable[[str], Secret]:
    """What reads the name of a file with keys."""

    def read(text: str) -> Secret:
        if not text:
            raise ValueError("is empty; name a file")
        return Secret(option, path=text)

    return read


def conceal_arguments(options: Collection[str]) -> int:
    """
    Write over the values of these options where the process list shows them.

    :param options: as they are spelled, dashes included (``--auth-key``).
    :returns: how many values were written over; 0 as well where the system does not let us.

    Source: proc(5), ``/proc/pid/stat``, fields 48 and 49 (arg_start, arg_end).
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/self/cmdline", "rb") as file:
            arguments = file.read()
        start, end = int(fields[45]), int(fields[46])  # the third field of all is the first one behind the name
    except (OSError, ValueError, IndexError):
        return 0
    if not start or end - start != len(arguments):
        return 0
    concealed = 0
    for at, length in secret_places(arguments, options):
        ctypes.memset(start + at, ord("x"), length)
        concealed += 1
    return concealed


def secret_places(arguments: bytes, options: Collection[str]) -> list[tuple[int, int]]:
    """
    Where the values of these options stand.

    :param arguments: a command line, each argument with a zero octet behind it.
    :param options: as they are spelled, dashes included; what abbreviates one of them counts as well.
    :returns: offset and length of each value.
    """
    places = []
    names = [os.fsencode(option) for option in options]
    at = 0
    value_follows = False
    for argument in arguments.split(b"\0"):
        name, equals, value = argument.partition(b"=")
        if value_follows:
            places.append((at, len(argument)))
            value_follows = False
        elif (len(name) > 4 and any(option.startswith(name) for option in names)) or name in names:
            if equals:
                places.append((at + len(name) + 1, len(value)))
            else:
                value_follows = True
        at += len(argument) + 1
    return places
