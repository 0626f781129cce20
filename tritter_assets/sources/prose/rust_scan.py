"""Finds the documented items of a Rust file without a parser: one pass over its tokens.

A parser would not see into `macro_rules!` bodies, where much of the standard library's number
documentation stands, and would stop at code of another edition. The scanner knows comments,
strings, characters, attributes and braces; each brace is a scope whose header says what it is.
Cost is linear in the text whatever it holds: what is not closed runs to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tritter_assets.sources.prose.rust_tokens import (
    attribute_end,
    block_lines,
    comment_end,
    doc_attribute,
    doc_kind,
    string_end,
)

_TOKEN = re.compile(
    r"//[^\n]*|/\*|\b(?:br|cr|r)(?P<hashes>#*)\"|\"|'(?:\\(?:u\{[^}\n]{0,8}\}|.)|[^\\'\n])'"
    r"|#!?\[|[{};]"
)
_SPACE = re.compile(r"\s+")
_FN = re.compile(r"\bfn\s+[\w$]")
_NAMED = re.compile(r"\b(impl|trait|mod|struct|enum|union)\b")
_VALUE = re.compile(r"\b(?:const|static)\s[^;{]*=")
_MACRO = re.compile(r"macro_rules\s*!|\bmacro\s+\w|=>\s*$")
_SIGNATURE_CHARS = 2000
"""A longer signature is cut: it is a table written as a type."""
_HEADER_CHARS = 4000


class Scope(Enum):
    """What a brace holds."""

    MODULE = "module"
    BLOCK = "block"
    """Transparent: a macro's body or an invocation that holds items."""
    IMPL = "impl"
    TRAIT_IMPL = "trait impl"
    TRAIT = "trait"
    FIELDS = "fields"
    VARIANTS = "variants"
    OPAQUE = "opaque"
    """A function's body, an expression, a test module or something hidden."""


@dataclass(frozen=True, slots=True)
class Item:
    """A documented item, or a scope's inner documentation."""

    scope: Scope
    """The scope that holds the item."""
    parent: str
    """Header of that scope, e.g. `impl<T> Vec<T>`; empty in a module."""
    modules: tuple[str, ...]
    """Modules of this file that stand around the item."""
    signature: str
    """Empty for inner documentation (`//!`)."""
    docs: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    scope: Scope
    header: str


