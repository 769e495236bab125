"""
What is wrong with an expression, and where: for the operator's terminal and for one line of a log.
"""

from __future__ import annotations

from hfp.errors import UsageProblem

#: As much of an expression as is shown beside the place, characters.
WINDOW = 72


class ExpressionProblem(UsageProblem):
    """
    A SIP filter expression cannot be used; the message says what is wrong with it, where, and the cure.

    As text it is three lines: the message, the expression (of a long one, what is around the place), and a caret under
    the place.

    :ivar message: what is wrong, and the cure.
    :ivar text: the whole expression.
    :ivar at: where in it, an index from 0 to its length.
    """

    def __init__(self, message: str, text: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.at = at

    @property
    def column(self) -> int:
        """Where in its line of the expression, counted from 1."""
        return self.at - self._line_start() + 1

    @property
    def line(self) -> str:
        """In one line, for where the expression is shown already; the place by its column."""
        if "\n" not in self.text:
            return f"{self.message} (column {self.column})"
        row = self.text.count("\n", 0, self.at) + 1
        return f"{self.message} (line {row}, column {self.column})"

    def __str__(self) -> str:
        shown, caret = self._shown()
        return f"{self.message}\n{shown}\n{' ' * caret}^"

    def _line_start(self) -> int:
        return self.text.rfind("\n", 0, self.at) + 1

    def _shown(self) -> tuple[str, int]:
        """The line of the expression with the place in it, or what of it fits, and the place in that."""
        start = self._line_start()
        end = self.text.find("\n", self.at)
        row = self.text[start : len(self.text) if end < 0 else end]
        # What a terminal would not show as one column would move the caret, or worse.
        row = "".join(each if each.isprintable() else " " for each in row)
        caret = self.at - start
        left = max(0, min(caret - WINDOW // 2, len(row) - WINDOW))
        before = "..." if left else ""
        after = "..." if left + WINDOW < len(row) else ""
        return before + row[left : left + WINDOW] + after, caret - left + len(before)
