"""The Stack v2, Stack-Edu and StarCoderData."""

from __future__ import annotations

import pyarrow as pa

from tritter_assets_tests.sources.upstream_rows.case import (
    Case,
    Row,
    card,
    git_blob_id,
    parquet,
)

_LARGE = pa.large_string()
_EDU_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("blob_id", _LARGE),
    ("language", _LARGE),
    ("repo_name", _LARGE),
    ("path", _LARGE),
    ("src_encoding", _LARGE),
    ("length_bytes", pa.int64()),
    ("score", pa.float64()),
    ("int_score", pa.int64()),
    ("detected_licenses", pa.large_list(_LARGE)),
    ("license_type", _LARGE),
]
_GO_LEFTOVERS: list[tuple[str, pa.DataType]] = [
    ("detected_licenses_right", pa.large_list(_LARGE)),
    ("license_type_right", _LARGE),
]
_V2_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("blob_id", pa.string()),
    ("directory_id", pa.string()),
    ("path", pa.string()),
    ("content_id", pa.string()),
    ("detected_licenses", pa.list_(pa.string())),
    ("license_type", pa.string()),
    ("repo_name", pa.string()),
    ("snapshot_id", pa.string()),
    ("revision_id", pa.string()),
    ("branch_name", pa.string()),
    ("visit_date", pa.timestamp("ns")),
    ("github_id", pa.int64()),
    ("star_events_count", pa.int64()),
    ("gha_license_id", pa.string()),
    ("src_encoding", pa.string()),
    ("language", pa.string()),
    ("is_vendor", pa.bool_()),
    ("is_generated", pa.bool_()),
    ("length_bytes", pa.int64()),
    ("extension", pa.string()),
]
_GONE = "0" * 40
"""A blob that the archive no longer has."""


def _edu(config: str, language: str, suffix: str, source: bytes, ours: str) -> Case:
    plain, latin = source, "# caf\u00e9\n".encode("latin-1") + source
    binary = b"\0\1\2"
    rows: list[Row] = [
        {"blob_id": git_blob_id(plain), "path": f"/src/one.{suffix}", "src_encoding": "UTF-8",
         "score": 3.75, "int_score": 4, "detected_licenses": ["MIT"]},
        {"blob_id": git_blob_id(latin), "path": f"/src/two.{suffix}", "src_encoding": "ISO-8859-1",
         "score": 3.25, "int_score": 3, "detected_licenses": ["Apache-2.0", "MIT"]},
        {"blob_id": _GONE, "path": f"/src/gone.{suffix}", "score": 3.0, "int_score": 3,
         "src_encoding": "UTF-8", "detected_licenses": ["MIT"]},
        {"blob_id": git_blob_id(binary), "path": f"/src/raw.{suffix}", "score": 3.0,
         "int_score": 3, "src_encoding": "UTF-8", "detected_licenses": ["MIT"]},
        {"blob_id": git_blob_id(plain), "path": f"/none.{suffix}", "src_encoding": "UTF-8",
         "score": 5.0, "int_score": 5, "detected_licenses": [], "license_type": "no_license"},
    ]  # fmt: skip
    whole = [
        {"language": language, "repo_name": "ann/tools", "license_type": "permissive"} | row
        for row in rows
    ]
    columns = _EDU_COLUMNS + (_GO_LEFTOVERS if config == "Go" else [])
    text = plain.decode()
    return Case(
        card=card((config, {"train": f"{config}/train-*"}), ("C", {"train": "C/train-*"})),
        files={
            f"{config}/train-00000-of-00001.parquet": parquet(columns, whole),
            "C/train-00000-of-00001.parquet": parquet(_EDU_COLUMNS, whole[:1]),
        },
        blobs={git_blob_id(raw): raw for raw in (plain, latin, binary)},
        common={
            "language": ours,
            "repo": "ann/tools",
            "split": "train",
            "license_method": "declared_column",
            "license_wrapper": "NOASSERTION",
            "access_terms": "stack_v2_terms",
            "generator": "human",
        },
        rows=[
            {
                "path": f"/src/one.{suffix}",
                "revision": git_blob_id(plain),
                "content": text,
                "quality_score": 3.75,
                "license_declared": "MIT",
                "license_concluded": "MIT",
            },
            {
                "path": f"/src/two.{suffix}",
                "revision": git_blob_id(latin),
                "content": f"# caf\u00e9\n{text}",
                "quality_score": 3.25,
                "license_declared": "Apache-2.0 AND MIT",
                "license_concluded": "Apache-2.0 AND MIT",
            },
        ],
        skipped={"blob_missing": 1, "binary": 1, "not_selected": 1},
    )


def _v2(folder: str, suffix: str, source: bytes, ours: str) -> Case:
    rows: list[Row] = [
        {"path": f"/lib/kept.{suffix}", "detected_licenses": ["BSD-3-Clause"]},
        {"path": f"/lib/none.{suffix}", "license_type": "no_license", "detected_licenses": []},
        {"path": f"/vendor/other.{suffix}", "is_vendor": True, "detected_licenses": ["MIT"]},
        {"path": f"/lib/made.{suffix}", "is_generated": True, "detected_licenses": ["MIT"]},
        {"path": f"/lib/gone.{suffix}", "blob_id": _GONE, "detected_licenses": ["MIT"]},
    ]  # fmt: skip
    base: Row = {
        "blob_id": git_blob_id(source),
        "repo_name": "bob/lib",
        "license_type": "permissive",
        "src_encoding": "UTF-8",
        "language": folder,
        "is_vendor": False,
        "is_generated": False,
        "extension": suffix,
    }
    return Case(
        files={
            f"data/{folder}/train-00000-of-00001.parquet": parquet(
                _V2_COLUMNS, [base | row for row in rows]
            ),
            "data/C/train-00000-of-00001.parquet": parquet(_V2_COLUMNS, [base]),
        },
        blobs={git_blob_id(source): source},
        common={
            "language": ours,
            "split": "train",
            "license_wrapper": "NOASSERTION",
            "access_terms": "stack_v2_terms",
            "generator": "human",
        },
        rows=[
            {
                "repo": "bob/lib",
                "path": f"/lib/kept.{suffix}",
                "revision": git_blob_id(source),
                "content": source.decode(),
                "license_declared": "BSD-3-Clause",
                "license_concluded": "BSD-3-Clause",
                "license_method": "declared_column",
            }
        ],
        skipped={"not_selected": 3, "blob_missing": 1},
    )