def scan_items(text: str) -> Iterator[Item]:
    """Yields documented items in the order of the file; which of them are public is not judged."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._scopes = [_Open(Scope.MODULE, "")]
        self._docs: list[str] = []
        self._attributes: list[str] = []
        self._inner: list[str] = []
        self._header_start = 0

    def run(self) -> Iterator[Item]:
        text, position, end = self._text, 0, len(self._text)
        while position < end:
            match = _TOKEN.search(text, position)
            start = match.start() if match else end
            if not text[position:start].isspace() and start > position:
                yield from self._inner_docs()
                if self._docs or self._attributes:
                    is_hidden = _hides(self._attributes)
                    if self._docs and not is_hidden and not self._is_opaque:
                        yield self._item(position)
                    self._start_header(position)
                    if is_hidden:
                        position = _skip_item(text, position)
                        self._start_header(position)
                        continue
            if match is None:
                break
            if match[0] == "}":
                yield from self._inner_docs()
            position = self._act(match)
        yield from self._inner_docs()

    @property
    def _is_opaque(self) -> bool:
        return self._scopes[-1].scope is Scope.OPAQUE

    def _start_header(self, position: int) -> None:
        self._docs, self._attributes, self._header_start = [], [], position

    def _act(self, match: re.Match[str]) -> int:
        """Takes one token; returns the place after it."""
        text, token, position = self._text, match[0], match.end()
        if token.startswith("//"):
            self._comment(token, "//")
        elif token == "/*":
            position = comment_end(text, position)
            self._comment(text[match.start() : position], "/*")
        elif token in ("#[", "#!["):
            position = attribute_end(text, position)
            self._attribute(token, text[match.end() : position - 1].strip())
        elif token.endswith('"') and token[0] != "'":
            position = string_end(text, position, match["hashes"])
        elif token == "{":
            first = max(self._header_start, match.start() - _HEADER_CHARS)
            self._scopes.append(_scope_of(text[first : match.start()], self._scopes[-1]))
            self._header_start = position
        elif token in "};":
            if token == "}" and len(self._scopes) > 1:
                self._scopes.pop()
            self._start_header(position)
        return position

    def _comment(self, comment: str, mark: str) -> None:
        kind = doc_kind(comment, mark)
        if kind and not self._is_opaque:
            lines = [comment[3:]] if mark == "//" else block_lines(comment)
            (self._docs if kind == "outer" else self._inner).extend(lines)

    def _attribute(self, token: str, body: str) -> None:
        if self._is_opaque:
            return
        written = doc_attribute(body)
        if written is not None:
            (self._docs if token == "#[" else self._inner).extend(written)
        elif token == "#[":
            self._attributes.append(body)

    def _inner_docs(self) -> Iterator[Item]:
        if self._inner:
            top = self._scopes[-1]
            yield Item(top.scope, top.header, self._modules(), "", tuple(self._inner), ())
            self._inner = []

    def _item(self, position: int) -> Item:
        top = next(s for s in reversed(self._scopes) if s.scope is not Scope.BLOCK)
        blank = _SPACE.match(self._text, position)
        signature = _signature(self._text, blank.end() if blank else position, top.scope)
        docs, attributes = tuple(self._docs), tuple(self._attributes)
        return Item(top.scope, top.header, self._modules(), signature, docs, attributes)

    def _modules(self) -> tuple[str, ...]:
        return tuple(s.header for s in self._scopes if s.scope is Scope.MODULE and s.header)


def _hides(attributes: list[str]) -> bool:
    return any(
        a.replace(" ", "") in ("cfg(test)", "doc(hidden)", "test", "bench") for a in attributes
    )


def _skip_item(text: str, position: int) -> int:
    """The place after an item: its `;`, or the `}` that closes its first brace."""
    depth, end = 0, len(text)
    while position < end:
        match = _TOKEN.search(text, position)
        if match is None:
            return end
        token = match[0]
        position = match.end()
        if token == "/*":
            position = comment_end(text, position)
        elif token.endswith('"') and token[0] != "'" and not token.startswith("//"):
            position = string_end(text, position, match["hashes"])
        elif token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth < 0:
                return match.start()  # a hidden last field: the brace is its parent's
            if depth == 0:
                return position
        elif token == ";" and depth == 0:
            return position
    return end


_SIGNATURE_MARK = re.compile(r"//[^\n]*|/\*\*?|#\[|->|=>|<=|>=|==|[(){}\[\];,=<>]")


def _signature(text: str, position: int, scope: Scope) -> str:
    """The item's text up to its body, value or separator, on few lines."""
    depth, cursor = 0, position
    limit = min(len(text), position + _SIGNATURE_CHARS)
    in_list = scope in (Scope.FIELDS, Scope.VARIANTS)
    has_value = _VALUE_ITEM.match(text, position) is not None
    is_use = text.startswith(("pub use", "use"), position)
    pieces: list[str] = []
    while cursor < limit:
        mark = _SIGNATURE_MARK.search(text, cursor, limit)
        if mark is None:
            pieces.append(text[cursor:limit])
            break
        token = mark[0]
        pieces.append(text[cursor : mark.start()])
        cursor = mark.end()
        if token in ("#[", "/**") or token.startswith(("///", "//!")):
            break  # the next item: reading on would read a file of open items once for each
        if token.startswith("//"):
            continue
        if token == "/*":
            cursor = comment_end(text, cursor)
            continue
        if token in ("(", "[") or (token == "<" and in_list):
            depth += 1
        elif token in (")", "]") or (token == ">" and in_list):
            depth -= 1
            if depth < 0:
                break
        elif depth == 0 and (
            token in (";", "}", "=>")
            or (token == "{" and not is_use)
            or (token == "," and in_list)
            or (token == "=" and has_value)
        ):
            break
        pieces.append(token)
    return _tidy("".join(pieces))


_VALUE_ITEM = re.compile(r"(?:pub\s+)?(?:const|static)\s+(?:mut\s+)?\w+\s*:")


def _tidy(signature: str) -> str:
    flat = _SPACE.sub(" ", signature).strip()
    return flat.replace("( ", "(").replace(", )", ")").replace(" )", ")").replace(",)", ")")


def _scope_of(header: str, around: _Open) -> _Open:
    flat = _SPACE.sub(" ", header).strip()
    if around.scope is Scope.OPAQUE:
        return _Open(Scope.OPAQUE, "")
    if around.scope is Scope.VARIANTS:
        return _Open(Scope.FIELDS, around.header)
    if _MACRO.search(flat):
        return _Open(Scope.BLOCK, "")
    if _FN.search(flat) or _VALUE.search(flat) or around.scope is Scope.FIELDS:
        return _Open(Scope.OPAQUE, "")
    named = _NAMED.search(flat)
    if named is None:
        return _Open(Scope.BLOCK, "")
    flat = re.sub(
        r"^(?:.*[,)\]}] )?(?=(?:unsafe |pub |default )*(?:impl|trait|struct|enum))", "", flat
    )
    match named[1]:
        case "mod":
            name = flat[named.end() :].strip()
            return _Open(Scope.OPAQUE if name == "tests" else Scope.MODULE, name)
        case "impl":
            is_trait = " for " in re.sub(r"for ?<", "", flat)
            return _Open(Scope.TRAIT_IMPL if is_trait else Scope.IMPL, flat)
        case "trait":
            return _Open(Scope.TRAIT, flat)
        case "enum":
            return _Open(Scope.VARIANTS, flat)
        case _:
            return _Open(Scope.FIELDS, flat)
