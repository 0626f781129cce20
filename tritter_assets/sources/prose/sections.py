"""Sections that say nothing once what a generator fills in is gone."""

from __future__ import annotations

import re

from tritter_assets.sources.prose.fences import fenced, read_blocks

_HEADING = re.compile(r"(#{1,6})\s")
_DEEPEST = 7


def without_empty_sections(text: str) -> str:
    """Takes out headings with no text before the next heading of their level or a higher one.

    API pages are full of them: their sections hold directives for a generator and nothing else. A
    page of headings alone becomes the empty text.
    """
    kept: list[str] = []
    following = 0
    """Level of the heading below; a section that ends the page is followed by a higher one."""
    has_text = False
    for block in reversed(list(read_blocks(text.split("\n")))):
        if block.is_code:
            kept += reversed(fenced(block.lines, block.info, block.indent))
            has_text = True
            continue
        for line in reversed(block.lines):
            heading = _HEADING.match(line)
            level = len(heading[1]) if heading else _DEEPEST
            if heading is None:
                has_text = has_text or bool(line.strip())
            elif not has_text and following <= level:
                while kept and not kept[-1]:
                    kept.pop()
                continue
            else:
                has_text, following = False, level
            kept.append(line)
    made = "\n".join(reversed(kept)).strip("\n")
    return f"{made}\n" if made else ""
