"""
The grammar of expressions: text to words, strings and lists, each with its place.

Knows no functions.  Called by `hfp.filters.sip.expression`::

    expression = [ item ]
    item       = word | string | list
    list       = "(" *item ")"
    word       = 1*<any character but "(", ")", DQUOTE and white space>
    string     = DQUOTE *( <any character but DQUOTE and "\\"> | "\\" <any character> ) DQUOTE

A backslash in a string keeps the next character from ending it, and both stay in the string: strings are regular
expressions, where ``\\"`` is a quote.  nextcaller/sip-capture has no escapes; each of its strings that is a valid
regular expression reads the same here.
"""

from __future__ import annotations

import re
from enum import Enum

from attrs import define, field

from hfp.filters.sip.problem import ExpressionProblem

#: Longer expressions are refused, characters.
MOST_CHARACTERS = 64 * 1024

#: Lists within lists are refused beyond this, because reading, compiling and deciding recurse.
MOST_DEPTH = 64

_TOKEN = re.compile(r'\s*(?:([()])|"((?:\\.|[^"\\])*)"|([^\s()"]+))', re.DOTALL)
_SPACE = re.compile(r"\s*")


class Kind(Enum):
    """What a node is."""

    WORD = "word"
    STRING = "string"
    LIST = "list"


@define
class Node:
    """
    One piece of an expression.

    :param at: where it begins in the text.
    :param end: where it ends: the index of its last character, so of a list its closing parenthesis.
    :param content: of a word or a string its characters, without the quotes.
    :param items: of a list what is in it.
    """

    kind: Kind
    at: int
    end: int
    content: str = ""
    items: list[Node] = field(factory=list)


def read(text: str) -> Node | None:
    """
    The piece that an expression consists of.

    :returns: ``None`` for an expression of nothing but white space.
    :raises ExpressionProblem: the text is too long or nested too deep, or has a parenthesis or quote without its
        fellow, or anything behind its first piece.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionProblem(
            f"the expression has {len(text)} characters; {MOST_CHARACTERS} is the most, so use several filters",
            text,
            MOST_CHARACTERS,
        )
    root: Node | None = None
    open_lists: list[Node] = []
    at = 0
    while (token := _TOKEN.match(text, at)) is not None:
        parenthesis, string, word = token.groups()
        at = token.end()
        if parenthesis == ")":
            if not open_lists:
                raise ExpressionProblem("this closes nothing; remove it, or open a list with '('", text, at - 1)
            node = open_lists.pop()
            node.end = at - 1
            continue
        if parenthesis is not None:
            node = Node(Kind.LIST, at - 1, at - 1)
        elif string is not None:
            node = Node(Kind.STRING, at - len(string) - 2, at - 1, string)
        else:
            node = Node(Kind.WORD, at - len(word), at - 1, word)
        if open_lists:
            open_lists[-1].items.append(node)
        elif root is None:
            root = node
        else:
            raise ExpressionProblem(
                "the expression has ended before this; join several with (all ...) or (any ...)", text, node.at
            )
        if parenthesis is not None:
            if len(open_lists) == MOST_DEPTH:
                raise ExpressionProblem(f"too deep; {MOST_DEPTH} lists in one another is the most", text, node.at)
            open_lists.append(node)
    rest = _SPACE.match(text, at)
    assert rest is not None
    if rest.end() < len(text):  # only a quote without its fellow is no token
        raise ExpressionProblem("this string has no end; close it with '\"'", text, rest.end())
    if open_lists:
        raise ExpressionProblem("this list has no end; close it with ')'", text, open_lists[-1].at)
    return root
