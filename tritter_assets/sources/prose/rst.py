"""reStructuredText, as Sphinx uses it, to Markdown.

Read line by line and by indentation: sections become headings, code directives and literal blocks
fenced code, admonitions text with a lead; listings that Sphinx generates from code go. No parser
is used, since documentation is full of directives that only its own project defines: what is not
known keeps its body as text. Cost is linear; nesting beyond `MAX_NESTING` is dropped. Blind spots:
grid tables stay as drawn; a section's level is that of its page, not of the book.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tritter_assets.sources.prose.directives import DROPPED, OBJECTS, SILENT, code_language, lead_of
from tritter_assets.sources.prose.fences import fenced
from tritter_assets.sources.prose.includes import MAX_DEPTH, Includes
from tritter_assets.sources.prose.rst_directives import (
    FIELD,
    INLINE_TEXT,
    Directive,
    chosen_part,
    list_table,
    split_parts,
)
from tritter_assets.sources.prose.rst_inline import clean_rst_inline

MAX_NESTING = 12
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_DIRECTIVE = re.compile(r"\.\.\s+(?:\|([^|\n]{1,100})\|\s+)?([\w:.+-]{1,80})\s?::(?:\s+(.*))?$")
_TARGET = re.compile(r"\.\.\s+_(`[^`\n]{1,300}`|(?:\\:|[^:\n]){1,300}):\s*(.*)$")
_NOTE = re.compile(r"\.\.\s+\[(#?[\w-]{0,60}|\*)\]\s*(.*)$")
_BULLET = re.compile(r"(?:[-*+\u2022]|(?:\d{1,4}|#|[a-zA-Z])[.)])\s+\S")
_INFO_FIELDS = frozenset({"orphan", "tocdepth", "nocomments", "nosearch", "html_theme", "no-toc",
                          "allow_dot_dirs", "og:description", "author", "date"})  # fmt: skip
_MAX_MARGIN = 8
"""Deeper blocks are taken back to the margin: Markdown would read them as code."""


@dataclass(slots=True)
class _Page:
    path: str
    includes: Includes
    substitutions: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    levels: list[str] = field(default_factory=list)
    """Adornments in the order in which they came: the section levels."""
    depth: int = 0
    """Pages that include this one."""

    def inline(self, text: str) -> str:
        return clean_rst_inline(text, self.substitutions, self.targets)


def clean_rst(
    text: str, path: str = "", includes: Includes | None = None, *, depth: int = 0
) -> str:
    """Returns the Markdown of a reStructuredText page; includes start from its folder."""
    from tritter_assets.sources.prose.markdown import finished

    page = _Page(path=path, includes=includes or Includes(), depth=depth)
    lines = [line.rstrip() for line in text.expandtabs(8).splitlines()]
    _collect(lines, page)
    return finished(list(_body(lines, page, 0)))


def _collect(lines: list[str], page: _Page) -> None:
    """Takes the targets and replacements first: they stand anywhere on the page."""
    for line in lines:
        stripped = line.lstrip()
        if not stripped.startswith(".. "):
            continue
        target = _TARGET.match(stripped)
        if target and target[2].startswith(("http://", "https://")):
            page.targets[target[1].strip("`").replace("\\:", ":").lower()] = target[2].strip()
        directive = _DIRECTIVE.match(stripped)
        if directive and directive[1]:
            kind, value = directive[2], (directive[3] or "").strip()
            page.substitutions[directive[1]] = value if kind in ("replace", "unicode") else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _block_end(lines: list[str], start: int, indent: int) -> int:
    """The line after the lines from `start` on that are blank or deeper than `indent`."""
    at = start
    last = start
    while at < len(lines):
        if lines[at]:
            if _indent(lines[at]) <= indent:
                break
            last = at + 1
        at += 1
    return last


def _dedented(lines: list[str]) -> list[str]:
    margin = min((_indent(line) for line in lines if line), default=0)
    return [line[margin:] for line in lines]


def _body(lines: list[str], page: _Page, nesting: int) -> Iterator[str]:
    if nesting > MAX_NESTING:
        return
    at = 0
    while at < len(lines):
        found = None
        if lines[at]:
            found = next(
                (one for read in _READERS if (one := read(lines, at, page, nesting))), None
            )
        if found is not None:
            yield from found[0]
            at = found[1]
            continue
        end = _paragraph_end(lines, at, _indent(lines[at]))  # roles and links may cross lines
        yield from page.inline("\n".join(lines[at:end])).split("\n")
        at = end


_Found = tuple[list[str], int] | None
"""Lines made and the place after the block; None when the block is of another kind."""


def _explicit_block(lines: list[str], at: int, page: _Page, nesting: int) -> _Found:
    stripped = lines[at].lstrip()
    if stripped != ".." and not stripped.startswith(".. "):
        return None
    indent = _indent(lines[at])
    end = _block_end(lines, at + 1, indent)
    made = _explicit(stripped, lines[at + 1 : end], page, nesting)
    margin = " " * indent if indent < _MAX_MARGIN else ""
    return [margin + line if line else line for line in made], end


def _heading_block(lines: list[str], at: int, page: _Page, nesting: int) -> _Found:
    del nesting
    found = _heading(lines, at, page)
    return (["", found[0], ""], found[1]) if found else None


def _doctest_block(lines: list[str], at: int, page: _Page, nesting: int) -> _Found:
    del page, nesting
    if not lines[at].lstrip().startswith(">>>"):
        return None
    indent = _indent(lines[at])
    end = next((i for i in range(at, len(lines)) if not lines[i]), len(lines))
    margin = " " * indent
    made = fenced([line.removeprefix(margin) for line in lines[at:end]], "python")
    return [margin + line if line else line for line in made], end


def _line_block(lines: list[str], at: int, page: _Page, nesting: int) -> _Found:
    del nesting
    stripped = lines[at].lstrip()
    if stripped.startswith("__ "):  # the target of an anonymous link
        return [], at + 1
    if not stripped.startswith("| ") or stripped.endswith("|"):
        return None
    return [" " * _indent(lines[at]) + page.inline(stripped[2:])], at + 1


def _literal_block(lines: list[str], at: int, page: _Page, nesting: int) -> _Found:
    del nesting
    stripped = lines[at].strip()
    if not stripped.endswith("::"):
        return None
    indent = _indent(lines[at])
    found = _literal(lines, at, indent)
    if found is None:
        return None
    text = stripped[:-2].rstrip()
    lead = [" " * indent + page.inline(text if text.endswith(":") else f"{text}:")] if text else []
    return [*lead, "", *found[0], ""], found[1]


def _field_block(lines: list[str], at: int, page: _Page, nesting: int) -> _Found:
    del nesting
    match = FIELD.match(lines[at].lstrip())
    if match is None:
        return None
    indent = _indent(lines[at])
    if not indent and match[1].split()[0] in _INFO_FIELDS:
        return [], at + 1
    value = page.inline(match[2] or "")
    return [f"{' ' * indent}- **{match[1]}**" + (f": {value}" if value else "")], at + 1


_READERS = (
    _explicit_block, _heading_block, _doctest_block, _line_block, _literal_block, _field_block,
)  # fmt: skip


def _paragraph_end(lines: list[str], at: int, indent: int) -> int:
    """The end of plain lines of one indentation, of at most 60 lines, before anything special."""
    end = at + 1
    if _BULLET.match(lines[at].lstrip()) and end < len(lines):
        indent = max(indent, _indent(lines[end]))  # a list item's text hangs below its marker
    while end < min(len(lines), at + 60):
        if _indent(lines[end]) != indent or _stands_apart(lines, end):
            break
        end += 1
    return end


def _stands_apart(lines: list[str], at: int) -> bool:
    stripped = lines[at].lstrip()
    following = lines[at + 1] if at + 1 < len(lines) else ""
    return bool(
        not stripped
        or stripped.startswith((".. ", ">>>", ":", "| ", "__ "))
        or stripped.endswith("::")
        or _ADORNMENT.fullmatch(stripped)
        or (following and _ADORNMENT.fullmatch(following))
        or _BULLET.match(stripped)
    )


def _heading(lines: list[str], at: int, page: _Page) -> tuple[str, int] | None:
    line = lines[at]
    if line[0] == " ":
        return None
    following = lines[at + 1] if at + 1 < len(lines) else ""
    after = lines[at + 2] if at + 2 < len(lines) else ""
    if _ADORNMENT.fullmatch(line):
        if following.strip() and after and after[0] == line[0] and _ADORNMENT.fullmatch(after):
            return _level(line[0] * 2, following.strip(), page), at + 3
        is_transition = not following and (at == 0 or not lines[at - 1]) and len(line) >= 4
        return ("---", at + 1) if is_transition else None
    if following and _ADORNMENT.fullmatch(following) and len(following) >= min(len(line), 4):
        if at and lines[at - 1] and lines[at - 1][0] not in " .":
            return None  # the last line of a paragraph above a table's border
        return _level(following[0], line.strip(), page), at + 2
    return None


def _level(mark: str, title: str, page: _Page) -> str:
    if mark not in page.levels:
        page.levels.append(mark)
    return f"{'#' * min(6, page.levels.index(mark) + 1)} {page.inline(title)}"


def _literal(lines: list[str], at: int, indent: int) -> tuple[list[str], int] | None:
    """The indented or quoted block after a paragraph that ends in `::`."""
    start = at + 1
    while start < len(lines) and not lines[start]:
        start += 1
    if start >= len(lines) or start == at + 1:
        return None
    if _indent(lines[start]) <= indent:
        return None
    end = _block_end(lines, start, indent)
    code = _dedented(lines[start:end])
    language = "python" if code and code[0].startswith(">>>") else ""
    return [" " * indent + one if one else one for one in fenced(code, language)], end


def _explicit(head: str, body: list[str], page: _Page, nesting: int) -> Iterator[str]:
    """A block that starts with `..`: directive, target, footnote or comment."""
    note = _NOTE.match(head)
    if note:
        text = " ".join([note[2], *(line.strip() for line in body)]).strip()
        yield f"[{note[1].lstrip('#')}] {page.inline(text)}"
        return
    match = _DIRECTIVE.match(head)
    if match is None or match[1] or _TARGET.match(head):
        return
    name, argument = match[2].lower(), (match[3] or "").strip()
    body = _dedented(body)
    found = Directive(name, *split_parts(argument, body, name))
    yield from ("", *_directive(found, page, nesting), "")


def _directive(found: Directive, page: _Page, nesting: int) -> Iterator[str]:
    name, argument, body = found.name, found.argument, found.body
    language = code_language(name, argument)
    if name in ("literalinclude", "include"):
        yield from _included(found, page, nesting)
    elif name == "math":
        yield from ("$$", *(line for line in (argument, *body) if line), "$$")
    elif language is not None:
        if any(body):
            yield from fenced(body, language)
    elif name not in DROPPED and not name.startswith("auto"):
        yield from _lead(found, page)
        yield ""
        if name == "list-table":
            yield from list_table(body, page.inline)
        elif name == "csv-table":
            yield from (page.inline(line) for line in body)
        else:
            yield from _body(_dedented(body), page, nesting + 1)


def _lead(found: Directive, page: _Page) -> Iterator[str]:
    """What stands before a directive's body."""
    name, argument = found.name, found.argument
    if name in OBJECTS:
        yield from fenced([line.strip() for line in argument.split("\n")], "python")
    elif name == "rubric" or (name.endswith("table") and argument):
        yield f"**{page.inline(argument)}**"
    elif name in INLINE_TEXT and argument:
        # The text of an admonition may start on the line of its directive.
        yield f"**{lead_of(name, '')}** {page.inline(argument)}"
    elif name.startswith(("version", "deprecated")):
        version, _, text = argument.partition(" ")
        yield f"**{lead_of(name, version)}** {page.inline(text)}".rstrip()
    elif name != "figure" and (name not in SILENT or (argument and name.endswith("card"))):
        yield f"**{page.inline(lead_of(name, argument))}**"


def _included(found: Directive, page: _Page, nesting: int) -> Iterator[str]:
    argument, options = found.argument, found.options
    lines = page.includes.lines(page.path, argument)
    if lines is None:
        return
    lines = chosen_part(lines, options)
    if found.name == "literalinclude":
        suffix = argument.rpartition(".")[2].lower()
        language = options.get("language") or {"py": "python", "rs": "rust", "sh": "bash"}.get(
            suffix, suffix if suffix in ("c", "cpp", "json", "yaml", "toml") else ""
        )
        yield from fenced(lines, language)
    elif page.depth < MAX_DEPTH:
        inner = replace(page, depth=page.depth + 1)
        yield from _body([line.expandtabs(8).rstrip() for line in lines], inner, nesting + 1)
