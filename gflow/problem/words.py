"""Words of messages: what users hand in may be long, or have no words at all."""

from __future__ import annotations

import reprlib
from typing import Any, Iterable

MOST = 80
"""Letters of what is shown of a value."""
FEW = 8
"""Names that are listed."""


def short(value: Any, most: int = MOST) -> str:
    """A value as in Python, on one line, its middle left out if it is long.

    Examples
    --------
    >>> short("price"), short("a" * 100, 20)
    ("'price'", "'aaaaaaa...aaaaaaaa'")
    """
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = most
    try:
        text = repr(value) if isinstance(value, str | float | complex | bool) else brief.repr(value)
    except Exception:
        # Whole numbers of more than 4300 digits have none, and classes may have bad ones.
        text = kind_of(value)
    return cut(text, most)


def kind_of(value: Any) -> str:
    """The type of a value with its article.

    Examples
    --------
    >>> kind_of(1), kind_of("a"), kind_of([])
    ('an int', 'a str', 'a list')
    """
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeioAEIO' else 'a'} {name}"


def counted(number: int, thing: str) -> str:
    """How many there are of a thing.

    Examples
    --------
    >>> counted(1, "column"), counted(2, "column"), counted(0, "entry")
    ('1 column', '2 columns', '0 entries')
    """
    if number == 1:
        return f"{number} {thing}"
    return f"{number} {thing[:-1]}ies" if thing.endswith("y") else f"{number} {thing}s"


def said(error: BaseException, most: int = MOST) -> str:
    """What an exception says, on one line; those of users may say nothing, or fail to.

    Examples
    --------
    >>> said(ValueError("one\\ntwo"))
    'one two'
    """
    try:
        return cut(str(error), most)
    except Exception:
        return "it has no words"


def cut(text: str, most: int = MOST) -> str:
    """A text on one line, its middle left out if it is long.

    Examples
    --------
    >>> cut("one\\ntwo"), cut("abcdefghij", 7)
    ('one two', 'ab...ij')
    """
    long = len(text) > 4 * most
    text = _line(text[:2 * most] + text[-2 * most:] if long else text)
    if not long and len(text) <= most:
        return text
    return text[:(most - 3) // 2] + "..." + text[-((most - 2) // 2):]


def _line(text: str) -> str:
    """On one line, with letters that any terminal can show."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """A text of some lines, in which letters that would steer a terminal are spelled out.

    Examples
    --------
    >>> print(visible("one\\ntwo\\x1b[31m"))
    one
    two\\x1b[31m
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode()
                   for c in text)


def plain(text: str) -> str:
    """A text that is no formula to Matplotlib, whatever dollars are in it.

    Examples
    --------
    >>> print(plain("$5 to $10"))
    \\$5 to \\$10
    """
    return text.replace("$", r"\$")


def listed(names: Iterable[Any], most: int = FEW) -> str:
    """Names joined by commas; of many the first ones, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b"]), listed(range(100), 3)
    ('a, b', '0, 1, 2 and 97 more')
    """
    names = list(names)
    some = ", ".join(cut(str(name), 40) for name in names[:most])
    return some if len(names) <= most else f"{some} and {len(names) - most} more"
