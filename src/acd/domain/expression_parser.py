"""From an expression's text to its checked tree, or to an error that points at a character.

The text may be anything at all: tokens are taken one by one from the front, groups lie on a stack of our own, and length,
terms and nesting are bounded, so nothing that is written can make this slow or deep.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Final, NamedTuple, NoReturn

from acd.domain.attributes import MAX_VALUE_CHARS, ORDERINGS, is_attribute_name, number_of
from acd.domain.errors import ConfigurationError
from acd.domain.expression_tree import (
    Always,
    Attribute,
    Both,
    Compare,
    Either,
    Literal,
    Node,
    Not,
    Skill,
    SkillNamedBy,
    Within,
)

MAX_CHARS: Final = 2_000
MAX_TERMS: Final = 200
MAX_DEPTH: Final = 32
RESERVED: Final = frozenset({"and", "or", "not", "in", "anyone", "nobody", "skill", "call"})
"""Words of the language, which therefore cannot be the name of a skill."""

_EXCERPT_CHARS = 70
_NEAREST_MAX = 2_000
_SHOWN_CHARS = 40
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<attribute>call\s*\.\s*(?P<name>[A-Za-z0-9_-]*))
    |(?P<number>-?[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_.-]))
    |(?P<word>[A-Za-z0-9_][A-Za-z0-9_-]*)
    |(?P<text>'[^']*'|"[^"]*")
    |(?P<operator>>=|<=|==|!=|>|<)
    |(?P<mark>[(),])""",
    re.VERBOSE | re.ASCII,
)
_MIRRORED = {">=": "<=", ">": "<", "<=": ">=", "<": ">", "==": "==", "!=": "!="}
_MEANT = {"&": "and", "|": "or", "!": "not, or !=", "=": "== (or >=)", "[": "(", "]": ")", "{": "(", "}": ")"}


