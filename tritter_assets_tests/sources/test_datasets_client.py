"""Hugging Face's own `datasets` client chooses the same files and sees the columns we map.

It reads the cases of `upstream_rows` from the local server in a process of its own, because the
endpoint is fixed when it is imported. What it finds is compared with the contract: the config, the
folder and the split give as many rows as we map or skip, under the columns that the contract names.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.source import HubOrigin
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.sources.servers import HubServer, Server
from tritter_assets_tests.sources.upstream_rows import CASES

COMMIT = "a" * 40
NAMES = (
    "stack_edu_go",
    "starcoderdata_python",
    "strandset_rust",
    "conala_curated",
    "poj104",
    "obelics",
    "webcode2m",
)
CHILD = """
import json, sys
import datasets
found = {}
for name, arguments in json.loads(sys.argv[1]).items():
    data = datasets.load_dataset(**arguments)
    found[name] = {"columns": data.column_names, "rows": data.num_rows}
print(json.dumps(found))
"""


class _OneRepository(HubServer):
    """Answers a file directly and says its commit, as the client demands."""

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        path, mark = unquote(urlsplit(request.path).path), f"/resolve/{self.commit}/"
        if mark not in path:
            return super().answer(request, body)
        seen = {"X-Repo-Commit": self.commit}
        raw = self.files.get(path.split(mark, 1)[1])
        if raw is None:
            return 404, b"{}", seen | {"X-Error-Code": "EntryNotFound"}
        status, content, headers = self._ranged(raw, request)
        etag = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        return status, content, headers | seen | {"ETag": f'"{etag}"'}


class _Repositories(Server):
    def __init__(self, repositories: list[HubServer]) -> None:
        super().__init__()
        self.repositories = repositories

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        for one in self.repositories:
            if f"/datasets/{one.repo}/" in unquote(request.path):
                return one.answer(request, body)
        return 404, b"{}", {"X-Error-Code": "RepoNotFound"}


def test_the_client_and_the_contract_agree(tmp_path: Path) -> None:
    contracts = {
        name: parse_source(REPOSITORY / "data_contracts" / "sources" / f"{name}.yaml")
        for name in NAMES
    }
    repositories: list[HubServer] = []
    arguments: dict[str, dict[str, Any]] = {}
    for name, contract in contracts.items():
        origin, case = contract.origin, CASES[name]
        assert isinstance(origin, HubOrigin)
        card = {"README.md": case.card.encode()} if case.card else {}
        repositories.append(
            _OneRepository(origin.repo, COMMIT, {**case.files, **card}, page_size=50)
        )
        arguments[name] = {
            "path": origin.repo,
            "name": origin.config,
            "data_dir": origin.data_dir,
            "data_files": list(origin.data_files) or None,
            "split": origin.split,
            "revision": COMMIT,
        }
    with _Repositories(repositories).running() as server:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(arguments)],
            env=os.environ
            | {
                "HF_ENDPOINT": server.url,
                "HF_HOME": str(tmp_path),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "HF_TOKEN_PATH": "/nonexistent",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, contract in contracts.items():
        case = CASES[name]
        assert found[name]["rows"] == len(case.rows) + sum(case.skipped.values()), name
        mapped = {column.split(".")[0] for column in contract.columns.values()}
        assert mapped <= set(found[name]["columns"]), name
        if name != "stack_edu_go":  # its case adds what the merge left behind
            declared = {column.name for column in contract.upstream_schema}
            assert declared <= set(found[name]["columns"]), name
