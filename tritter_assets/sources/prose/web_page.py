"""HTML pages of documentation (mdBook, rustdoc, Sphinx) as Markdown.

The main part of a page is kept: `<main>`, else the element with id or role `main`, else the body;
navigation, scripts, buttons, line numbers and hidden lines go. A tokenizer of our own reads the
tags: the standard library's parser searches the whole rest again at each unclosed comment, which a
hostile page turns into hours. Cost is linear; markup that is broken becomes text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from tritter_assets.sources.prose.fences import fenced
from tritter_assets.sources.prose.markdown import finished

_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][\w:-]{0,40})"
    r"(?P<rest>(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)>"
)
_ATTRIBUTE = re.compile(r"([\w:-]{1,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_VOID = frozenset(
    """
    area base br col embed hr img input link meta source track wbr
    """.split()  # noqa: SIM905 - a word list reads better
)
_RAW = frozenset(
    """
    iframe noscript script style template textarea title
    """.split()  # noqa: SIM905 - a word list reads better
)
_DROPPED = frozenset(
    """
    aside button dialog footer form nav object rustdoc-toolbar select svg
    """.split()  # noqa: SIM905 - a word list reads better
)
_DROPPED_CLASSES = frozenset(
    """
    anchor boring buttons collapse-toggle copybtn example-wrap-buttons headerlink hideme line-
    numbers lineno linenos menu-bar mobile-nav-chapters nav-wide-wrapper nav-wrapper notable-
    traits notable-traits-tooltip out-of-band related rightside rustdoc-breadcrumbs search-
    container sidebar sphinxsidebar src src-line-numbers srclink sub sub-heading test-arrow
    toctree-wrapper toggle-hint tooltip
    """.split()  # noqa: SIM905 - a word list reads better
)
_BLOCK = frozenset(
    """
    article blockquote body br dd details div dl dt figcaption figure header hr main ol p section
    summary table tbody thead tr ul
    """.split()  # noqa: SIM905 - a word list reads better
)
_PRE_LANGUAGE = re.compile(r"(?:language-|highlight-|lang-)([\w+-]{1,30})|\b(rust)\b")
_SPACE = re.compile(r"\s+")
_MAX_UNCLOSED = 40
_MAX_OPEN = 2000
"""Deeper elements are read as if they stood at this depth."""


@dataclass(slots=True)
class _Writer:
    lines: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    code: list[str] | None = None
    """The text of the `pre` that is open."""
    language: str = ""
    lists: list[int] = field(default_factory=list)
    """For each open list: the next number, or 0 for bullets."""
    prefix: str = ""

    def text(self, value: str) -> None:
        if self.code is not None:
            self.code.append(value)
        else:
            self.line.append(_SPACE.sub(" ", value))

    def flush(self, *, blank: bool = True) -> None:
        """Ends the line; a blank one follows unless a list goes on."""
        text = _SPACE.sub(" ", "".join(self.line)).strip().replace("``", "")
        self.line = []
        if text:
            indent = "  " * max(0, min(len(self.lists), 6) - 1)
            self.lines.append(f"{indent}{self.prefix}{text}")
            self.prefix = "  " if self.lists else ""
        if blank and self.lines and self.lines[-1] and not self.lists:
            self.lines.append("")


def clean_html(text: str, path: str = "") -> str:
    """Returns the Markdown of a page's main part, or `""` when it says nothing."""
    del path
    return _Reader(_main_part(text)).run()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._writer = _Writer()
        self._open_tags: list[tuple[str, bool]] = []
        self._hidden = 0
        """How many of the open elements hide what they hold."""

    def run(self) -> str:
        text, position, end = self._text, 0, len(self._text)
        while position < end:
            start = text.find("<", position)
            start = end if start < 0 else start
            self._say(html.unescape(text[position:start]))
            if start < end:
                position = self._markup(start)
            else:
                break
        _end_code(self._writer)
        self._writer.flush()
        return finished(self._writer.lines)

    def _say(self, value: str) -> None:
        if value and not self._hidden:
            self._writer.text(value)

    def _markup(self, start: int) -> int:
        """Takes what stands at a `<`; returns the place after it."""
        text = self._text
        if text.startswith(("<!", "<?"), start):
            mark = "-->" if text.startswith("<!--", start) else ">"
            found = text.find(mark, start + 2)
            # An unclosed comment hides the rest, as in a browser.
            return len(text) if found < 0 else found + len(mark)
        tag = _TAG.match(text, start)
        if tag is None:
            self._say("<")
            return start + 1
        name = tag["name"].lower()
        if tag["close"]:
            self._close(name)
        elif name in _RAW:
            closing = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(text, tag.end())
            return closing.end() if closing else len(text)
        else:
            self._open(name, tag["rest"])
        return tag.end()

    def _open(self, name: str, rest: str) -> None:
        attributes = _attributes(rest)
        classes = attributes.get("class", "").split()
        hides = name in _DROPPED or not _DROPPED_CLASSES.isdisjoint(classes)
        if not hides and not self._hidden:
            _open(name, attributes, self._writer)
        is_open = name not in _VOID and not rest.endswith("/")
        if is_open and len(self._open_tags) < _MAX_OPEN:
            self._open_tags.append((name, hides))
            self._hidden += hides

    def _close(self, name: str) -> None:
        """Closes the nearest open element of this name, and those inside it."""
        near = range(1, min(len(self._open_tags), _MAX_UNCLOSED) + 1)
        back = next((n for n in near if self._open_tags[-n][0] == name), 0)
        if not back:
            return
        was_hidden = self._hidden
        self._hidden -= sum(hides for _, hides in self._open_tags[-back:])
        del self._open_tags[-back:]
        if not was_hidden:
            _close(name, self._writer)


