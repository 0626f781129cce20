"""A Hub whose repository has a history: commits are pushed, gates shut, cards edited."""

from __future__ import annotations

import copy
import io
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.sources.upstream_hub import card_license
from tritter_assets_tests.sources.servers import HubServer

FIRST, SECOND = "a" * 40, "b" * 40
ROWS: dict[str, list[Any]] = {
    "text": [f"def f{n}(x):\n    return x + {n}\n" for n in range(4)],
    "repo": [f"owner{n}/name" for n in range(4)],
    "lic": ["MIT"] * 4,
}


def card(tag: str = "mit", text: str = "Code that people wrote.") -> bytes:
    """A dataset card with one licence tag, or without a header when the tag is empty."""
    head = f"---\nlicense: {tag}\n---\n" if tag else ""
    return f"{head}# Data\n\n{text}\n".encode()


def table(rows: dict[str, list[Any]] = ROWS) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table(rows), out)
    return out.getvalue()


def files(readme: bytes | None = None, rows: dict[str, list[Any]] = ROWS) -> dict[str, bytes]:
    """A repository of a card and two data files."""
    second = {name: [f"# two\n{v}" if name == "text" else v for v in values]
              for name, values in rows.items()}  # fmt: skip
    return {
        "README.md": readme or card(),
        "data/train-0.parquet": table(rows),
        "data/train-1.parquet": table(second),
    }


class MovingHub(HubServer):
    """One repository whose `main` can be pushed to or rewritten."""

    def __init__(self, repo: str, content: dict[str, bytes]) -> None:
        super().__init__(repo, FIRST, content)
        self.history = {FIRST: content}
        self.gated: str | bool = False
        self.gone = False
        self.closed = False
        """Behind its gate, as for an account that has not agreed: names, and no content."""

    def push(self, commit: str, content: dict[str, bytes], *, rewrite: bool = False) -> None:
        """Moves `main` to a new commit; `rewrite` drops all that came before it."""
        if rewrite:
            self.history.clear()
        self.history[commit] = content
        self.commit, self.files = commit, content

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        path = unquote(urlsplit(request.path).path)
        if self.gone:
            return 404, b"{}", {"X-Error-Code": "RepoNotFound"}
        # Answers about an older commit come from a copy of this server that stands still there.
        view = copy.copy(self)
        if path.startswith("/at/"):
            commit, _, rest = path.removeprefix("/at/").partition("/")
            request.path = request.path.removeprefix(f"/at/{commit}")
            path = f"/{rest}"
        else:
            commit = next((c for c in self.history if f"/{c}" in path), self.commit)
        view.commit, view.files = commit, self.history[commit]
        view.url = f"{self.url}/at/{commit}"
        info = f"/api/datasets/{self.repo}/revision/"
        if path.startswith(info):
            revision = path.removeprefix(info)
            if revision not in {*self.history, "main"}:
                return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
            return self._json(
                {
                    "id": self.repo,
                    "sha": commit,
                    "gated": self.gated,
                    "private": False,
                    "lastModified": "2026-11-20T10:00:00.000Z",
                    "cardData": {"license": card_license(view.files["README.md"].decode())},
                }
            )
        if self.closed and "/resolve/" in path:
            return 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "no access"}
        return HubServer.answer(view, request, body)