class ExpressionError(ConfigurationError):
    """An expression cannot be used. ``position`` counts from 0 in ``text``; ``str()`` shows the place with a caret."""

    def __init__(self, message: str, position: int, text: str) -> None:
        self.message, self.position, self.text = message, position, text
        super().__init__("\n".join((f"{message}, at character {position + 1}", *self.excerpt)))

    @property
    def excerpt(self) -> tuple[str, str]:
        """The text about the place (tabs and the like shown as ``?``), and a line with a caret below the character."""
        first = max(0, min(self.position - _EXCERPT_CHARS // 2, len(self.text) - _EXCERPT_CHARS))
        shown = self.text[first : first + _EXCERPT_CHARS]
        shown = "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in shown)
        before, after = "..." if first else "", "..." if first + _EXCERPT_CHARS < len(self.text) else ""
        return f"{before}{shown}{after}", " " * (len(before) + self.position - first) + "^"


class _Token(NamedTuple):
    kind: str
    """attribute, number, word, text, operator, mark or end."""
    text: str
    """Without quotes; of an attribute its name."""
    position: int


class _Group:
    """An open parenthesis, or the whole: alternatives of ``and`` chains, and the ``not`` that wait for their operand."""

    __slots__ = ("alternatives", "nots", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self.alternatives: list[list[Node]] = [[]]
        self.nots = 0

    def add(self, node: Node) -> None:
        for _ in range(self.nots):
            node = Not(node)
        self.nots = 0
        self.alternatives[-1].extend(node.items if isinstance(node, Both) else (node,))

    def node(self) -> Node:
        parts: list[Node] = []
        for chain in self.alternatives:
            part = chain[0] if len(chain) == 1 else Both(tuple(chain))
            parts.extend(part.items if isinstance(part, Either) else (part,))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))


def tree_of(text: str, skills: Collection[str]) -> Node:
    """The tree that ``text`` says. Raises ExpressionError."""
    if len(text) > MAX_CHARS:
        raise ExpressionError(
            f"an expression has at most {MAX_CHARS} characters, not {len(text)}; define further queues instead",
            MAX_CHARS,
            text,
        )
    return _Parser(text, skills).tree()


class _Parser:
    def __init__(self, text: str, skills: Collection[str]) -> None:
        self._text, self._skills = text, skills
        self._at = 0
        self._terms = 0
        self._token = self._next()

    def tree(self) -> Node:
        groups = [_Group(0)]
        depth = 0
        while True:
            # an operand is due: any number of ( and not, then a comparison
            while (token := self._token).text in ("(", "not") and token.kind in ("mark", "word"):
                depth += 1
                if depth > MAX_DEPTH:
                    self._wrong(f"nested more than {MAX_DEPTH} deep, counting every ( and not", token)
                self._take()
                if token.kind == "mark":
                    groups.append(_Group(token.position))
                else:
                    groups[-1].nots += 1
            depth -= groups[-1].nots
            groups[-1].add(self._comparison())
            while self._is("mark", ")") and len(groups) > 1:
                self._take()
                node = groups.pop().node()
                depth -= 1 + groups[-1].nots
                groups[-1].add(node)
            token = self._token
            if self._is("word", "or"):
                groups[-1].alternatives.append([])
            elif not self._is("word", "and"):
                if token.kind != "end":
                    self._expected("and, or" + (", )" if len(groups) > 1 else ""), token)
                if len(groups) > 1:
                    self._wrong("this ( is never closed", token._replace(position=groups[-1].position))
                return groups[0].node()
            self._take()

    # -- one comparison ------------------------------------------------------------------------------------------------

    def _comparison(self) -> Node:
        start = self._token
        if start.kind == "word" and start.text in ("anyone", "nobody"):
            self._take()
            self._count(start)
            return Always(start.text == "anyone")
        left = self._operand()
        self._count(start)
        token = self._token
        if token.kind == "operator":
            self._take()
            return self._compared(left, start, token)
        negated = self._is("word", "not")
        if negated or self._is("word", "in"):
            self._take()
            if negated and not self._is("word", "in"):
                self._expected("in", self._token)
            if negated:
                self._take()
            return self._within(left, start, negated)
        if not isinstance(left, Skill | SkillNamedBy):
            self._expected("a comparison (>= > <= < == != in)", token)
        return Compare(left, ">=", Literal(1))

    def _compared(self, left: Skill | SkillNamedBy | Attribute | Literal, start: _Token, operator: _Token) -> Node:
        there = self._token
        bare = isinstance(left, Attribute) and there.kind == "word" and not self._is_skill_call()
        right = self._bare_word() if bare else self._operand()
        symbol = operator.text
        if isinstance(left, Literal):
            if isinstance(right, Literal):
                self._wrong("compares two fixed values; a skill or call.NAME must stand on one side", start)
            left, right, symbol, start, there = right, left, _MIRRORED[symbol], there, start
        if isinstance(left, Attribute) and isinstance(right, Skill | SkillNamedBy):
            left, right, symbol = right, left, _MIRRORED[symbol]
        if isinstance(right, Skill | SkillNamedBy):
            self._wrong("two skills cannot be compared with each other; write a number or call.NAME", there)
        if isinstance(right, Literal):
            self._check_literal(left, symbol, right, there)
        return Compare(left, symbol, right)

    def _within(self, left: Skill | SkillNamedBy | Attribute | Literal, start: _Token, negated: bool) -> Node:
        if isinstance(left, Literal):
            self._wrong("a skill or call.NAME must stand before in", start)
        if not self._is("mark", "("):
            self._expected("( and the values", self._token)
        self._take()
        values: dict[Literal, None] = {}
        while True:
            there = self._token
            value = self._bare_word() if there.kind == "word" else self._operand()
            if not isinstance(value, Literal):
                self._expected("a number or a text", there)
            self._check_literal(left, "==", value, there)
            self._count(there)
            values[value] = None
            if self._is("mark", ")"):
                self._take()
                return Within(left, tuple(values), negated)
            if not self._is("mark", ","):
                self._expected(", or )", self._token)
            self._take()

    def _check_literal(self, left: Skill | SkillNamedBy | Attribute, symbol: str, value: Literal, at: _Token) -> None:
        if isinstance(left, Attribute):
            if isinstance(value.value, str) and symbol in ORDERINGS:
                hint = "; if a skill is meant, write it first" if value.value in self._skills else ""
                self._wrong(f"a text can be == or != or in a list, but not {symbol}{hint}", at)
        elif not isinstance(value.value, int):
            self._wrong(f"a proficiency is a whole number from 0 to 100, not {value}", at)
        elif not -1 <= value.value <= 100:
            self._wrong(f"proficiency {value} is out of range: 0 to 100", at)

    # -- operands ------------------------------------------------------------------------------------------------------

    def _operand(self) -> Skill | SkillNamedBy | Attribute | Literal:
        token = self._token
        if token.kind == "attribute":
            self._take()
            return Attribute(token.text)
        if token.kind == "number":
            self._take()
            number = number_of(token.text)
            if number is None:
                self._wrong("a number has at most 15 digits, and 6 behind the point", token)
            return Literal(number)
        if token.kind == "text":
            self._take()
            if len(token.text) > MAX_VALUE_CHARS or not token.text.isprintable():
                self._wrong(f"a text has at most {MAX_VALUE_CHARS} characters, all of which can be printed", token)
            return Literal(token.text)
        if token.kind != "word" or (token.text in RESERVED and not self._is_skill_call()):
            self._expected("a skill, call.NAME, a number or a text", token)
        return self._named_skill() if self._is_skill_call() else self._skill()

    def _bare_word(self) -> Literal:
        token = self._token
        if token.text in RESERVED:
            self._expected("a value", token)
        self._take()
        return Literal(token.text)

    def _skill(self) -> Skill:
        token = self._token
        if token.text not in self._skills:
            lowered = token.text.lower()
            hint = f"; write {lowered}" if lowered in RESERVED else _nearest(token.text, self._skills)
            self._wrong(f"there is no skill {_shown(token.text)}{hint}", token)
        self._take()
        return Skill(token.text)

    def _is_skill_call(self) -> bool:
        return self._is("word", "skill") and self._text[self._at :].lstrip().startswith("(")

    def _named_skill(self) -> SkillNamedBy:
        self._take()
        self._take()
        name = self._token
        if name.kind != "attribute":
            self._expected("call.NAME, the attribute that names the skill", name)
        self._take()
        if not self._is("mark", ")"):
            self._expected(")", self._token)
        self._take()
        return SkillNamedBy(name.text)

    # -- tokens --------------------------------------------------------------------------------------------------------

    def _is(self, kind: str, text: str) -> bool:
        return self._token.kind == kind and self._token.text == text

    def _take(self) -> None:
        self._token = self._next()

    def _count(self, token: _Token) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            self._wrong(f"an expression has at most {MAX_TERMS} terms, counting every value of a list", token)

    def _next(self) -> _Token:
        match = _TOKEN.match(self._text, self._at)
        if match is not None and match.lastgroup == "space":
            self._at = match.end()
            match = _TOKEN.match(self._text, self._at)
        position = self._at
        if position == len(self._text):
            return _Token("end", "", position)
        if match is None:
            self._unreadable(position)
        self._at = match.end()
        if match["attribute"] is not None:
            name: str = match["name"]
            if not is_attribute_name(name):
                self._wrong(
                    "the name of an attribute is of lower-case letters, digits and _, a letter first, "
                    f"at most 40 characters, not {_shown(name)}",
                    _Token("attribute", name, match.start("name")),
                )
            return _Token("attribute", name, position)
        kind = match.lastgroup or ""
        return _Token(kind, match[0][1:-1] if kind == "text" else match[0], position)

    def _unreadable(self, position: int) -> NoReturn:
        char = self._text[position]
        token = _Token("", char, position)
        if char in "'\"":
            self._wrong("this text is never closed", token)
        hint = f"; write {_MEANT[char]}" if char in _MEANT else "; put texts in quotes"
        self._wrong(f"{_shown(char)} means nothing here{hint}", token)

    def _expected(self, what: str, token: _Token) -> NoReturn:
        if token.kind == "end":
            self._wrong(f"{what} must follow here, but the expression ends", token)
        lowered = token.text.lower()
        hint = f"; write {lowered}" if token.kind == "word" and token.text != lowered and lowered in RESERVED else ""
        shown = {"attribute": f"call.{token.text}", "text": f"the text {_shown(token.text)}"}.get(token.kind)
        self._wrong(f"{what} must stand here, not {shown or _shown(token.text)}{hint}", token)

    def _wrong(self, message: str, token: _Token) -> NoReturn:
        raise ExpressionError(message, token.position, self._text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}...")


def _nearest(word: str, right: Collection[str]) -> str:
    """`` (nearest right name: x)``, `` (right names: ...)`` if they are few, or nothing."""
    if not right:
        return " (none are defined)"
    known = sorted(right)[:_NEAREST_MAX]
    found = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6) if len(word) <= _SHOWN_CHARS else []
    if found:
        return f" (nearest right name: {found[0]})"
    return f" (right names: {', '.join(known)})" if len(known) <= 12 else ""
