"""
Orders to a program: a line each on its standard input, answered by a line each on its standard output.

Both programs use it.  When the standard input ends, whoever gave the orders is gone, and so is the program.
"""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Callable


class Console:
    """
    Reads orders and answers them.

    :param obey: called with an order's words; what it returns is the answer's rest.  A ``ValueError`` is answered
        as ``no`` with its text.
    """

    def __init__(self, obey: Callable[[list[str]], str]) -> None:
        self._obey = obey
        self._carry = b""
        self.ended = False

    def attach(self, selector: selectors.BaseSelector, key: object) -> None:
        """Have the selector report orders with this key as its data."""
        os.set_blocking(0, False)
        selector.register(0, selectors.EVENT_READ, key)

    def read(self) -> None:
        """Take what is there; sets :attr:`ended` at the end of the standard input."""
        try:
            octets = os.read(0, 65536)
        except BlockingIOError:
            return
        if not octets:
            self.ended = True
            return
        *orders, self._carry = (self._carry + octets).split(b"\n")
        for order in orders:
            try:
                answer = self._obey(order.decode().split())
            except ValueError as problem:
                say(f"no {problem}")
            else:
                say(f"ok {order.decode()} {answer}".rstrip())


def say(line: str) -> None:
    """One line on the standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
