"""Papers, prose, mathematics, notebooks as text, issues."""

from __future__ import annotations

import datetime

import pyarrow as pa

from tritter_assets_tests.sources.upstream_rows.case import Case, Row, jsonl, parquet

_TEXT = pa.string()
_HUMAN: Row = {"split": "train", "access_terms": "none", "generator": "human"}
_UNKNOWN: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "NOASSERTION",
    "license_method": "none",
}


def _claimed(licence: str, wrapper: str) -> Row:
    return {
        "license_declared": "NOASSERTION",
        "license_concluded": licence,
        "license_method": "wrapper",
        "license_wrapper": wrapper,
    }


_MATH_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("url", _TEXT), ("text", _TEXT), ("date", pa.timestamp("us")), ("metadata", _TEXT)
]  # fmt: skip
_MATH_ROWS: list[Row] = [
    {"url": "https://www.example.edu/calculus", "text": "The derivative of $x^2$ is $2x$.",
     "date": datetime.datetime(2021, 1, 1), "metadata": "{}"},
    {"url": "https://math.stackexchange.com/questions/1", "text": "Why is $0!=1$?"},
    {"url": "https://en.wikipedia.org/wiki/Group", "text": "A group is a set."},
    {"url": "https://notstackexchange.com/a", "text": "Another site."},
    {"url": None, "text": "No address."},
]  # fmt: skip
_MATH_FILE = "data/train-00000-of-00114.parquet"

_S2_ROWS: list[Row] = [
    {"id": "4cd223df", "title": "Depth", "paperAbstract": "A neural network for parsing.",
     "fieldsOfStudy": ["Computer Science"], "s2Url": "https://semanticscholar.org/paper/4cd223df",
     "authors": [{"name": "A. Author", "ids": ["1"]}], "year": 2016},
    {"id": "5ab", "paperAbstract": "A neural network for galaxies.",
     "fieldsOfStudy": ["Physics"], "s2Url": "https://semanticscholar.org/paper/5ab"},
    {"id": "6cd", "paperAbstract": "A faster heap.", "fieldsOfStudy": ["Computer Science"],
     "s2Url": "https://semanticscholar.org/paper/6cd"},
    {"id": "7ef", "paperAbstract": "", "fieldsOfStudy": ["Computer Science"],
     "s2Url": "https://semanticscholar.org/paper/7ef"},
]  # fmt: skip