_MAIN = (
    re.compile(r"<main\b[^<>]*>(.*?)(?:</main\s*>|\Z)", re.DOTALL | re.IGNORECASE),
    re.compile(
        r"<(?:section|div|article)\b[^<>]*\b(?:id=[\"']?(?:main-content|main)\b|"
        r"role=[\"']main[\"']|itemprop=[\"']articleBody[\"'])[^<>]*>(.*)",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(r"<body\b[^<>]*>(.*)", re.DOTALL | re.IGNORECASE),
)


def _main_part(text: str) -> str:
    for pattern in _MAIN:
        match = pattern.search(text)
        if match:
            return match[1]
    return text


def _attributes(rest: str) -> dict[str, str]:
    if "=" not in rest:
        return {}
    return {m[1].lower(): m[2] or m[3] or m[4] or "" for m in _ATTRIBUTE.finditer(rest)}


_TIGHT = frozenset({"tr", "br", "thead", "tbody"})
_MARKS = {"code": "`", "strong": "**", "b": "**", "em": "*", "i": "*"}
_HEADING = re.compile(r"h([1-6])")


def _open(name: str, attributes: dict[str, str], writer: _Writer) -> None:
    heading = _HEADING.fullmatch(name)
    if writer.code is not None:
        if name == "code" and not writer.language:
            writer.language = _language(attributes)
        elif name == "br":
            writer.code.append("\n")
    elif name == "pre":
        writer.flush()
        writer.code, writer.language = [], _language(attributes)
    elif name in _MARKS:
        writer.line.append(_MARKS[name])
    elif heading:
        writer.flush()
        writer.line.append(f"{'#' * int(heading[1])} ")
    elif name in ("ul", "ol", "li"):
        _open_list(name, writer)
    elif name == "sup":
        writer.line.append("^")
    elif name in ("td", "th"):
        writer.line.append(" | " if "".join(writer.line).strip() else "")
    elif name in _BLOCK:
        writer.flush(blank=name not in _TIGHT)


def _open_list(name: str, writer: _Writer) -> None:
    if name != "li":
        writer.flush(blank=not writer.lists)
        writer.lists.append(1 if name == "ol" else 0)
        return
    writer.flush(blank=False)
    number = writer.lists[-1] if writer.lists else 0
    writer.prefix = f"{number}. " if number else "- "
    if number:
        writer.lists[-1] += 1


def _close(name: str, writer: _Writer) -> None:
    if writer.code is not None:
        if name == "pre":
            _end_code(writer)
    elif name in _MARKS:
        writer.line.append(_MARKS[name])
    elif name in ("ul", "ol", "li"):
        writer.flush(blank=False)
        writer.prefix = ""
        if name != "li" and writer.lists:
            writer.lists.pop()
            writer.flush()
    elif name in _BLOCK or _HEADING.fullmatch(name):
        writer.flush(blank=name not in _TIGHT)


def _end_code(writer: _Writer) -> None:
    if writer.code is None:
        return
    code = "".join(writer.code).split("\n")
    writer.code = None
    if any(line.strip() for line in code):
        indent = "  " * min(len(writer.lists), 6)
        made = fenced([line.rstrip() for line in code], writer.language)
        writer.lines += [indent + line if line else line for line in made]
        if not writer.lists:
            writer.lines.append("")
    writer.language = ""


def _language(attributes: dict[str, str]) -> str:
    match = _PRE_LANGUAGE.search(attributes.get("class", ""))
    word = (match[1] or match[2]).lower() if match else ""
    return "" if word in ("none", "text", "default") else word
