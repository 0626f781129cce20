"""No page, however made, may hold a worker: each of these is 100 kB or more of spite."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.sources.prose.clean import clean_document, cleaned_path

N = 20_000
HOSTILE = {
    "ticks": "` `` ``` " * N,
    "brackets": "[" * 5 * N,
    "links": "[a](" * N,
    "images": "![" * 2 * N,
    "references": "[a][" * N,
    "comments": "<!-- " * N,
    "tags": "<a " * N,
    "quotes": '<a href="' * N,
    "open elements": "<div>" * N,
    "closed elements": "</div>" * N,
    "lists": "<ul><li>" * N,
    "pre": "<pre><code>" * N,
    "scripts": "<script>" * N,
    "main": "<main" * N,
    "entities": "&" * 5 * N,
    "fences": "```\n~~~\n" * N,
    "nested fences": "\n".join("`" * (i % 50 + 3) + "{note}" for i in range(N // 4)),
    "colon fences": ":::{note}\n" * N,
    "commands": "{{#include " * N,
    "includes": "{{#include a.md}}\n" * N,
    "listing": '<Listing number="' * N,
    "long line": "word " * 5 * N,
    "blank lines": "\n" * 5 * N,
    "front matter": "---\n" * N,
    "quote marks": "> " * 5 * N,
    "roles": ":a:`" * N,
    "literals": "``a" * N,
    "substitutions": "|a" * 2 * N,
    "targets": ".. _a: http://b\n" * (N // 4) + "a_ " * N,
    "adornments": "=====\n" * N,
    "one adornment": "=" * 5 * N,
    "titles": "a\n=\n" * N,
    "directives": ".. note::\n" * N,
    "nested directives": "".join("   " * i + ".. note::\n" for i in range(300)),
    "options": ".. note::\n" + "   :a: b\n" * N,
    "fields": ":" * 5 * N,
    "field names": ":a\\" * N,
    "line blocks": "| a\n" * N,
    "stairs": "".join(" " * (i % 200) + "a::\n\n" for i in range(N // 8)),
    "bullets": "* a\n  b\n" * N,
    "underscores": "a_b_" * N,
}
LIMIT_SECONDS = 5
"""The slowest of them takes under 1 s of CPU; anything quadratic takes minutes."""


@pytest.mark.parametrize("extension", ["md", "rst", "html"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_cost_little(name: str, extension: str) -> None:
    started = time.process_time()
    made = clean_document(HOSTILE[name], f"a.{extension}", {"a.md": "{{#include a.md}}\n" * 9}.get)
    assert time.process_time() - started < LIMIT_SECONDS
    assert made is not None
    assert len(made) < 4 * len(HOSTILE[name]) + (4 << 20)


@given(
    st.text(alphabet="`~[](){}<>!#:|*_.=-\\\n a\"'&;/1", max_size=300),
    st.sampled_from(["md", "rst", "html", "ipynb", "rs"]),
)
def test_any_text_is_read_the_same_twice(text: str, extension: str) -> None:
    made = clean_document(text, f"a.{extension}")
    assert made == clean_document(text, f"a.{extension}")
    assert made is None or "\0" not in made


def test_other_files_are_not_cleaned() -> None:
    assert clean_document("x", "a.toml") is None


def test_the_path_says_that_a_row_is_markdown() -> None:
    found = [cleaned_path(path) for path in ("a.md", "b/A.MARKDOWN", "a.mdx", "a.rst", "Makefile")]
    assert found == ["a.md", "b/A.MARKDOWN", "a.mdx.md", "a.rst.md", "Makefile.md"]