CASES = {
    "kaggle_notebooks": Case(
        files={
            "kaggle/train-00000-of-00012.parquet": parquet(
                [("text", _TEXT)], [{"text": "# Titanic\n```python\nx = 1\n```"}, {"text": None}]
            ),
            "issues/train-00000-of-00040.parquet": parquet([("text", _TEXT)], [{"text": "bug"}]),
        },
        common={
            **_HUMAN, **_UNKNOWN, "access_terms": "kaggle_terms",
            "license_wrapper": "NOASSERTION", "repo": "hub/HuggingFaceTB/issues-kaggle-notebooks",
        },
        rows=[
            {"language": "python", "path": "kaggle/train-00000-of-00012.parquet#0",
             "content": "# Titanic\n```python\nx = 1\n```"}
        ],
        skipped={"empty": 1},
    ),
    "smollm_github_issues": Case(
        files={
            "kaggle/train-00000-of-00012.parquet": parquet([("text", _TEXT)], [{"text": "x"}]),
            "issues/train-00000-of-00040.parquet": parquet(
                [("text", _TEXT)], [{"text": "It fails.\n\nDoes it?"}, {"text": ""}]
            ),
        },
        common={
            **_HUMAN, **_UNKNOWN, "access_terms": "stack_v2_terms",
            "license_wrapper": "NOASSERTION", "repo": "hub/HuggingFaceTB/issues-kaggle-notebooks",
        },
        rows=[
            {"path": "issues/train-00000-of-00040.parquet#0", "content": "It fails.\n\nDoes it?"}
        ],
        skipped={"empty": 1},
    ),
    "pwc_papers_with_abstracts": Case(
        files={
            "data/train-00000-of-00002.parquet": parquet(
                [
                    ("paper_url", _TEXT), ("arxiv_id", _TEXT), ("nips_id", pa.float64()),
                    ("title", _TEXT), ("abstract", _TEXT), ("authors", pa.list_(_TEXT)),
                    ("date", pa.timestamp("ms")),
                ],
                [
                    {"paper_url": "https://paperswithcode.com/paper/one", "arxiv_id": "1706.03762",
                     "title": "One", "abstract": "We propose one.", "authors": ["A", "B"]},
                    {"paper_url": "https://paperswithcode.com/paper/two", "title": "Two"},
                ],
            )
        },
        common={**_HUMAN, **_claimed("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
                "repo": "hub/pwc-archive/papers-with-abstracts"},
        rows=[
            {"path": "One", "content": "We propose one.",
             "url": "https://paperswithcode.com/paper/one"}
        ],
        skipped={"empty": 1},
    ),
    "pwc_links": Case(
        files={
            "data/train-00000-of-00001.parquet": parquet(
                [
                    ("paper_url", _TEXT), ("paper_title", _TEXT), ("paper_arxiv_id", _TEXT),
                    ("paper_url_abs", _TEXT), ("paper_url_pdf", _TEXT), ("repo_url", _TEXT),
                    ("is_official", pa.bool_()), ("mentioned_in_paper", pa.bool_()),
                    ("mentioned_in_github", pa.bool_()), ("framework", _TEXT),
                ],
                [
                    {"paper_url": "https://paperswithcode.com/paper/one", "paper_title": "One",
                     "repo_url": "https://github.com/kim/one", "is_official": True,
                     "framework": "pytorch"},
                    {"paper_url": "https://paperswithcode.com/paper/two", "paper_title": None,
                     "repo_url": "https://github.com/kim/two"},
                ],
            )
        },
        common={**_HUMAN, **_claimed("CC-BY-SA-4.0", "CC-BY-SA-4.0")},
        rows=[
            {"repo": "kim/one", "path": "https://paperswithcode.com/paper/one",
             "content": "One", "url": "https://github.com/kim/one"}
        ],
        skipped={"empty": 1},
    ),
    "s2orc": Case(
        files={"corpus/s2-000.jsonl": jsonl(_S2_ROWS), "s2orc.py": b"raise SystemExit(1)"},
        common={**_HUMAN, **_UNKNOWN, "access_terms": "semantic_scholar_api",
                "license_wrapper": "ODC-By-1.0", "repo": "hub/allenai/s2orc"},
        rows=[
            {"path": "4cd223df", "content": "A neural network for parsing.",
             "url": "https://semanticscholar.org/paper/4cd223df"}
        ],
        skipped={"not_selected": 3},
    ),
    "ml_arxiv_papers": Case(
        files={
            "ML-Arxiv-Papers.csv": (
                b"Unnamed: 0.1,Unnamed: 0,title,abstract\n"
                b'0,0.0,Learning from data,"  We learn, with commas,\nover two lines."\n'
                b"1,1.0,Nothing,\n"
            )
        },
        common={**_HUMAN, **_claimed("AFL-3.0", "AFL-3.0"), "repo": "hub/CShorten/ML-ArXiv-Papers"},
        rows=[
            {"path": "Learning from data", "content": "  We learn, with commas,\nover two lines."}
        ],
        skipped={"empty": 1},
    ),
    "open_web_math": Case(
        files={_MATH_FILE: parquet(_MATH_COLUMNS, _MATH_ROWS)},
        common={**_HUMAN, **_claimed("ODC-By-1.0", "ODC-By-1.0"), "access_terms": "common_crawl",
                "repo": "hub/open-web-math/open-web-math"},
        rows=[
            {"path": f"{_MATH_FILE}#0", "content": "The derivative of $x^2$ is $2x$.",
             "url": "https://www.example.edu/calculus"},
            {"path": f"{_MATH_FILE}#3", "content": "Another site.",
             "url": "https://notstackexchange.com/a"},
            {"path": f"{_MATH_FILE}#4", "content": "No address."},
        ],
        skipped={"not_selected": 2},
    ),
    "open_web_math_share_alike": Case(
        files={_MATH_FILE: parquet(_MATH_COLUMNS, _MATH_ROWS)},
        common={**_HUMAN, **_claimed("CC-BY-SA-4.0", "ODC-By-1.0"), "access_terms": "common_crawl",
                "repo": "hub/open-web-math/open-web-math"},
        rows=[
            {"path": f"{_MATH_FILE}#1", "content": "Why is $0!=1$?",
             "url": "https://math.stackexchange.com/questions/1"},
            {"path": f"{_MATH_FILE}#2", "content": "A group is a set.",
             "url": "https://en.wikipedia.org/wiki/Group"},
        ],
        skipped={"not_selected": 3},
    ),
    "wikipedia": Case(
        files={
            "20231101.en/train-00000-of-00041.parquet": parquet(
                [("id", _TEXT), ("url", _TEXT), ("title", _TEXT), ("text", _TEXT)],
                [
                    {"id": "12", "url": "https://en.wikipedia.org/wiki/Rust", "title": "Rust",
                     "text": "Rust is an oxide."},
                    {"id": "13", "url": "https://en.wikipedia.org/wiki/X", "title": "X",
                     "text": ""},
                ],
            ),
            "20231101.de/train-00000-of-00020.parquet": parquet(
                [("text", _TEXT)], [{"text": "Rost"}]
            ),
        },
        common={**_HUMAN, **_claimed("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
                "repo": "hub/wikimedia/wikipedia"},
        rows=[
            {"path": "Rust", "content": "Rust is an oxide.",
             "url": "https://en.wikipedia.org/wiki/Rust"}
        ],
        skipped={"empty": 1},
    ),
}  # fmt: skip
