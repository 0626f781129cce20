"""Local servers that speak the package index's and the Hub's protocols, and fail on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass
class Faults:
    """Path fragment -> faults served once each, in order, before the real answer."""

    plan: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def next(self, path: str) -> str | None:
        for fragment, faults in self.plan.items():
            if fragment in path and faults:
                return faults.pop(0)
        return None


class Server:
    """A threaded HTTP server whose answers come from `answer`."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                outer.handle(self, b"")

            def do_HEAD(self) -> None:
                outer.handle(self, b"")

            def do_POST(self) -> None:
                outer.handle(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # clients hang up when a body breaks off
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @contextmanager
    def running(self) -> Iterator[Any]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def handle(self, request: Any, body: bytes) -> None:
        self.requests.append(request.path)
        self.authorizations.append(request.headers.get("Authorization"))
        fault = self.faults.next(request.path)
        if fault is not None and fault.isdigit():
            headers = {"Retry-After": "7"} if fault == "429" else {}
            self.send(request, int(fault), b"fault", headers)
            return
        status, content, headers = self.answer(request, body)
        if fault == "truncate":
            self.send(request, status, content, headers, cut=len(content) // 2)
        elif fault == "short":  # a body that is complete by its header, and too short
            self.send(request, status, content[: len(content) // 2], headers)
        elif fault == "corrupt":
            self.send(request, status, b"X" * len(content), headers)
        else:
            self.send(request, status, content, headers)

    @staticmethod
    def send(
        request: Any, status: int, content: bytes, headers: dict[str, str], cut: int | None = None
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        if cut is not None:
            request.send_header("Connection", "close")
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content if cut is None else content[:cut])
        if cut is not None:
            request.close_connection = True

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        raise NotImplementedError


class IndexServer(Server):
    """A package index with files; `html` makes it one that knows no JSON."""

    def __init__(self, packages: dict[str, dict[str, bytes]], *, html: bool = False) -> None:
        super().__init__()
        self.packages = packages
        self.html = html
        self.listed_sha256: dict[str, str] = {}
        self.yanked: dict[str, str] = {}

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = request.path.strip("/").split("/")
        if parts[0] == "simple" and parts[1] in self.packages:
            return self._page(parts[1])
        if parts[0] == "files":
            content = self.packages.get(parts[1], {}).get(parts[2])
            if content is not None:
                return 200, content, {"Content-Type": "application/gzip"}
        return 404, b"not found", {}

    def _page(self, package: str) -> tuple[int, bytes, dict[str, str]]:
        rows = []
        for name, raw in self.packages[package].items():
            sha = self.listed_sha256.get(name, hashlib.sha256(raw).hexdigest())
            rows.append((name, f"../../files/{package}/{name}", sha))
        if self.html:
            links = "".join(f'<a href="{url}#sha256={sha}">{n}</a><br>' for n, url, sha in rows)
            return 200, f"<html><body>{links}</body></html>".encode(), {"Content-Type": "text/html"}
        page = {
            "meta": {"api-version": "1.1"},
            "name": package,
            "files": [
                {
                    "filename": n,
                    "url": u,
                    "hashes": {"sha256": s},
                    "yanked": self.yanked.get(n, False),
                }
                for n, u, s in rows
            ],
        }
        return 200, json.dumps(page).encode(), {"Content-Type": JSON_TYPE}


class HubServer(Server):
    """One dataset repository at one commit: listing in pages, resolve with redirect and ranges."""

    def __init__(self, repo: str, commit: str, files: dict[str, bytes], page_size: int = 2) -> None:
        super().__init__()
        self.repo, self.commit, self.files, self.page_size = repo, commit, files, page_size
        self.gate: str | None = None
        self.ignore_ranges = False
        self.store: str | None = None
        """Address of the server that holds the bytes; None: this one."""
        self.endless = False
        """Whether the store sends every request on to itself."""

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(request.path)
        path = unquote(parts.path)
        api, resolve = f"/api/datasets/{self.repo}", f"/datasets/{self.repo}/resolve/"
        stored = path.startswith("/cdn/")
        if self.gate and not stored and not request.headers.get("Authorization"):
            code = {"GatedRepo": 403, "RepoNotFound": 401}[self.gate]
            return code, b"{}", {"X-Error-Code": self.gate, "X-Error-Message": "no access"}
        if path.startswith(f"{api}/revision/") or path == api:
            return self._json({"id": self.repo, "sha": self.commit})
        if path.startswith(f"{api}/tree/"):
            return self._tree(path.removeprefix(f"{api}/tree/"), parse_qs(parts.query))
        if path.startswith(f"{api}/paths-info/"):
            wanted = parse_qs(body.decode()).get("paths", []) or json.loads(body)["paths"]
            folders = {f for n in self.files for f in map(str, PurePosixPath(n).parents)}
            return self._json([self._entry(n) for n in wanted if n in self.files or n in folders])
        if path.startswith(resolve):
            revision, _, name = path.removeprefix(resolve).partition("/")
            if revision != self.commit:
                return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
            if name not in self.files:
                return 404, b"{}", {"X-Error-Code": "EntryNotFound"}
            return 302, b"", {"Location": f"{self.store or self.url}/cdn/{quote(name)}"}
        if path.startswith("/cdn/") and self.endless:
            return 302, b"", {"Location": f"{self.url}{request.path}"}
        if path.startswith("/cdn/"):
            return self._ranged(self.files[path.removeprefix("/cdn/")], request)
        return 404, b"{}", {"X-Error-Code": "RepoNotFound"}

    def _ranged(self, content: bytes, request: Any) -> tuple[int, bytes, dict[str, str]]:
        asked = request.headers.get("Range")
        if not asked or self.ignore_ranges:
            return 200, content, {}
        first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        return 206, part, {"Content-Range": f"bytes {first}-{last}/{len(content)}"}

    def _tree(self, rest: str, query: dict[str, list[str]]) -> tuple[int, bytes, dict[str, str]]:
        revision, _, folder = rest.partition("/")
        if revision not in (self.commit, "main"):
            return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
        prefix = f"{folder}/" if folder else ""
        names = sorted(n for n in self.files if n.startswith(prefix))
        if not names:
            return 404, b"{}", {"X-Error-Code": "EntryNotFound"}
        if query.get("recursive", ["false"])[0].lower() not in ("true", "1"):
            names = sorted({prefix + name.removeprefix(prefix).split("/")[0] for name in names})
        start = int(query.pop("cursor", ["0"])[0])
        page = [self._entry(name) for name in names[start : start + self.page_size]]
        headers = {}
        if start + self.page_size < len(names):
            more = urlencode(query | {"cursor": [str(start + self.page_size)]}, doseq=True)
            address = f"{self.url}{request_path(self.repo, rest)}?{more}"
            headers["Link"] = f'<{address}>; rel="next"'
        return self._json(page, headers)

    def _entry(self, name: str) -> dict[str, Any]:
        if name not in self.files:
            return {"type": "directory", "path": name, "size": 0, "oid": self.commit}
        raw = self.files[name]
        entry: dict[str, Any] = {
            "type": "file",
            "path": name,
            "size": len(raw),
            "oid": hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest(),
        }
        if name.endswith((".parquet", ".tar")):
            sha = hashlib.sha256(raw).hexdigest()
            entry["lfs"] = {"oid": sha, "size": len(raw), "pointerSize": 134}
        return entry

    @staticmethod
    def _json(
        value: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        return (
            200,
            json.dumps(value).encode(),
            {"Content-Type": "application/json"} | (headers or {}),
        )


def request_path(repo: str, rest: str) -> str:
    return f"/api/datasets/{repo}/tree/{rest}"
