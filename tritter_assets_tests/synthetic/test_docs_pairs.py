from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tritter_assets.synthetic import docs_pairs
from tritter_assets.synthetic.sections import Section, sections_of
from tritter_assets_tests.functions.filtered_lake import document

PROSE = (
    "The reader opens one file at a time and keeps its place. It never holds more than a block "
    "of rows, so that memory does not grow with the file. When a block is broken, the reader "
    "skips it and says which one it was."
)
OTHER = (
    "The writer collects rows until a block is full and then writes it in one go. A block that "
    "was begun and not finished is dropped. Two writers may work on one table, since each block "
    "has a name of its own."
)
MARKDOWN = f"""# Tables

Some words.

## How blocks are read

{PROSE}

```python
# not a heading
```

## The `writer` of blocks

{OTHER}
"""
RST = f"""
======
Tables
======

How blocks are read
-------------------

{PROSE}

:class:`Writer <tables.Writer>` of blocks
-----------------------------------------

{OTHER}
"""


def pairs(text: str, path: str = "docs/tables.md") -> tuple[list[dict[str, Any]], Counter[str]]:
    language = "markdown" if path.endswith(".md") else "restructuredtext"
    outcomes: Counter[str] = Counter()
    row = document(path, text, language, modality="text")
    return list(docs_pairs.make_rows(language, row, outcomes)), outcomes


def test_sections() -> None:
    titles = ["Tables", "How blocks are read", "The `writer` of blocks"]
    assert [section.title for section in sections_of("markdown", MARKDOWN)] == titles
    rst = sections_of("restructuredtext", RST)
    assert [section.title for section in rst] == [*titles[:2], "Writer of blocks"]
    assert rst[1].body == PROSE
    assert sections_of("markdown", "no heading") == []


def test_a_pair_answers_the_heading() -> None:
    found, _ = pairs(RST, "docs/tables.rst")
    by_title = {json.loads(row["license_evidence"])[1]["where"]: row for row in found}
    assert set(by_title) == {"How blocks are read", "Writer of blocks"}
    row = by_title["How blocks are read"]
    assert row["instruction"].startswith("How blocks are read? (The question is about one")
    assert "\u201cTables\u201d" in row["instruction"]
    assert row["chosen"] == PROSE
    assert row["rejected"] != PROSE


def test_code_keeps_a_passage_out() -> None:
    found, _ = pairs(MARKDOWN)
    assert [row["chosen"] for row in found] == [OTHER]


@pytest.mark.parametrize("number", range(12))
def test_faults(number: int) -> None:
    section, other = Section("How blocks are read", PROSE), Section("Writer of blocks", OTHER)
    fault, rejected = docs_pairs.spoil(section, [section, other], str(number))
    if fault == "off_topic":
        assert rejected == OTHER
    elif fault == "cut_off":
        assert PROSE.startswith(rejected)
        assert rejected[-1] not in ".!?"
        assert len(rejected) < 0.7 * len(PROSE)
    else:
        assert fault == "repeated"
        assert rejected.count("keeps its place.") == docs_pairs.REPEATS
    alone, _ = docs_pairs.spoil(section, [section], str(number))
    assert alone in {"cut_off", "repeated"}


def test_every_fault_is_made() -> None:
    section, other = Section("How blocks are read", PROSE), Section("Writer of blocks", OTHER)
    made = {docs_pairs.spoil(section, [section, other], str(n))[0] for n in range(40)}
    assert made == set(docs_pairs.FAULTS)


@pytest.mark.parametrize(
    ("title", "body", "wanted"),
    [
        ("How blocks are read", PROSE, True),
        ("Installation", PROSE, False),
        ("Version 1.2", PROSE, True),
        ("1.2.0 release", PROSE, False),
        ("How blocks are read", PROSE[:120], False),
        ("How blocks are read", "As the earlier chapter says. " + PROSE, False),
        ("How blocks are read", "- A list. " + PROSE, False),
        ("How blocks are read", PROSE + "\n\n.. note::\n\n   More.", False),
        ("How blocks are read", PROSE + " It takes three steps:", False),
    ],
)
def test_what_is_a_passage(title: str, body: str, wanted: bool) -> None:
    assert docs_pairs.is_passage(Section(title, body)) is wanted


def test_change_logs_are_no_manuals() -> None:
    assert pairs(RST, "docs/whatsnew/tables.rst")[1] == {"no_manual": 1}
