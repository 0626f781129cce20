"""HTML that a person reads: self-contained, accessible, the same bytes for the same data.

A page has no script, no external resource and no clock. Text is escaped here and nowhere else:
callers pass plain strings, and nested fragments are `Fragment` values made by this module.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem 1.5rem 4rem}
h1{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
h1,h2,h3,h4,p,li,dt,dd,caption{overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.5rem 0 1rem}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{border:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top}
thead th{background:var(--soft)}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td{overflow-wrap:break-word;min-width:4rem;max-width:34rem}
dl{display:grid;grid-template-columns:minmax(10rem,18rem) minmax(0,1fr);gap:.5rem 1.25rem}
dt{font-weight:600}dd{margin:0}
dd dl{grid-template-columns:minmax(0,max-content) minmax(0,1fr);margin:0}
nav{border:1px solid var(--line);padding:.25rem 1rem;margin:1rem 0}
nav ul{margin:.25rem 0;padding:0;list-style:none}
.tag{font-size:.8rem;border:1px solid var(--line);border-radius:.25rem;padding:0 .35rem}
.tag.open{border-color:#a8201a;border-width:2px;font-weight:600}
@media(max-width:40rem){body{padding:.5rem .75rem 3rem}h1{font-size:1.6rem}
dl,dd dl{grid-template-columns:minmax(0,1fr);gap:0 0}dd{margin:0 0 .6rem}
th,td{padding:.2rem .4rem;font-size:.9rem}}
@media print{nav{display:none}.scroll{overflow:visible}body{max-width:none}}
pre{background:var(--soft);padding:.75rem;overflow-x:auto;white-space:pre-wrap}
.pass,.fail{display:inline-block;padding:.15rem .6rem;border-radius:.25rem}
.pass,.fail{font-weight:700;color:#fff}
.pass{background:#1a6b2d}.fail{background:#a8201a}
img{max-width:100%;height:auto;background:#fff}
a:focus-visible,summary:focus-visible{outline:3px solid #2563eb}
""".strip()


_LONG_WORD = re.compile(r"[^\s&]{16,}")
_BREAKS = re.compile(r"[/_.,:@=-]+(?=[^/_.,:@=-])")
_SECTION = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')
_ADDRESSES = ("address", "link")
"""Keys of records whose values are shown as links."""
_LISTED_SECTIONS = 3
"""Sections from which on a page begins with a list of them."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of HTML that is already escaped."""

    html: str


def _escape(value: Any) -> str:
    if isinstance(value, Fragment):
        return value.html
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_escape(part) for part in value)
    return _LONG_WORD.sub(_breakable, html.escape(str(value)))


def _breakable(word: re.Match[str]) -> str:
    """Lets a browser break a path, an address or an expression where a reader would."""
    return _BREAKS.sub(r"\g<0><wbr>", word.group())


def page(title: str, *parts: Fragment) -> bytes:
    """Returns a whole document in UTF-8."""
    body = "\n".join(part.html for part in parts)
    sections = _SECTION.findall(body)
    if len(sections) >= _LISTED_SECTIONS:
        links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in sections)
        body = f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n{body}'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{html.escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    ).encode()


def heading(text: str, level: int = 2) -> Fragment:
    """A section heading, level 2 to 4; those of level 2 are listed where a page has several."""
    name = f' id="{_slug(text)}"' if level == 2 else ""
    return Fragment(f"<h{level}{name}>{html.escape(text)}</h{level}>")


def _slug(text: str) -> str:
    return "s-" + re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def paragraph(text: str | Fragment) -> Fragment:
    """One paragraph."""
    return Fragment(f"<p>{_escape(text)}</p>")


def link(address: str, text: str = "") -> Fragment:
    """A link to an address of the web; anything else stays text."""
    shown = _escape(text or address)
    if not address.startswith(("https://", "http://")):
        return Fragment(shown)
    return Fragment(f'<a href="{html.escape(address)}" rel="noreferrer">{shown}</a>')


def tag(text: str, *, is_open: bool = False) -> Fragment:
    """A short remark beside a value; an open one asks for something."""
    return Fragment(f'<span class="tag{" open" if is_open else ""}">{html.escape(text)}</span>')


def joined(*parts: Fragment | str) -> Fragment:
    """Puts fragments and texts in one line."""
    return Fragment(" ".join(_escape(part) for part in parts))


def verdict_badge(passed: bool, text: str = "") -> Fragment:
    """Pass or fail, in words as well as in colour."""
    word = "PASS" if passed else "FAIL"
    return Fragment(f'<p><span class="{word.lower()}">{word}</span> {_escape(text)}</p>')


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str = "") -> Fragment:
    """A table with a caption and scoped header cells; numbers are set right-aligned."""
    rows = list(rows)
    if not rows:
        return paragraph(f"{caption}: none." if caption else "None.")
    lines = ['<div class="scroll" tabindex="0"><table>']
    if caption:
        lines.append(f"<caption>{html.escape(caption)}</caption>")
    heads = "".join(f'<th scope="col">{html.escape(header)}</th>' for header in headers)
    lines.append(f"<thead><tr>{heads}</tr></thead>\n<tbody>")
    for row in rows:
        cells = "".join(
            f'<td class="number">{_escape(cell)}</td>'
            if isinstance(cell, (int, float)) and not isinstance(cell, bool)
            else f"<td>{_escape(cell)}</td>"
            for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    lines.append("</tbody></table></div>")
    return Fragment("\n".join(lines))


def records(rows: Sequence[Mapping[str, Any]], *, caption: str = "") -> Fragment:
    """A table of mappings that share their keys; the keys become the header."""
    headers = list(rows[0]) if rows else []
    named = [header.replace("_", " ") for header in headers]
    return table(named, ([_cell(h, row.get(h)) for h in headers] for row in rows), caption=caption)


def _cell(header: str, value: Any) -> Any:
    return link(str(value)) if header in _ADDRESSES and value else value


def definitions(pairs: Mapping[str, Any]) -> Fragment:
    """A list of terms and their values."""
    items = "".join(
        f"<dt>{html.escape(str(term))}</dt><dd>{_escape(value)}</dd>"
        for term, value in pairs.items()
    )
    return Fragment(f"<dl>{items}</dl>")


def listing(items: Iterable[Any]) -> Fragment:
    """A bulleted list."""
    return Fragment("<ul>" + "".join(f"<li>{_escape(item)}</li>" for item in items) + "</ul>")


def preformatted(text: str) -> Fragment:
    """Text whose line breaks matter."""
    return Fragment(f"<pre>{html.escape(text)}</pre>")


def details(summary: str, *parts: Fragment) -> Fragment:
    """A section that opens on demand."""
    body = "\n".join(part.html for part in parts)
    return Fragment(f"<details><summary>{html.escape(summary)}</summary>\n{body}\n</details>")


def image(png: bytes, *, alternative: str) -> Fragment:
    """A PNG inside the page, with its text alternative."""
    data = base64.b64encode(png).decode()
    return Fragment(
        f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(alternative)}">'
        f"<figcaption>{html.escape(alternative)}</figcaption></figure>"
    )
