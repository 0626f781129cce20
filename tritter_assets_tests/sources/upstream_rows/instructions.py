"""Notebook pairs, instructions, commits and questions with answers."""

from __future__ import annotations

import json

import pyarrow as pa

from tritter_assets_tests.sources.upstream_rows.case import Case, Row, card, jsonl, parquet

_TEXT = pa.string()


def _columns(*names: str, **others: pa.DataType) -> list[tuple[str, pa.DataType]]:
    return [*((name, _TEXT) for name in names), *others.items()]


_NO_LICENCE: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "NOASSERTION",
    "license_method": "none",
}
_HUMAN: Row = {"split": "train", "access_terms": "none", "generator": "human"}
_MARKDOWN_ROWS: list[Row] = [
    {"markdown": "Plot the loss.", "code": "plt.plot(loss)", "output": "<Figure>",
     "license": "mit", "path": "nb/train.ipynb", "repo_name": "dan/study"},
    {"markdown": "Load it.", "code": "open('x')", "license": "gpl-3.0", "path": "nb/load.ipynb",
     "repo_name": "dan/study"},
    {"markdown": "", "code": "x = 1", "license": "mit", "path": "nb/empty.ipynb",
     "repo_name": "dan/study"},
    {"markdown": "Who knows?", "code": "y = 2", "path": "nb/unlicensed.ipynb",
     "repo_name": "eve/notes"},
]  # fmt: skip
_MARKDOWN_DOCUMENTS: list[Row] = [
    {"repo": "dan/study", "path": "nb/load.ipynb", "instruction": "Load it.",
     "response": "open('x')", "content": "Load it.\n\nopen('x')",
     "license_declared": "GPL-3.0-only", "license_concluded": "GPL-3.0-only",
     "license_method": "declared_column"},
    {"repo": "dan/study", "path": "nb/train.ipynb", "instruction": "Plot the loss.",
     "response": "plt.plot(loss)", "content": "Plot the loss.\n\nplt.plot(loss)",
     "license_declared": "MIT", "license_concluded": "MIT", "license_method": "declared_column"},
    {"repo": "eve/notes", "path": "nb/unlicensed.ipynb", "instruction": "Who knows?",
     "response": "y = 2", "content": "Who knows?\n\ny = 2", **_NO_LICENCE},
]  # fmt: skip
_MARKDOWN_COLUMNS = _columns("markdown", "code", "output", "license", "path", "repo_name")

_OSS_COLUMNS = _columns(
    "fingerprint", "sha1", "seed", "response", "prompt", "instruction",
    concepts=pa.list_(_TEXT), id=pa.int64(),
)  # fmt: skip
_OSS_ROWS: list[Row] = [
    {"sha1": "f" * 40, "seed": "def f(): ...", "concepts": ["recursion"], "prompt": "long",
     "instruction": "Write factorial.", "response": "```python\ndef f(n): ...\n```", "id": 1},
    {"sha1": "e" * 40, "instruction": "No answer.", "response": None, "id": 2},
]  # fmt: skip
_OSS_FILE = "data/train-00000-of-00001.parquet"
_OSS_DOCUMENT: Row = {
    "path": f"{_OSS_FILE}#0",
    "instruction": "Write factorial.",
    "response": "```python\ndef f(n): ...\n```",
    "content": "Write factorial.\n\n```python\ndef f(n): ...\n```",
}


def _commits(folder: str, suffix: str, language: str, before: str, after: str) -> Case:
    name = f"data/{folder}/{folder}-0001.jsonl"
    base: Row = {"old_file": f"src/a.{suffix}", "new_file": f"src/a.{suffix}",
                 "old_contents": before, "new_contents": after, "lang": language,
                 "subject": "Count from one"}  # fmt: skip
    rows: list[Row] = [
        base | {"commit": "c" * 40, "message": "Count from one\n\nAs people do.",
                "license": "apache-2.0", "repos": "fay/app,gus/fork"},
        base | {"commit": "d" * 40, "message": "Count on", "license": "lgpl-2.1",
                "repos": "fay/app", "new_file": f"src/b.{suffix}"},
        base | {"commit": "e" * 40, "message": "Drop it", "new_contents": "", "license": "mit",
                "repos": "fay/app"},
    ]  # fmt: skip
    return Case(
        files={name: jsonl(rows), "data/zig/zig-0001.jsonl": jsonl(rows[:1])},
        common={
            **_HUMAN,
            "language": folder,
            "repo": "fay/app",
            "response": after,
            "rejected": before,
            "license_method": "declared_column",
            "license_wrapper": "MIT",
        },
        rows=[
            {"path": f"src/a.{suffix}", "revision": "c" * 40,
             "instruction": "Count from one\n\nAs people do.",
             "content": f"Count from one\n\nAs people do.\n\n{after}",
             "license_declared": "Apache-2.0", "license_concluded": "Apache-2.0"},
            {"path": f"src/b.{suffix}", "revision": "d" * 40, "instruction": "Count on",
             "content": f"Count on\n\n{after}", "license_declared": "LGPL-2.1-only",
             "license_concluded": "LGPL-2.1-only"},
        ],
        skipped={"empty": 1},
    )  # fmt: skip


