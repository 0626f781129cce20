"""Cleaning inside lines: links, images, roles, tags and entities; code spans are not touched."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Iterator

MAX_LINE_CHARS = 100_000
"""A longer line is data, not prose; it is kept as it stands."""

_TICKS = re.compile(r"`+")
_BADGE = re.compile(
    r"shields\.io|badge|travis-ci|appveyor|codecov|circleci|actions/workflows|colab_logo|readthedocs",
    re.IGNORECASE,
)
_DATA_URI = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=]*")
_IMAGE_TAG = re.compile(r"<img\s[^<>]*>")
_LINKED_IMAGE = re.compile(r"\[!\[[^\]\[]{0,300}\]\([^()\n]{0,1000}\)\]\([^()\n]{0,1000}\)")
_IMAGE = re.compile(
    r"!\[([^\]\[]{0,500})\](?:\([^()\s]{0,2000}(?:\s+\"[^\"\n]{0,500}\")?\s*\)|\[[^\]\[\n]{0,200}\])"
)
_LOCAL_LINK = re.compile(
    r"\[([^\]\[]{1,500})\]\((?!https?:)[^()\n]{0,500}(?:\([^()\n]{0,200}\)[^()\n]{0,100})?\)"
)
_PATH_REFERENCE = re.compile(r"\[(`[^`\n]{1,200}`)\](?:\[[^\]\[\n]{0,200}\])?(?![(:])")
_REFERENCE = re.compile(r"\[([^\]\[]{1,500})\](?:\[([^\]\[\n]{0,200})\])?(?![(:])")
_TAG_NAMES = (
    "a|abbr|article|aside|b|big|blockquote|body|br|center|cite|details|dd|del|div|dl|dt|em|"
    "image|col|colgroup|caption|treescope[\\w-]*|figcaption|figure|font|footer|g|h[1-6]|header|hr|i|iframe|img|ins|kbd|li|link|main|mark|meta|nav|"
    "ol|p|path|picture|q|s|script|section|small|source|span|strong|style|sub|summary|svg|table|"
    "tbody|td|tfoot|th|thead|tr|tt|u|ul|var|video|youtube|hfoptions?|frameworkcontent|pt|tf|jax|"
    "tip|devsite-\\w+"
)
_TAG = re.compile(rf"</?(?:{_TAG_NAMES})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_CODE_TAG = re.compile(r"<code(?:\s[^<>]*)?>([^<>`\n]{1,500})</code>", re.IGNORECASE)
_CODE_MARK = re.compile(r"</?(?:code|pre)(?:\s[^<>]*)?>", re.IGNORECASE)
_RAISED = re.compile(r"<sup>([^<>\n]{1,60})</sup>", re.IGNORECASE)
_ROLE = re.compile(r"\{[\w:+.-]{1,40}\}$")
_TITLED = re.compile(r"\s*(.*?)\s*<[^<>]*>\s*", re.DOTALL)


def code_spans(text: str) -> Iterator[tuple[str, bool]]:
    """Splits a text into (part, is code span); a run of ticks without its pair is prose."""
    runs = list(_TICKS.finditer(text))
    following: dict[int, int] = {}
    pair = [-1] * len(runs)
    for at in range(len(runs) - 1, -1, -1):
        length = runs[at].end() - runs[at].start()
        pair[at] = following.get(length, -1)
        following[length] = at
    position, at = 0, 0
    while at < len(runs):
        if pair[at] < 0:
            at += 1
            continue
        yield text[position : runs[at].start()], False
        end = runs[pair[at]].end()
        yield text[runs[at].start() : end], True
        position, at = end, pair[at] + 1
    yield text[position:], False


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Applies a change to what is not in code spans."""
    if "`" not in text:
        return change(text)
    return "".join(part if is_code else change(part) for part, is_code in code_spans(text))


def clean_inline(text: str, local_labels: Collection[str] = ()) -> str:
    """Cleans a paragraph of Markdown prose.

    `local_labels` are the reference links of the page, in lower case, that lead to no web address.
    """
    if "<img" in text:
        text = _IMAGE_TAG.sub("", text)  # its words may hold ticks
    if "base64," in text:
        text = _DATA_URI.sub("", text)
    if len(text) > MAX_LINE_CHARS:
        return text
    if "[" in text and "]" in text:
        text = _LINKED_IMAGE.sub("", text)
        text = _IMAGE.sub(_image_text, text)
        text = _LOCAL_LINK.sub(r"\1", text)
        text = _PATH_REFERENCE.sub(_reference_text, text)
        if local_labels:
            text = _REFERENCE.sub(lambda m: _label_text(m, local_labels), text)
    if "}`" in text:
        text = _without_roles(text)
    if "<" in text:
        text = outside_code(text, _without_tags)
    if "&" in text:
        text = outside_code(text, html.unescape)
    return text


def label_of(text: str) -> str:
    """Returns a reference label as Markdown compares it."""
    return " ".join(text.split()).lower()


def _label_text(match: re.Match[str], local_labels: Collection[str]) -> str:
    return match[1] if label_of(match[2] or match[1]) in local_labels else match[0]


def titled(text: str) -> str:
    """Returns the title of `title <target>`, or the last part of a plain target."""
    match = _TITLED.fullmatch(text) if "<" in text else None
    if match and match[1]:
        return match[1]
    text = text.strip().strip("<>").lstrip("!")
    return text[1:].rpartition(".")[2] or text if text.startswith("~") else text


def _image_text(match: re.Match[str]) -> str:
    return "" if _BADGE.search(match[0]) else match[1]


def _reference_text(match: re.Match[str]) -> str:
    inner = match[1][1:-1]
    return f"`{inner[1:].rpartition('.')[2]}`" if inner.startswith("~") else match[1]


def _without_roles(line: str) -> str:
    """MyST's `{role}` before a code span: the span alone stays, with its title."""
    out: list[str] = []
    for part, is_code in code_spans(line):
        role = _ROLE.search(out[-1]) if is_code and out else None
        if role is None:
            out.append(part)
            continue
        out[-1] = out[-1][: role.start()]
        inner = part.strip("`")
        kind = role[0].strip("{}").rpartition(":")[2]
        if kind in ("ref", "doc", "numref", "download", "term", "eq", "cite", "abbr", "any"):
            out.append(titled(inner))
        elif kind == "math":
            out.append(f"${inner}$")
        else:
            out.append(f"`{titled(inner)}`")
    return "".join(out)


def _without_tags(text: str) -> str:
    text = _CODE_TAG.sub(r"`\1`", text)
    text = _RAISED.sub(r"^\1", text)
    return _CODE_MARK.sub("", _TAG.sub("", text))
