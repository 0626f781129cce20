"""Markdown of mdBook, MyST/Sphinx, Jupytext and the Hub's doc-builder as plain Markdown.

Front matter, comments, badges, layout tags and generated listings go; includes are resolved from
the same repository; directives become text or fenced code. Code blocks are kept verbatim, but for
the lines that mdBook hides. Blind spot: a table written in HTML loses its shape, not its words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from tritter_assets.sources.prose.directives import DROPPED, code_language, lead_of
from tritter_assets.sources.prose.fences import Block, fenced, read_blocks
from tritter_assets.sources.prose.includes import MAX_DEPTH, Includes, chosen_lines
from tritter_assets.sources.prose.inline import clean_inline, label_of
from tritter_assets.sources.prose.rustdoc import visible_rust

_INCLUDE = re.compile(
    r"^([ \t]*)\{\{\s*#(include|rustdoc_include|playground|playpen)\s+([^\s:}]{1,500})"
    r"(?::([^}\s]{0,200}))?[^}\n]{0,200}\}\}[ \t]*$"
)
_OTHER_COMMAND = re.compile(r"\{\{\s*#[a-z_]+[^}\n]{0,500}\}\}")
_LISTING = re.compile(r'<Listing\b((?:"[^"\n]{0,1000}+"|[^">\n]{1,200}+){0,40}+)>')
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_TIP = re.compile(r"<Tip(\s[^<>]*)?>")
_OPTION = re.compile(r'<hfoption\s+id="([^"]{1,100})"\s*>')
_ALERT = re.compile(r"^(\s*>\s*)\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*$", re.IGNORECASE)
_COLON_FENCE = re.compile(r"^\s*:{3,}\s*(?:\{([\w:+.-]+)\}\s*(.*))?$")
_LABEL = re.compile(r"^\s*\([\w:.-]{1,200}\)=\s*$")
_HEADING_ID = re.compile(r"^(#{1,6}\s.*?)\s*(?:\[\[[\w.-]{0,200}\]\]|\{#[\w.:-]{1,200}\})\s*$")
_AUTODOC = re.compile(r"^\s*\[\[(?:autodoc|open-in-colab)\]\].*$")
_LOCAL_DEFINITION = re.compile(r"^\s{0,3}\[([^\]\n]{1,300})\]:\s*(?!https?:|\s)\S.*$")
_OPTION_LINE = re.compile(r"^\s*:[\w-]+:")
_DIRECTIVE_INFO = re.compile(r"^\{([\w:+.-]+)\}\s*(.*)$")
_BUTTONS = re.compile(r'<table class="tfo-notebook-buttons".*?(?:</table>|\Z)', re.DOTALL)
_HIDDEN_ELEMENT = re.compile(r"<(script|style)\b[^<>]*>", re.IGNORECASE)
_LISTED = re.compile(r"\s+[-*]\s")
_PARAGRAPH_LINES = 200
_LINE_COMMENT = re.compile(r"^%(?:\s|$)")


@dataclass(frozen=True, slots=True)
class _Page:
    path: str
    includes: Includes
    labels: frozenset[str] = frozenset()
    """Reference links that lead to no web address."""


def clean_markdown(
    text: str, path: str = "", includes: Includes | None = None, *, depth: int = 0
) -> str:
    """Returns clean Markdown.

    Args:
        text: The page.
        path: Its path in the repository; includes start from its folder.
        includes: Where included files are read from.
        depth: How many pages include this one.
    """
    used = includes or Includes()
    title, lines = _without_front_matter(text.replace("\r\n", "\n").split("\n"))
    if any("{{" in line for line in lines):
        lines = list(_expanded(lines, path, used, depth))
    body = list(_cleaned(lines, _Page(path, used), depth))
    if title and not any(line.startswith("# ") for line in body[:20]):
        body = [f"# {title}", "", *body]
    return finished(body)


def finished(lines: list[str]) -> str:
    """Joins lines: one blank line at most outside of code, none at the ends."""
    out: list[str] = []
    for block in read_blocks(lines):
        if block.is_code:
            out += fenced(block.lines, block.info, block.indent)
            continue
        for line in block.lines:
            stripped = line.rstrip()
            if stripped or (out and out[-1]):
                out.append(stripped)
    text = "\n".join(out).strip("\n")
    return f"{text}\n" if text else ""


def _without_front_matter(lines: list[str]) -> tuple[str, list[str]]:
    mark = lines[0].strip() if lines else ""
    if mark not in ("---", "+++"):
        return "", lines
    for end in range(1, min(len(lines), 200)):
        if lines[end].strip() == mark:
            titles = [
                re.sub(r"^title\s*[:=]\s*", "", line).strip().strip("\"'")
                for line in lines[1:end]
                if re.match(r"title\s*[:=]", line)
            ]
            return (titles[0] if titles else ""), lines[end + 1 :]
    return "", lines


def _expanded(lines: list[str], path: str, includes: Includes, depth: int) -> Iterator[str]:
    for line in lines:
        match = _INCLUDE.match(line) if "{{" in line else None
        if match is None:
            yield _OTHER_COMMAND.sub("", line) if "{{" in line and "\\{{" not in line else line
            continue
        found = includes.lines(path, match[3])
        if found is None:
            continue
        shown = chosen_lines(found, match[4] or "")
        if match[3].endswith(".md") and depth < MAX_DEPTH and any("{{" in one for one in shown):
            yield from _expanded(shown, path, includes, depth + 1)
        else:
            yield from (match[1] + one if one else one for one in shown if not _INCLUDE.match(one))


def _cleaned(lines: list[str], page: _Page, depth: int) -> Iterator[str]:
    blocks = list(read_blocks(lines))
    labels = page.labels | {
        label_of(match[1])
        for block in blocks
        if not block.is_code
        for line in block.lines
        if "]:" in line and (match := _LOCAL_DEFINITION.match(line))
    }
    for block in blocks:
        if block.is_code:
            yield from _code(block, replace(page, labels=labels), depth)
        else:
            yield from _prose(_without_comments("\n".join(block.lines)).split("\n"), labels)


def _without_comments(text: str) -> str:
    """Takes out `<!-- -->`, scripts, styles and notebook buttons; what is not closed is kept."""
    if "<" not in text:
        return text
    text = _BUTTONS.sub("", text) if "tfo-notebook-buttons" in text else text
    parts: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        parts.append(text[position:start])
        position = end + 3
    text = "".join([*parts, text[position:]])
    parts, position = [], 0
    while match := _HIDDEN_ELEMENT.search(text, position):
        end = text.find(f"</{match[1]}>", match.end())
        if end < 0:
            break
        parts.append(text[position : match.start()])
        position = end + len(match[1]) + 3
    return "".join([*parts, text[position:]])


def _prose(lines: list[str], labels: Collection[str]) -> Iterator[str]:
    paragraph: list[str] = []
    is_autodoc = False
    for line in lines:
        if is_autodoc and _LISTED.match(line):
            continue  # the members that autodoc lists
        is_autodoc = bool(_AUTODOC.match(line))
        if is_autodoc or _is_silent(line):
            continue
        colon = _COLON_FENCE.match(line) if ":::" in line else None
        if line.strip() and colon is None and len(paragraph) < _PARAGRAPH_LINES:
            paragraph.append(_special(line))
            continue
        if paragraph:
            yield from clean_inline("\n".join(paragraph), labels).split("\n")
            paragraph = []
        if colon is None:
            yield clean_inline(_special(line), labels)
        elif colon[1] and colon[1] not in DROPPED:
            yield from ("", f"**{lead_of(colon[1], colon[2] or '')}**", "")
    if paragraph:
        yield from clean_inline("\n".join(paragraph), labels).split("\n")


def _is_silent(line: str) -> bool:
    return bool(
        _LABEL.match(line)
        or line.strip() == "+++"
        or _LINE_COMMENT.match(line)
        or _LOCAL_DEFINITION.match(line)
    )


def _special(line: str) -> str:
    if line.startswith("#"):
        heading = _HEADING_ID.match(line)
        return heading[1] if heading else line
    alert = _ALERT.match(line) if "[!" in line else None
    if alert:
        return f"{alert[1]}**{alert[2].capitalize()}:**"
    if "<" not in line:
        return line
    line = _LISTING.sub(_listing_text, line).replace("</Listing>", "")
    line = _TIP.sub(lambda m: "**Warning:**" if "warning" in (m[1] or "") else "**Tip:**", line)
    return _OPTION.sub(r"**\1**", line).replace("</Tip>", "").replace("</hfoption>", "")


def _listing_text(match: re.Match[str]) -> str:
    facts = dict(_ATTRIBUTE.findall(match[1]))
    number, file, caption = (facts.get(k, "") for k in ("number", "file-name", "caption"))
    head = f"Listing {number}" if number else ""
    text = ": ".join(part for part in (head, caption) if part)
    return f"{text} (file {file})" if file and text else f"File: {file}" if file else text


def _code(block: Block, page: _Page, depth: int) -> Iterator[str]:
    directive = _DIRECTIVE_INFO.match(block.info)
    if directive:
        yield from _directive(directive[1], directive[2].strip(), block, page, depth)
        return
    if not any(line.strip() for line in block.lines):
        return  # what it showed could not be included
    language = re.split(r"[\s,{]", block.info.lstrip("{."), maxsplit=1)[0].rstrip("}")
    lines = visible_rust(block.lines) if language == "rust" else block.lines
    yield from fenced([*lines], language, block.indent)


def _directive(name: str, argument: str, block: Block, page: _Page, depth: int) -> Iterator[str]:
    name = name.lower()
    lines = _without_options(block.lines)
    if name == "literalinclude":
        lines = page.includes.lines(page.path, argument) or []
    if name == "include" and depth < MAX_DEPTH:
        found = page.includes.lines(page.path, argument) or []
        yield from _cleaned(found, page, depth + 1)
        return
    if name == "math":
        yield from ("", "$$", *lines, "$$", "")
        return
    if name == "eval-rst":
        from tritter_assets.sources.prose.rst import clean_rst

        body = clean_rst("\n".join(lines), page.path, page.includes, depth=depth + 1)
        yield from ("", *body.split("\n"), "")
        return
    language = code_language(name, argument)
    if language is not None:
        if any(line.strip() for line in lines):
            yield from fenced(lines, language, block.indent)
        return
    if name in DROPPED or depth >= MAX_DEPTH:
        return
    yield ""
    yield f"**{lead_of(name, argument)}**"
    yield ""
    yield from _cleaned(lines, page, depth + 1)
    yield ""


def _without_options(lines: list[str]) -> list[str]:
    """Drops `:key: value` lines, or a `---` block, at the head of a directive's body."""
    at = 0
    if lines and lines[0].strip() == "---":
        end = next((i for i in range(1, len(lines)) if lines[i].strip() == "---"), 0)
        return lines[end + 1 :]
    while at < len(lines) and _OPTION_LINE.match(lines[at]):
        at += 1
    return lines[at:]