_SHARE_ALIKE: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "CC-BY-SA-4.0",
    "license_method": "wrapper",
    "license_wrapper": "MIT",
    "language": "python",
    "repo": "hub/neulab/conala",
}

CASES = {
    "github_jupyter_text_code_pairs": Case(
        files={"data/train-00000-of-00001.parquet": parquet(_MARKDOWN_COLUMNS, _MARKDOWN_ROWS)},
        common={**_HUMAN, "language": "python", "license_wrapper": "NOASSERTION"},
        rows=_MARKDOWN_DOCUMENTS,
        skipped={"empty": 1},
    ),
    "jupyter_code_text_pairs": Case(
        files={"data/train-00000-of-00028.parquet": parquet(_MARKDOWN_COLUMNS, _MARKDOWN_ROWS)},
        common={
            **_HUMAN,
            "language": "python",
            "license_wrapper": "NOASSERTION",
            "access_terms": "stack_v1_terms",
        },
        rows=_MARKDOWN_DOCUMENTS,
        skipped={"empty": 1},
    ),
    "github_jupyter_code_to_text": Case(
        files={
            "data/train-00000-of-00001.parquet": parquet(
                _columns("repo_name", "path", "license", "content"),
                [
                    {"repo_name": "dan/study", "path": "a.ipynb", "license": "bsd-3-clause",
                     "content": 'x = 1\n"""\nExplanation: sets x\nEnd of explanation\n"""\n'},
                    {"repo_name": "dan/study", "path": "b.ipynb", "license": None,
                     "content": "y = 1\n"},
                ],
            ),
            "data/test-00000-of-00001.parquet": parquet(
                _columns("repo_name", "path", "license", "content"),
                [{"repo_name": "dan/study", "path": "t.ipynb", "license": "mit", "content": "t"}],
            ),
        },
        common={**_HUMAN, "language": "python", "repo": "dan/study",
                "license_wrapper": "Apache-2.0"},
        rows=[
            {"path": "a.ipynb", "license_declared": "BSD-3-Clause",
             "license_concluded": "BSD-3-Clause", "license_method": "declared_column",
             "content": 'x = 1\n"""\nExplanation: sets x\nEnd of explanation\n"""\n'},
            {"path": "b.ipynb", "content": "y = 1\n", **_NO_LICENCE},
        ],
    ),
    "self_oss_instruct": Case(
        files={_OSS_FILE: parquet(_OSS_COLUMNS, _OSS_ROWS)},
        common={
            "language": "python", "split": "train", "access_terms": "none",
            "generator": "starcoder2", "license_wrapper": "ODC-By-1.0",
            "license_declared": "NOASSERTION", "license_concluded": "ODC-By-1.0",
            "license_method": "wrapper",
            "repo": "hub/bigcode/self-oss-instruct-sc2-exec-filter-50k",
        },
        rows=[_OSS_DOCUMENT],
        skipped={"empty": 1},
    ),
    "self_oss_instruct_raw": Case(
        files={_OSS_FILE: parquet(_OSS_COLUMNS, _OSS_ROWS)},
        common={
            **_NO_LICENCE, "language": "python", "split": "train", "access_terms": "none",
            "generator": "starcoder2", "license_wrapper": "NOASSERTION",
            "repo": "hub/bigcode/self-oss-instruct-sc2-exec-filter-500k-raw",
        },
        rows=[_OSS_DOCUMENT],
        skipped={"empty": 1},
    ),
    "glaive_code_assistant_v3": Case(
        files={
            # One JSON array, not one object per line.
            "glaive_code_assistant_v3.json": json.dumps(
                [
                    {"question": "How do I sort?", "answer": "Use `sorted`."},
                    {"question": "And now?", "answer": ""},
                    {"question": "Caf\u00e9?", "answer": "Oui."},
                ],
                indent=2,
            ).encode()
        },
        common={
            "language": "python", "split": "train", "access_terms": "none", "generator": "glaive",
            "license_wrapper": "Apache-2.0", "license_declared": "NOASSERTION",
            "license_concluded": "Apache-2.0", "license_method": "wrapper",
            "repo": "hub/glaiveai/glaive-code-assistant-v3",
        },
        rows=[
            {"path": "glaive_code_assistant_v3.json#0", "instruction": "How do I sort?",
             "response": "Use `sorted`.", "content": "How do I sort?\n\nUse `sorted`."},
            {"path": "glaive_code_assistant_v3.json#2", "instruction": "Caf\u00e9?",
             "response": "Oui.", "content": "Caf\u00e9?\n\nOui."},
        ],
        skipped={"empty": 1},
    ),
    "strandset_rust": Case(
        card=card(("default", {"train": "data/train-*", "test": "data/test-*"})),
        files={
            "data/train-00000-of-00001.parquet": parquet(
                _columns("crate_name", "input_data", "output_data", "task_category", "test"),
                [
                    {"crate_name": "serde", "task_category": "code_generation",
                     "input_data": "{'title': 'Parse a number'}",
                     "output_data": "{'code': 'fn parse() {}'}"},
                    {"crate_name": "tokio", "task_category": "bug_detection",
                     "input_data": "{'code': 'loop {}'}", "output_data": ""},
                ],
            ),
            "data/test-00000-of-00001.parquet": parquet(
                _columns("crate_name", "input_data", "output_data", "task_category", "test"),
                [{"crate_name": "rand", "input_data": "benchmark", "output_data": "benchmark"}],
            ),
        },
        common={
            "language": "rust", "split": "train", "access_terms": "none",
            "generator": "strand_swarm", "license_wrapper": "Apache-2.0",
            "license_declared": "NOASSERTION", "license_concluded": "Apache-2.0",
            "license_method": "wrapper",
        },
        rows=[
            {"repo": "serde", "path": "data/train-00000-of-00001.parquet#0",
             "instruction": "{'title': 'Parse a number'}",
             "response": "{'code': 'fn parse() {}'}",
             "content": "{'title': 'Parse a number'}\n\n{'code': 'fn parse() {}'}"},
        ],
        skipped={"empty": 1},
    ),
    "commitpack_python": _commits("python", "py", "Python", "n = 0\n", "n = 1\n"),
    "commitpack_rust": _commits("rust", "rs", "Rust", "let n = 0;\n", "let n = 1;\n"),
    "conala_mined": Case(
        files={
            "data/conala-mined.jsonl": jsonl(
                [
                    {"parent_answer_post_id": 34705233, "prob": 0.869, "id": "34705205_34705233_0",
                     "snippet": "sorted(l, key=f)", "intent": "Sort a nested list",
                     "question_id": 34705205},
                    {"parent_answer_post_id": 1, "prob": 0.01, "id": "1_1_0", "snippet": "",
                     "intent": "Nothing", "question_id": 1},
                ]
            ),
            "data/conala-paired-train.json": jsonl([{"intent": "a", "snippet": "b"}]),
            "data/conala-paired-test.json": jsonl([{"intent": "c", "snippet": "d"}]),
        },
        common={**_HUMAN, **_SHARE_ALIKE},
        rows=[
            {"path": "34705205_34705233_0", "instruction": "Sort a nested list",
             "response": "sorted(l, key=f)", "content": "Sort a nested list\n\nsorted(l, key=f)"},
        ],
        skipped={"empty": 1},
    ),
    "conala_curated": Case(
        files={
            "data/conala-mined.jsonl": jsonl([{"intent": "a", "snippet": "b"}]),
            "data/conala-paired-train.json": jsonl(
                [
                    {"question_id": 41067960, "intent": "Join a list into a string",
                     "rewritten_intent": None, "snippet": "''.join(l)"},
                    {"question_id": 41067961, "intent": "Copy a file",
                     "rewritten_intent": "copy 'a' to 'b'", "snippet": "shutil.copy('a', 'b')"},
                ]
            ),
            "data/conala-paired-test.json": jsonl(
                [{"question_id": 7, "intent": "benchmark", "snippet": "never_trained()"}]
            ),
        },
        common={**_HUMAN, **_SHARE_ALIKE},
        rows=[
            {"path": "41067960", "instruction": "Join a list into a string",
             "response": "''.join(l)", "content": "Join a list into a string\n\n''.join(l)"},
            {"path": "41067961", "instruction": "Copy a file",
             "response": "shutil.copy('a', 'b')",
             "content": "Copy a file\n\nshutil.copy('a', 'b')"},
        ],
    ),
}  # fmt: skip
