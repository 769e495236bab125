"""
Files that filters' arguments name: keys, and expressions.  Read once, when a filter is built.
"""

from __future__ import annotations

#: Octets that a file may have.
_MOST_OCTETS = 1024 * 1024


def read_file(path: str, key: str = "file") -> bytes:
    """
    What is in a file.

    :param key: the argument that named it, for messages.
    :raises ValueError: if it cannot be read, with what is wrong and the cure.
    """
    if not path:
        raise ValueError(f"{key}= names no file; write its path")
    try:
        with open(path, "rb") as file:
            octets = file.read(_MOST_OCTETS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{key}={path}: cannot be read ({reason}); name a file that hfp's user may read") from None
    if len(octets) > _MOST_OCTETS:
        raise ValueError(f"{key}={path}: has more than {_MOST_OCTETS} octets; name another file")
    return octets


def read_key(path: str, key: str = "file") -> bytes:
    """
    The key in a file: its first line.

    :raises ValueError: if it cannot be read or holds none.
    """
    line = read_file(path, key).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise ValueError(f"{key}={path}: has no key in its first line; write it there")
    return line
