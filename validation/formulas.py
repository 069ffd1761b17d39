"""Formulas of checks: plain notation between dollars, as text and as MathML.

What a check says has its formulas between dollars, in the notation that one types, such as
``$lambda^{2 eps} / |D^*|$``. As text the dollars go; a page shows MathML, which browsers draw by
themselves.
"""

from __future__ import annotations

import html
import re

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "eta": "η",
         "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "sigma": "σ", "tau": "τ", "phi": "φ",
         "Delta": "Δ", "Sigma": "Σ"}
THIN = '<mspace width=".17em"/>'
NAMES = {"cos", "exp", "Exp", "Ei", "inf", "ln", "log", "max", "min", "sgn", "sin", "sup", "tr"}
"""Upright, as all functions."""
SIGNS = {"sum": "∑", "int": "∫", "grad": "∇", "<=": "≤", ">=": "≥", "...": "…", "+-": "±",
         "-": "−", "*": "∗", "<": "&lt;", ">": "&gt;", "'": "′", ".": "⋅", "~": "∼"}
OPENING, CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}, ")]}"
TOKEN = re.compile(r"(?P<number>\d[\d,]*\d(?:\.\d+)?(?:e[+-]?\d+)?|\d(?:\.\d+)?(?:e[+-]?\d+)?)"
                   r"|(?P<word>[A-Za-z]+)|(?P<angle><(?=[A-Za-z]))"
                   r"|(?P<sign><=|>=|\.\.\.|\+-|[-+*/<>=.,;:|'~()\[\]{}^_])")


def plain(text: str) -> str:
    """The text without dollars.

    Examples
    --------
    >>> plain("slope $2 eps$ in $lambda$")
    'slope 2 eps in lambda'
    """
    return text.replace("$", "")


def page(text: str) -> str:
    """The text as HTML, its formulas as MathML.

    Raises
    ------
    ValueError
        If a dollar is alone, or a formula cannot be read.

    Examples
    --------
    >>> page("slope < 2 in $n^2$")
    'slope &lt; 2 in <math><msup><mi>n</mi><mn>2</mn></msup></math>'
    """
    parts = text.split("$")
    if len(parts) % 2 == 0:
        raise ValueError(f"a dollar is alone in {text!r}")
    return "".join(f"<math>{Formula(part).whole()}</math>" if k % 2 else html.escape(part)
                   for k, part in enumerate(parts))


class Formula:
    """Reads one formula, from the left to the right."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.bars = text, [], 0
        end = 0
        for found in TOKEN.finditer(text):
            if text[end:found.start()].strip():
                break
            self.tokens.append((found.lastgroup, found[0]))
            end = found.end()
        if text[end:].strip():
            raise ValueError(f"the formula {text!r} has {text[end:]!r}, which is no notation")
        self.tokens.reverse()

    def whole(self) -> str:
        """All of it."""
        found = self._row("")
        if self.tokens or self.bars % 2:
            raise ValueError(f"brackets or bars of the formula {self.text!r} do not match")
        return found

    def _row(self, until: str) -> str:
        """Up to a closing bracket, which stays."""
        parts, before = [], "sign"
        while self.tokens and self.tokens[-1][1] != until:
            kind, token = self.tokens[-1]
            if token in CLOSING:
                raise ValueError(f"brackets of the formula {self.text!r} do not match")
            if token in NAMES and before != "sign":
                parts.append(THIN)
            parts.append(self._scripts(self._atom()))
            before = kind
        return "".join(parts)

    def _scripts(self, base: str) -> str:
        """What stands below and above the base, if anything does."""
        below = above = ""
        while self.tokens and self.tokens[-1][1] in "^_":
            if self.tokens.pop()[1] == "_":
                below = self._script()
            else:
                above = self._script()
        kind = "msubsup" if below and above else "msub" if below else "msup" if above else ""
        return f"<{kind}>{base}{below}{above}</{kind}>" if kind else base

    def _script(self) -> str:
        """One group, sign or number; brackets around a group are not shown."""
        if not self.tokens:
            raise ValueError(f"the formula {self.text!r} ends too early")
        _, token = self.tokens[-1]
        if token in ("(", "{"):
            return self._group(False)
        if token == "-" and len(self.tokens) > 1 and self.tokens[-2][0] == "number":
            return f"<mrow>{self._atom()}{self._atom()}</mrow>"
        return self._atom()

    def _group(self, shown: bool) -> str:
        """A bracket and what is in it."""
        _, opened = self.tokens.pop()
        inner = self._row(OPENING[opened])
        if not self.tokens:
            raise ValueError(f"brackets of the formula {self.text!r} do not match")
        self.tokens.pop()
        if not shown:
            return f"<mrow>{inner}</mrow>"
        left, right = ("⟨", "⟩") if opened == "<" else (opened, OPENING[opened])
        return (f'<mrow><mo stretchy="false">{left}</mo>{inner}'
                f'<mo stretchy="false">{right}</mo></mrow>')

    def _atom(self) -> str:
        kind, token = self.tokens[-1]
        if kind == "angle" or token in "([{":
            return self._group(True)
        self.tokens.pop()
        if kind == "number":
            return number(token)
        if kind == "word":
            return self._word(token)
        if token == "|":
            self.bars += 1
            side = "prefix" if self.bars % 2 else "postfix"
            return f'<mo stretchy="false" form="{side}">|</mo>'
        return f"<mo>{SIGNS.get(token, token)}</mo>"

    def _word(self, word: str) -> str:
        if word == "sqrt":
            if not self.tokens or self.tokens[-1][1] != "(":
                raise ValueError(f"sqrt needs a bracket in the formula {self.text!r}")
            return f"<msqrt>{self._group(False)}</msqrt>"
        if word in SIGNS:
            large = ' largeop="false"' if word != "grad" else ""
            return f"<mo{large}>{SIGNS[word]}</mo>"
        if word in NAMES:
            return f"<mi>{word}</mi>{THIN if self._argument() else ''}"
        if word == "Dmax":
            return "<msub><mi>D</mi><mtext>max</mtext></msub>"
        letters = [GREEK[word]] if word in GREEK else list(word)
        if len(letters) > 2:
            raise ValueError(f"{word!r} in the formula {self.text!r} is neither a name nor letters")
        return "".join(f"<mi>{letter}</mi>" for letter in letters)

    def _argument(self) -> bool:
        """Whether a function is followed by its argument without a bracket."""
        return bool(self.tokens) and (self.tokens[-1][0] != "sign" or self.tokens[-1][1] == "|")


def number(text: str) -> str:
    """A number; 3e-4 as a power of ten.

    Examples
    --------
    >>> number("1e-9")
    '<msup><mn>10</mn><mrow><mo>−</mo><mn>9</mn></mrow></msup>'
    """
    digits, _, power = text.partition("e")
    if not power:
        return f"<mn>{digits}</mn>"
    minus = "<mo>−</mo>" if power[0] == "-" else ""
    shown = (f"<msup><mn>10</mn><mrow>{minus}<mn>{power.lstrip('+-').lstrip('0') or 0}</mn></mrow>"
             "</msup>")
    return shown if digits == "1" else f"<mn>{digits}</mn><mo>×</mo>{shown}"
