"""Functions with their documentation, syntax trees, judge submissions."""

from __future__ import annotations

import pyarrow as pa

from tritter_assets_tests.sources.upstream_rows.case import Case, Row, card, parquet

_TEXT = pa.string()
_WORDS = pa.list_(_TEXT)
_SHA = "0123456789abcdef0123456789abcdef01234567"
_CODE = 'def one():\n    """Returns one."""\n    return 1'

_CSN_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("repository_name", _TEXT), ("func_path_in_repository", _TEXT), ("func_name", _TEXT),
    ("whole_func_string", _TEXT), ("language", _TEXT), ("func_code_string", _TEXT),
    ("func_code_tokens", _WORDS), ("func_documentation_string", _TEXT),
    ("func_documentation_tokens", _WORDS), ("split_name", _TEXT), ("func_code_url", _TEXT),
]  # fmt: skip
_GLUE_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("id", pa.int32()), ("repo", _TEXT), ("path", _TEXT), ("func_name", _TEXT),
    ("original_string", _TEXT), ("language", _TEXT), ("code", _TEXT), ("code_tokens", _WORDS),
    ("docstring", _TEXT), ("docstring_tokens", _WORDS), ("sha", _TEXT), ("url", _TEXT),
]  # fmt: skip
_NAN_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("repo", _TEXT), ("path", _TEXT), ("func_name", _TEXT), ("original_string", _TEXT),
    ("language", _TEXT), ("code", _TEXT), ("code_tokens", _WORDS), ("docstring", _TEXT),
    ("docstring_tokens", _WORDS), ("sha", _TEXT), ("url", _TEXT), ("partition", _TEXT),
    ("summary", _TEXT),
]  # fmt: skip
_SCOTCH_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("repository_name", _TEXT), ("function_path", _TEXT), ("function_identifier", _TEXT),
    ("language", _TEXT), ("function", _TEXT), ("docstring", _TEXT), ("function_url", _TEXT),
    ("context", _TEXT), ("license", _TEXT),
]  # fmt: skip
_UNKNOWN: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "NOASSERTION",
    "license_method": "none",
}
_HUMAN: Row = {"split": "train", "access_terms": "none", "generator": "human"}


def _url(path: str, repo: str = "hal/lib") -> str:
    return f"https://github.com/{repo}/blob/{_SHA}/{path}#L1-L3"


def _nan_do(language: str, path: str, code: str, repo: str) -> Case:
    row: Row = {"repo": "hal/lib", "path": path, "func_name": "one", "original_string": code,
                "language": language, "code": code, "docstring": "Returns one.", "sha": _SHA,
                "url": _url(path), "partition": "train", "summary": "A model's words"}  # fmt: skip
    return Case(
        files={
            "data/train-00000-of-00002.parquet": parquet(
                _NAN_COLUMNS, [row, row | {"path": f"x/{path}", "code": None}]
            )
        },
        common={**_HUMAN, **_UNKNOWN, "generator": "undisclosed", "license_wrapper": "Apache-2.0"},
        rows=[
            {
                "language": language,
                "repo": repo,
                "path": path,
                "content": code,
                "url": _url(path),
            }
        ],
        skipped={"empty": 1},
    )


