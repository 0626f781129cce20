"""Rows of every shape that `sources/mapping.py` meets, each case small enough to read."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from tritter_assets.record import Modality

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows of one upstream file and how a contract maps them."""

    rows: list[Any]
    columns: dict[str, str]
    modality: Modality = Modality.CODE
    row_column: str | None = None
    languages: tuple[str, ...] = ("python", "rust")
    formats: tuple[str, ...] = ("parquet", "jsonl")
    schema: dict[str, Any] = field(default_factory=dict)


_CHAT = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "why?"},
    {"role": "assistant", "content": "because"},
    {"role": "User", "content": "really?"},
    {"role": "assistant", "content": None},
]
_SHARED = [{"from": "human", "value": "sort a list"}, {"from": "gpt", "value": "sorted(x)"}]

CASES: dict[str, Case] = {
    "code": Case(
        rows=[
            {"text": "x = 1\n", "repo": "o/r", "path": "a/b.py", "lic": "mit", "lang": "C++"},
            {"text": "y = 'é'\n", "repo": "https://github.com/Own/name.git", "path": "README.md",
             "lic": None, "lang": None},
            {"text": "", "repo": "o/r", "path": "empty.py", "lic": "mit", "lang": "Python"},
            {"text": None, "repo": "o/r", "path": "null.py", "lic": "mit", "lang": "Python"},
            {"text": "z", "repo": "", "path": "", "lic": "", "lang": ""},
            {"text": "w", "repo": "plain", "path": "Makefile", "lic": "isc", "lang": " Rust "},
            {"text": "u", "repo": "https://example.org/no/forge", "path": "t.txt", "lic": "isc",
             "lang": "text"},
            {"text": "t" * 400, "repo": "a/b", "path": "long.rs", "lic": "isc", "lang": None},
        ],
        columns={"content": "text", "repo": "repo", "path": "path", "language": "lang"},
        row_column="lic",
        formats=("parquet", "jsonl", "csv"),
    ),
    "facts": Case(
        rows=[
            {"text": "a", "people": ["A@x.org", "b@y.org"], "score": 1.5, "n": 7, "ok": True,
             "sha": "abc", "u": "https://x.org/a", "licenses": ["MIT", "ISC"], "f": 2.0},
            {"text": "b", "people": [], "score": None, "n": None, "ok": None, "sha": None,
             "u": None, "licenses": [], "f": None},
            {"text": "c", "people": None, "score": 0.25, "n": 0, "ok": False, "sha": "d", "u": "",
             "licenses": ["GPL-3.0"], "f": 0.1},
        ],
        columns={"content": "text", "author_emails": "people", "quality_score": "score",
                 "path": "n", "split": "ok", "revision": "sha", "url": "u", "generator": "f"},
        row_column="licenses",
        languages=("python",),
    ),
    "scores_as_text": Case(
        rows=[{"text": "a", "s": "1.5"}, {"text": "b", "s": "high"}, {"text": "c", "s": ""}],
        columns={"content": "text", "quality_score": "s"},
        formats=("parquet", "jsonl", "csv"),
    ),
    "nested": Case(
        rows=[
            {"text": "a", "meta": {"url": "u1", "tags": ["x"], "deep": {"n": "3"}},
             "j": '{"repo": "o/r", "k": [{"v": "first"}]}'},
            {"text": "b", "meta": {"url": "", "tags": [], "deep": None}, "j": "not json"},
            {"text": "c", "meta": None, "j": '{"broken'},
            {"text": "d", "meta": {"url": "u4", "tags": ["y", "z"], "deep": {"n": None}},
             "j": "[1]"},
        ],
        columns={"content": "text", "url": "meta.url", "path": "meta.deep.n", "repo": "j.repo",
                 "owner": "j.k.0.v", "split": "meta.tags.0"},
    ),
    "structs_and_dates": Case(
        rows=[
            {"text": "a", "s": {"b": 1, "a": "x"}, "d": datetime.datetime(2024, 1, 2, 3, 4)},
            {"text": "b", "s": None, "d": None},
        ],
        columns={"content": "text", "url": "s", "path": "d"},
        formats=("parquet",),
    ),
    "bytes": Case(
        rows=[{"raw": b"x = 1\n", "p": "a.py"}, {"raw": b"caf\xe9 " * 2 + b"x" * 80, "p": "b.py"},
              {"raw": b"\0\1", "p": "c.py"}, {"raw": b"", "p": "d.py"},
              {"raw": b"\xff\xfe\xfd", "p": "e.py"}, {"raw": None, "p": "f.py"}],
        columns={"content": "raw", "path": "p"},
        formats=("parquet",),
    ),
    "instruction": Case(
        rows=[{"q": "how?", "a": "so", "id": 1}, {"q": "", "a": "so", "id": 2},
              {"q": "how?", "a": None, "id": 3}, {"q": "list", "a": "[1]", "id": 4}],
        columns={"instruction": "q", "response": "a", "path": "id"},
        modality=Modality.INSTRUCTION,
        formats=("parquet", "jsonl", "csv"),
    ),
    "instruction_lists": Case(
        rows=[{"q": "how?", "a": ["one", "two"]}, {"q": "how?", "a": []}],
        columns={"instruction": "q", "response": "a"},
        modality=Modality.INSTRUCTION,
    ),
    "dialogue": Case(
        rows=[{"m": _CHAT}, {"m": _CHAT[:1]}, {"m": []}, {"m": None}, {"m": _CHAT[1:3]}],
        columns={"content": "m"},
        modality=Modality.INSTRUCTION,
    ),
    "dialogue_of_shares": Case(
        rows=[{"c": _SHARED, "id": "s1"}, {"c": _SHARED[:1], "id": "s2"}],
        columns={"content": "c", "path": "id"},
        modality=Modality.INSTRUCTION,
    ),
    "dialogue_as_text": Case(
        rows=[{"m": _SHARED, "id": "s1"}],
        columns={"content": "m", "path": "id"},
        modality=Modality.TEXT,
    ),
    "whole_texts": Case(
        rows=[{"t": "whole", "a": None}, {"t": "with answer", "a": "yes"}],
        columns={"content": "t", "response": "a"},
        modality=Modality.INSTRUCTION,
    ),
    "code_with_pairs": Case(
        rows=[{"q": "ask", "a": "tell"}, {"q": "ask", "a": ""}],
        columns={"instruction": "q", "response": "a"},
    ),
    "preference": Case(
        rows=[{"p": "best?", "c": "this", "r": "that"}, {"p": "best?", "c": "this", "r": ""},
              {"p": None, "c": "this", "r": "that"}],
        columns={"instruction": "p", "chosen": "c", "rejected": "r"},
        modality=Modality.PREFERENCE,
    ),
    "preference_dialogues": Case(
        rows=[{"c": _CHAT[1:3], "r": [*_CHAT[1:2], {"role": "assistant", "content": "no idea"}]},
              {"c": _CHAT[1:2], "r": _CHAT[1:3]}],
        columns={"chosen": "c", "rejected": "r"},
        modality=Modality.PREFERENCE,
    ),
    "image": Case(
        rows=[{"t": "page", "i": {"bytes": b"\x89PNG1", "path": "x"}},
              {"t": "", "i": {"bytes": b"\x89PNG2", "path": None}},
              {"t": None, "i": {"bytes": None, "path": "y"}},
              {"t": "no picture", "i": None}],
        columns={"content": "t", "image": "i"},
        modality=Modality.IMAGE,
        formats=("parquet",),
    ),
    "images": Case(
        rows=[{"t": "page", "i": [b"\x89PNG1", b"\x89PNG2"]}, {"t": "none", "i": []},
              {"t": None, "i": [None, b"\x89PNG3"]}],
        columns={"content": "t", "image": "i"},
        modality=Modality.IMAGE,
        formats=("parquet",),
    ),
    "loose_json": Case(
        rows=[{"text": "a", "n": 1, "l": ["MIT"]}, {"text": 5, "n": "one", "l": "ISC"},
              {"text": ["p", None, "q"], "n": [1, 2], "l": None}, {"text": {"k": "v"}, "n": 1.5},
              {"n": None}, ["not a row"], "nor this", {"text": "lone \ud800", "n": 2},
              {"text": True, "n": {"a": [1]}, "l": [None, "MIT"]}],
        columns={"content": "text", "path": "n"},
        row_column="l",
        formats=("jsonl",),
    ),
}  # fmt: skip
