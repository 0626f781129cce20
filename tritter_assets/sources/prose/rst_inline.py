"""Roles, links, literals and substitutions of reStructuredText as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tritter_assets.sources.prose.inline import MAX_LINE_CHARS, titled

_LITERAL = re.compile(r"``([^`\n](?:[^\n`]|`(?!`)){0,5000})``")
_ROLE = re.compile(
    r":([\w+.-]{1,40}(?::[\w+.-]{1,40})?):`([^`]{1,3000})`|`([^`]{1,3000})`:([\w:-]{1,40}):"
)
_LINK = re.compile(r"`([^`<]{1,2000}?)\s*<([^<>`]{1,2000})>`__?")
_REFERENCE = re.compile(r"`([^`]{1,500})`__?(?!\w)")
_WORD_REFERENCE = re.compile(r"(?<![\w`])([A-Za-z][\w.-]{0,80}?[A-Za-z0-9])__?(?![\w`])")
_FOOTNOTE = re.compile(r"\s?\[(#?[\w-]{0,40}|\*)\]_(?!\w)")
_SUBSTITUTION = re.compile(r"\|([^|\s][^|\n]{0,80})\|_{0,2}")
_INLINE_TARGET = re.compile(r"(?<!\w)_`([^`\n]{1,300})`")
_DEFAULT_ROLE = re.compile(r"(?<![`\w:])`([^`\n]{1,300})`(?![`\w])")

_TEXT_ROLES = frozenset(
    {"ref", "doc", "numref", "term", "download", "abbr", "any", "title", "sub", "emphasis", "eq",
     "keyword", "strong", "guilabel", "menuselection", "rfc", "pep", "cite", "footcite", "cite:p",
     "cite:t", "octicon", "bdg", "user", "issue", "pr", "arxiv", "doi"}
)  # fmt: skip
_SILENT_ROLES = frozenset({"octicon", "raw-html", "fas", "html", "bdg"})


def clean_rst_inline(
    text: str, substitutions: Mapping[str, str], targets: Mapping[str, str]
) -> str:
    """Cleans one line or paragraph; literals are protected from every other rule."""
    if len(text) > MAX_LINE_CHARS:
        return text
    if "``" not in text:
        return _clean(text, substitutions, targets)
    out: list[str] = []
    position = 0
    for match in _LITERAL.finditer(text):
        out.append(_clean(text[position : match.start()], substitutions, targets))
        inner = match[1]
        out.append(f"`` {inner} ``" if "`" in inner else f"`{inner}`")
        position = match.end()
    out.append(_clean(text[position:], substitutions, targets))
    return "".join(out)


def _clean(text: str, substitutions: Mapping[str, str], targets: Mapping[str, str]) -> str:
    if "|" in text and substitutions:
        text = _SUBSTITUTION.sub(lambda m: substitutions.get(m[1].strip(), m[0]), text)
    if "`" in text:
        # Held back under a sign that no text holds, so that no later rule reads them again.
        held: list[str] = []

        def hold(value: str) -> str:
            held.append(value)
            return f"\0{len(held) - 1}\0"

        text = _ROLE.sub(lambda m: hold(_role(m)), text)
        text = _LINK.sub(lambda m: hold(_link(m[1], m[2])), text)
        text = _INLINE_TARGET.sub(r"\1", text)
        text = _REFERENCE.sub(
            lambda m: hold(_link(m[1], targets.get(" ".join(m[1].lower().split()), ""))), text
        )
        text = _DEFAULT_ROLE.sub(lambda m: hold(f"`{titled(m[1])}`"), text)
        text = _words(text, targets)
        text = re.sub(r"\0(\d+)\0", lambda m: held[int(m[1])], text)
        return text.replace("\\ ", "")
    return _words(text, targets).replace("\\ ", "")


def _words(text: str, targets: Mapping[str, str]) -> str:
    if "_" not in text:
        return text
    text = _FOOTNOTE.sub(lambda m: f" [{m[1].lstrip('#')}]" if m[1].strip("#*") else "", text)
    return _WORD_REFERENCE.sub(
        lambda m: _link(m[1], targets[m[1].lower()]) if m[1].lower() in targets else m[0], text
    )


def _role(match: re.Match[str]) -> str:
    kind = (match[1] or match[4]).lower()
    inner = " ".join((match[2] or match[3]).split())
    last = kind.rpartition(":")[2]
    if last in _SILENT_ROLES or last.startswith("bdg"):
        return ""
    if last == "math":
        return f"${inner}$"
    if last in ("ref", "doc", "numref", "any") and "<" not in inner:
        return inner.rpartition("/")[2].removesuffix(".rst")
    if last in ("sup", "superscript"):
        return f"^{inner}"
    if last in _TEXT_ROLES or kind in _TEXT_ROLES:
        return titled(inner)
    return f"`{titled(inner)}`"


def _link(title: str, target: str) -> str:
    title = " ".join(title.split())
    return f"[{title}]({target})" if target.startswith(("http://", "https://")) else title