CASES = {
    "code_search_net_python": Case(
        files={  # the branch of converted files: config, split, number
            "python/train/0000.parquet": parquet(
                _CSN_COLUMNS,
                [
                    {"repository_name": "hal/lib", "func_path_in_repository": "a.py",
                     "func_name": "one", "whole_func_string": _CODE, "language": "python",
                     "func_code_string": _CODE, "func_documentation_string": "Returns one.",
                     "split_name": "train", "func_code_url": _url("a.py")},
                    {"repository_name": "hal/lib", "func_path_in_repository": "b.py",
                     "whole_func_string": "", "func_code_url": _url("b.py")},
                ],
            ),
            "python/test/0000.parquet": parquet(
                _CSN_COLUMNS, [{"repository_name": "t/t", "whole_func_string": "benchmark"}]
            ),
            "go/train/0000.parquet": parquet(
                _CSN_COLUMNS, [{"repository_name": "g/g", "whole_func_string": "func g() {}"}]
            ),
        },
        common={**_HUMAN, **_UNKNOWN, "license_wrapper": "NOASSERTION"},
        rows=[
            {"language": "python", "repo": "hal/lib", "path": "a.py", "content": _CODE,
             "url": _url("a.py")}
        ],
        skipped={"empty": 1},
    ),
    "code_x_glue_code_to_text": Case(
        card=card(
            ("python", {"train": "python/train-*", "validation": "python/validation-*",
                        "test": "python/test-*"})
        ),
        files={
            "python/train-00000-of-00002.parquet": parquet(
                _GLUE_COLUMNS,
                [{"id": 0, "repo": "ivy/kit", "path": "k.py", "func_name": "one",
                  "original_string": _CODE, "language": "python", "code": _CODE,
                  "docstring": "Returns one.", "sha": _SHA, "url": _url("k.py", "ivy/kit")}],
            ),
            "python/validation-00000-of-00001.parquet": parquet(
                _GLUE_COLUMNS, [{"repo": "v/v", "original_string": "benchmark"}]
            ),
            "python/test-00000-of-00001.parquet": parquet(
                _GLUE_COLUMNS, [{"repo": "t/t", "original_string": "benchmark"}]
            ),
        },
        common={**_HUMAN, "license_wrapper": "C-UDA-1.0"},
        rows=[
            {"language": "python", "repo": "ivy/kit", "path": "k.py", "content": _CODE,
             "revision": _SHA, "url": _url("k.py", "ivy/kit"),
             "license_declared": "NOASSERTION", "license_concluded": "C-UDA-1.0",
             "license_method": "wrapper"}
        ],
    ),
    "nan_do_code_search_net_python": _nan_do("python", "a.py", _CODE, "hal/lib"),
    "nan_do_code_search_net_java": _nan_do("java", "A.java", "int one() { return 1; }", "hal/lib"),
    "scotch": Case(
        files={
            "data/train-00000-of-00010.parquet": parquet(
                _SCOTCH_COLUMNS,
                [
                    {"repository_name": "jo/web", "function_path": "web/get.js",
                     "function_identifier": "get", "language": "javascript",
                     "function": "function get() {}", "docstring": "Gets.",
                     "function_url": _url("web/get.js", "jo/web"), "license": "isc"},
                    {"repository_name": "jo/web", "function_path": "web/put.go",
                     "language": "go", "function": "func put() {}", "license": "agpl-3.0"},
                    {"repository_name": "jo/web", "function_path": "web/x.py",
                     "language": "python", "function": None, "license": "mit"},
                ],
            )
        },
        common={**_HUMAN, "repo": "jo/web", "license_wrapper": "NOASSERTION",
                "license_method": "declared_column"},
        rows=[
            {"language": "javascript", "path": "web/get.js", "content": "function get() {}",
             "url": _url("web/get.js", "jo/web"), "license_declared": "ISC",
             "license_concluded": "ISC"},
            {"language": "go", "path": "web/put.go", "content": "func put() {}",
             "license_declared": "AGPL-3.0-only", "license_concluded": "AGPL-3.0-only"},
        ],
        skipped={"empty": 1},
    ),
    "python_stack_functions": Case(
        files={
            "data/train-00000-of-00001.parquet": parquet(
                [("content", _TEXT), ("sha1", _TEXT), ("id", pa.int64())],
                [{"content": _CODE, "sha1": "a" * 40, "id": 1}, {"sha1": "b" * 40, "id": 2}],
            )
        },
        common={**_HUMAN, **_UNKNOWN, "license_wrapper": "NOASSERTION",
                "access_terms": "stack_v1_terms"},
        rows=[
            {"language": "python", "content": _CODE, "path": "data/train-00000-of-00001.parquet#0",
             "repo": "hub/bigcode/python-stack-v1-functions-filtered"}
        ],
        skipped={"empty": 1},
    ),
    "py_ast": Case(
        files={
            "ast/train/0000.parquet": parquet(
                [("ast", pa.list_(pa.struct([("type", _TEXT), ("value", _TEXT),
                                             ("children", pa.list_(pa.int32()))])))],
                [
                    {"ast": [{"type": "Module", "value": "N/A", "children": [1]},
                             {"type": "Print", "value": "N/A", "children": []}]},
                    {"ast": []},
                ],
            ),
            "ast/test/0000.parquet": parquet([("ast", pa.list_(pa.int32()))], [{"ast": [1]}]),
        },
        common={**_HUMAN, **_UNKNOWN, "license_wrapper": "BSD-2-Clause AND MIT"},
        rows=[
            {"language": "json", "repo": "hub/py_ast", "path": "ast/train/0000.parquet#0",
             "content": '[{"children": [1], "type": "Module", "value": "N/A"}, '
                        '{"children": [], "type": "Print", "value": "N/A"}]'}
        ],
        skipped={"empty": 1},
    ),
    "multilang_code_parser": Case(
        files={
            "python_parsed_1.parquet": parquet(
                [("language", _TEXT), ("code", _TEXT), ("num_lines", pa.int64()),
                 ("universal_schema", _TEXT)],
                [{"language": "python", "code": _CODE, "universal_schema": "{}"},
                 {"language": "python", "code": ""}],
            ),
            "c_sharp_parsed_1.parquet": parquet(
                [("language", _TEXT), ("code", _TEXT)],
                [{"language": "csharp", "code": "class A { }"}],
            ),
        },
        common={
            **_HUMAN, "access_terms": "stack_v1_terms", "license_wrapper": "MIT",
            "repo": "hub/jugalgajjar/MultiLang-Code-Parser-Dataset",
            "license_declared": "NOASSERTION", "license_method": "wrapper",
            "license_concluded": "LicenseRef-Academic-Use-Only",
        },
        rows=[
            {"language": "csharp", "path": "c_sharp_parsed_1.parquet#0", "content": "class A { }"},
            {"language": "python", "path": "python_parsed_1.parquet#0", "content": _CODE},
        ],
        skipped={"empty": 1},
    ),
    "poj104": Case(
        card=card(
            ("default", {"train": "data/train-*", "validation": "data/validation-*",
                         "test": "data/test-*"})
        ),
        files={
            "data/train-00000-of-00001.parquet": parquet(
                [("id", pa.int32()), ("code", _TEXT), ("label", _TEXT)],
                [{"id": 0, "code": "int main() { }", "label": "1"},
                 {"id": 1, "code": "main() \0", "label": "1"}],
            ),
            "data/validation-00000-of-00001.parquet": parquet(
                [("code", _TEXT)], [{"code": "benchmark"}]
            ),
            "data/test-00000-of-00001.parquet": parquet(
                [("code", _TEXT)], [{"code": "benchmark"}]
            ),
        },
        common={
            **_HUMAN, "license_wrapper": "C-UDA-1.0", "license_declared": "NOASSERTION",
            "license_concluded": "C-UDA-1.0", "license_method": "wrapper", "language": "cpp",
            "repo": "hub/google/code_x_glue_cc_clone_detection_poj104",
        },
        rows=[
            {"content": "int main() { }", "path": "data/train-00000-of-00001.parquet#0"},
            # a NUL in a text column is the row's own: the filters judge it
            {"content": "main() \0", "path": "data/train-00000-of-00001.parquet#1"},
        ],
    ),
}  # fmt: skip