_PY = b"def one():\n    return 1\n"
_RS = b"pub fn one() -> u8 { 1 }\n"
_JS = b"export const one = () => 1;\n"
_CPP = b"int one() { return 1; }\n"
_GO = b"package one\n\nfunc One() int { return 1 }\n"

_STAR_COMMON: Row = {
    "split": "train",
    "license_declared": "NOASSERTION",
    "license_concluded": "NOASSERTION",
    "license_method": "none",
    "license_wrapper": "NOASSERTION",
    "access_terms": "stack_v1_terms",
    "generator": "human",
}


def _star_code(folder: str, suffix: str, source: str, ours: str) -> Case:
    columns: list[tuple[str, pa.DataType]] = [
        ("max_stars_repo_path", pa.string()),
        ("max_stars_repo_name", pa.string()),
        ("max_stars_count", pa.int64()),
        ("id", pa.string()),
        ("content", pa.string()),
    ]
    header = f"{'#' if suffix == 'py' else '//'} SPDX-License-Identifier: GPL-3.0-only\n"
    repo = {"max_stars_repo_name": "cat/app"}
    return Case(
        files={
            f"{folder}/train-00000-of-00002.parquet": parquet(
                columns,
                [
                    repo | {"max_stars_repo_path": f"a.{suffix}", "id": "1", "content": source},
                    repo | {"max_stars_repo_path": f"empty.{suffix}", "id": "2", "content": ""},
                ],
            ),
            f"{folder}/train-00001-of-00002.parquet": parquet(
                columns,
                [
                    repo
                    | {
                        "max_stars_repo_path": f"gpl.{suffix}",
                        "id": "3",
                        "max_stars_count": 7,
                        "content": header + source,
                    },
                    repo | {"max_stars_repo_path": f"null.{suffix}", "id": "4", "content": None},
                ],
            ),
        },
        common={**_STAR_COMMON, "language": ours, "repo": "cat/app"},
        rows=[
            {"path": f"a.{suffix}", "content": source},
            {
                "path": f"gpl.{suffix}",
                "content": header + source,
                "license_declared": "GPL-3.0-only",
                "license_concluded": "GPL-3.0-only",
                "license_method": "spdx_header",
            },
        ],
        skipped={"empty": 2},
    )


def _star_text(folder: str, contents: list[str | None], ours: str | None) -> Case:
    name = f"{folder}/train-00000-of-00001.parquet"
    columns: list[tuple[str, pa.DataType]] = [("content", pa.string()), ("extra", pa.int64())]
    return Case(
        files={
            name: parquet(columns, [{"content": text} for text in contents]),
            "python/train-00000-of-00001.parquet": parquet(columns, [{"content": "x = 1\n"}]),
        },
        common={**_STAR_COMMON, "language": ours, "repo": "hub/bigcode/starcoderdata"},
        rows=[
            {"path": f"{name}#{number}", "content": text}
            for number, text in enumerate(contents)
            if text
        ],
        skipped={"empty": sum(not text for text in contents)},
    )


CASES = {
    "stack_edu_python": _edu("Python", "Python", "py", _PY, "python"),
    "stack_edu_rust": _edu("Rust", "Rust", "rs", _RS, "rust"),
    "stack_edu_javascript": _edu("JavaScript", "JavaScript", "js", _JS, "javascript"),
    "stack_edu_cpp": _edu("Cpp", "C++", "cpp", _CPP, "cpp"),
    "stack_edu_go": _edu("Go", "Go", "go", _GO, "go"),
    "the_stack_v2_python": _v2("Python", "py", _PY, "python"),
    "the_stack_v2_rust": _v2("Rust", "rs", _RS, "rust"),
    "the_stack_v2_javascript": _v2("JavaScript", "js", _JS, "javascript"),
    "the_stack_v2_cpp": _v2("C++", "cpp", _CPP, "cpp"),
    "the_stack_v2_go": _v2("Go", "go", _GO, "go"),
    "starcoderdata_python": _star_code("python", "py", _PY.decode(), "python"),
    "starcoderdata_rust": _star_code("rust", "rs", _RS.decode(), "rust"),
    "starcoderdata_jupyter": _star_text(
        "jupyter-structured-clean-dedup",
        ["<jupyter_start><jupyter_text>Load<jupyter_code>x = 1<jupyter_output>1", None],
        "python",
    ),
    "starcoderdata_jupyter_scripts": _star_text(
        "jupyter-scripts-dedup-filtered", ["# ## Load\nx = 1\n", ""], "python"
    ),
    "starcoderdata_issues": _star_text(
        "github-issues-filtered-structured",
        ["<issue_start><issue_comment>username_0: It fails.<issue_closed>", ""],
        None,
    ),
    "starcoderdata_commits": _star_text(
        "git-commits-cleaned",
        ["<commit_before>x = 1<commit_msg>Rename<commit_after>y = 1", None],
        None,
    ),
}
