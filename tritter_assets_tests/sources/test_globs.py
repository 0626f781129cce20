from __future__ import annotations

import pytest

from tritter_assets.sources.globs import selects


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("**", "a/b/c.py", True),
        ("**/*.py", "c.py", True),
        ("**/*.py", "a/b/c.py", True),
        ("**/*.py", "a/b/c.pyi", False),
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("src/*.rs", "src/lib.rs", True),
        ("src/*.rs", "src/a/lib.rs", False),
        ("src/**/x.rs", "src/x.rs", True),
        ("src/**", "src/a/b", True),
        ("src/**", "srcs/a", False),
        ("doc/neps/nep-00[4-9]*.rst", "doc/neps/nep-0051-x.rst", True),
        ("doc/neps/nep-00[!4-9]*.rst", "doc/neps/nep-0051-x.rst", False),
        ("data/C++/*", "data/C++/a.parquet", True),
        ("*.{md,rst}", "a.rst", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
    ],
)
def test_glob_table(pattern: str, path: str, wanted: bool) -> None:
    assert selects(path, (pattern,)) is wanted


def test_exclude_wins_and_no_include_selects_nothing() -> None:
    assert not selects("a/test_x.py", ("**/*.py",), ("**/test_*.py",))
    assert not selects("a.py", ())
