"""Zenodo and S3: one archive at an address."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

from tritter_assets_tests.sources.upstream_rows.case import Case, Row, jsonl

_APACHE = """\
/*
 * Licensed to the Apache Software Foundation (ASF) under one or more contributor license
 * agreements. The ASF licenses this file to you under the Apache License, Version 2.0 (the
 * "License"); you may not use this file except in compliance with the License. You may obtain a
 * copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 */
class Job { }
"""
_UNKNOWN: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "NOASSERTION",
    "license_method": "none",
}
_REVIEW: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "CC-BY-4.0",
    "license_method": "wrapper",
    "access_terms": "none",
    "generator": "human",
    "license_wrapper": "CC-BY-4.0",
}


def _zip(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar_gz(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


_HUNK = "@@ -1,1 +1,1 @@\n-x = 0\n+x = 1"
_COMMENTS: list[Row] = [
    {"id": 38665, "patch": _HUNK, "msg": "Why one?", "oldf": "x = 0\n", "y": 1},
    {"id": 38666, "patch": _HUNK, "msg": "", "oldf": "x = 0\n", "y": 0},
]
_REFINED: list[Row] = [
    {"repo": "spotify/luigi", "ghid": 2789, "ids": [1, "a" * 40, "b" * 40], "lang": "py",
     "comment": "Name it.", "old": " x = 0", "new": " count = 0", "hunk": _HUNK,
     "old_hunk": _HUNK, "oldf": "x = 0\n"},
    {"repo": "lib/net", "ghid": 5, "ids": [2, "a" * 40, "b" * 40], "lang": ".cs",
     "comment": "", "old": "", "new": "", "hunk": _HUNK, "old_hunk": "", "oldf": ""},
]  # fmt: skip
_JUDGED: list[Row] = [
    {"id": 7, "idx": 0, "proj": "lib/go", "lang": "go", "msg": "Check the error.", "patch": _HUNK,
     "oldf": "", "y": 1},
    {"id": 8, "idx": 1, "proj": "lib/go", "lang": "go", "msg": "", "patch": _HUNK, "oldf": "",
     "y": 0},
]  # fmt: skip

CASES = {
    "codereviewer_comments": Case(
        files={
            "Comment_Generation.zip": _zip(
                {
                    "Comment_Generation/msg-train.jsonl": jsonl(_COMMENTS),
                    "Comment_Generation/msg-valid.jsonl": jsonl([{"msg": "benchmark"}]),
                    "Comment_Generation/msg-test.jsonl": jsonl([{"msg": "benchmark"}]),
                }
            )
        },
        common={**_REVIEW, "repo": "http/127.0.0.1/Comment_Generation.zip"},
        rows=[
            {"path": "38665", "instruction": _HUNK, "response": "Why one?",
             "content": f"{_HUNK}\n\nWhy one?"}
        ],
        skipped={"empty": 1},
    ),
    "codereviewer_refinement": Case(
        files={
            "Code_Refinement.zip": _zip(
                {
                    "Code_Refinement/ref-train.jsonl": jsonl(_REFINED),
                    "Code_Refinement/ref-test.jsonl": jsonl([{"comment": "benchmark"}]),
                }
            )
        },
        common=_REVIEW,
        rows=[
            {"repo": "spotify/luigi", "path": "2789", "language": "python",
             "instruction": "Name it.", "response": _HUNK, "content": f"Name it.\n\n{_HUNK}"}
        ],
        skipped={"empty": 1},
    ),
    "codereviewer_quality": Case(
        files={
            "Diff_Quality_Estimation.zip": _zip(
                {
                    "Diff_Quality_Estimation/cls-train-chunk-0.jsonl": jsonl(_JUDGED[:1]),
                    "Diff_Quality_Estimation/cls-train-chunk-1.jsonl": jsonl(_JUDGED[1:]),
                    "Diff_Quality_Estimation/cls-test.jsonl": json.dumps(_JUDGED[0]).encode(),
                }
            )
        },
        common=_REVIEW,
        rows=[
            {"repo": "lib/go", "path": "7", "language": "go", "instruction": _HUNK,
             "response": "Check the error.", "content": f"{_HUNK}\n\nCheck the error."}
        ],
        skipped={"empty": 1},
    ),
    "code2seq_java_small": Case(
        files={
            "java-small.tar.gz": _tar_gz(
                {
                    "java-small/training/hadoop/Job.java": _APACHE.encode(),
                    "java-small/training/libgdx/Plain.java": b"class Plain { }\n",
                    "java-small/training/libgdx/Bad.java": b"\xff\xfe\xfd",
                    "java-small/validation/libgdx2/Held.java": b"class Held { }\n",
                    "java-small/test/hibernate/Test.java": b"class Test { }\n",
                }
            )
        },
        common={
            "language": "java", "access_terms": "none", "generator": "human",
            "license_wrapper": "NOASSERTION", "repo": "http/127.0.0.1/java-small.tar.gz",
        },
        rows=[
            {"path": "training/hadoop/Job.java", "content": _APACHE,
             "license_declared": "Apache-2.0", "license_concluded": "Apache-2.0",
             "license_method": "header_notice"},
            {"path": "training/libgdx/Plain.java", "content": "class Plain { }\n", **_UNKNOWN},
        ],
        skipped={"undecodable": 1},
    ),
}  # fmt: skip
