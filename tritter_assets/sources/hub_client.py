"""What the hub loader asks of a Hugging Face Hub: a listing at a revision, and byte ranges.

Requests go through `huggingface_hub`'s own client: its token, its redirects, and its retries of
429 (Retry-After), 408, 5xx and broken connections.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.sources.loader import UpstreamFile

DEFAULT_ENDPOINT = "https://huggingface.co"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK_BYTES = 4 << 20
_SHORT_READS = 3
_README = "README.md"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a dataset repository at one commit."""

    revision: str
    files: tuple[UpstreamFile, ...]
    readme: str
    """Text of the dataset card; empty when there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubClient:
    """Reads dataset repositories of one endpoint."""

    endpoint: str | None = None
    """None: `HF_ENDPOINT`, or huggingface.co."""
    token: str | bool | None = None
    """None: the token of `hf auth login` or `HF_TOKEN`."""

    @property
    def address(self) -> str:
        """The endpoint without a final slash."""
        found = self.endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
        return found.rstrip("/")

    def listing(
        self,
        repo: str,
        revision: str,
        folder: str | None,
        cache: Path,
        *,
        branch: str | None = None,
    ) -> Listing:
        """Lists a repository, or one folder of it, and reads its card.

        The listing of a commit cannot change, so it is kept in `cache` and needs no network again.
        An unpinned revision is the newest of `branch` (None: the default branch).

        Raises:
            UpstreamUnavailable: the repository, revision or folder is not there or not open to us.
        """
        pinned = _COMMIT.fullmatch(revision) is not None
        name = f"{(folder or '_all').replace('/', '--')}.json"
        stored = cache / "hub" / repo.replace("/", "--") / revision / name
        if pinned and stored.is_file():
            raw = json.loads(stored.read_text(encoding="utf-8"))
            files = tuple(UpstreamFile(**file) for file in raw["files"])
            return Listing(revision, files, raw["readme"])
        listing = self._list(repo, revision if pinned else branch or "main", folder)
        if pinned:
            stored.parent.mkdir(parents=True, exist_ok=True)
            partial = stored.with_name(f".{uuid4().hex}.partial")
            rows = [
                {"name": f.name, "size_bytes": f.size_bytes, "digest": f.digest}
                for f in listing.files
            ]
            text = json.dumps({"files": rows, "readme": listing.readme}, sort_keys=True)
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, stored)
        return listing

    def _list(self, repo: str, revision: str, folder: str | None) -> Listing:
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        api = HfApi(endpoint=self.address, token=self.token)
        with explained(repo, revision):
            if not _COMMIT.fullmatch(revision):
                sha = api.repo_info(repo, repo_type="dataset", revision=revision).sha
                revision = sha or revision
            entries = api.list_repo_tree(
                repo, folder, recursive=True, revision=revision, repo_type="dataset"
            )
            files = [
                UpstreamFile(
                    entry.path, entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id
                )
                for entry in entries
                if isinstance(entry, RepoFile)
            ]
            readme = self._card(api, repo, revision)
        return Listing(revision, tuple(sorted(files, key=lambda file: file.name)), readme)

    def _card(self, api: Any, repo: str, revision: str) -> str:
        found = api.get_paths_info(repo, [_README], revision=revision, repo_type="dataset")
        if not found:
            return ""
        card = UpstreamFile(_README, found[0].size, found[0].blob_id)
        raw = self.open(repo, revision, card).read()
        return raw.decode("utf-8", "replace")

    def open(self, repo: str, revision: str, file: UpstreamFile) -> io.BufferedReader:
        """Opens a file for ranged reading; it is never stored on disk."""
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(
            repo, file.name, repo_type="dataset", revision=revision, endpoint=self.address
        )
        return io.BufferedReader(
            _RangedFile(url, repo, revision, file, self.token), buffer_size=64 << 10
        )


class _RangedFile(io.RawIOBase):
    """A remote file read in blocks; every block's length is checked against what was asked.

    Read from its first byte to its last (lines, CSV, archives), it is also checked against the
    digest in its listing: a SHA-256 for files in large storage, else the id of a git object.
    Larger Parquet and Arrow files are read in part, footer first: there only size and format
    are checked.
    """

    def __init__(
        self, url: str, repo: str, revision: str, file: UpstreamFile, token: str | bool | None
    ) -> None:
        self._url = url
        self._repo = repo
        self._revision = revision
        self._file = file
        self._token = token
        self._position = 0
        self._block_start = 0
        self._block = b""
        self._digest = hashlib.sha256()
        if _COMMIT.fullmatch(file.digest):
            self._digest = hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)
        self._digested = 0
        """Bytes from the start that went through the digest, one after the other."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size_bytes}
        self._position = max(0, base[whence] + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._file.size_bytes - self._position)
        if wanted <= 0:
            return 0
        start = self._position - self._block_start
        if not 0 <= start < len(self._block):
            end = min(self._position + max(wanted, _BLOCK_BYTES), self._file.size_bytes)
            self._block, self._block_start = self._fetch(self._position, end), self._position
            self._check(self._block, self._block_start)
            start = 0
        part = self._block[start : start + wanted]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _check(self, block: bytes, start: int) -> None:
        listed = self._file.digest
        if len(listed) != 2 * self._digest.digest_size or start != self._digested:
            return
        self._digest.update(block)
        self._digested += len(block)
        if self._digested == self._file.size_bytes and self._digest.hexdigest() != listed:
            raise UpstreamChanged(
                f"hub {self._repo}@{self._revision}: {self._file.name} has the digest "
                f"{self._digest.hexdigest()}, its listing says {listed}; run the shard again, and "
                "if that stays, pin another revision"
            )

    def _fetch(self, start: int, end: int) -> bytes:
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

        headers = build_hf_headers(token=self._token)
        headers |= {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        content = b""
        for _ in range(_SHORT_READS):
            with explained(self._repo, self._revision, self._file.name):
                response = http_backoff("GET", self._url, headers=headers, timeout=60)
                hf_raise_for_status(response)
                content = response.content
            whole = response.status_code == 200
            size = len(content) if whole else _total(response.headers.get("Content-Range"))
            if size is not None and size != self._file.size_bytes:
                raise UpstreamChanged(
                    f"hub {self._repo}@{self._revision}: {self._file.name} is {size} bytes, its "
                    f"listing says {self._file.size_bytes}; clear the cached listing and pin the "
                    "revision again"
                )
            if whole:  # a server that ignores ranges
                content = content[start:end]
            if len(content) == end - start:
                return content
        raise UpstreamUnavailable(
            f"hub {self._repo}@{self._revision}: {self._file.name} answers {len(content)} bytes to "
            f"a request for {end - start}, {_SHORT_READS} times; try again later"
        )


def _total(content_range: str | None) -> int | None:
    total = (content_range or "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


@contextmanager
def explained(repo: str, revision: str, file: str = "") -> Iterator[None]:
    """Turns the client's errors into ours, with the way out of each gate.

    Raises:
        UpstreamUnavailable: whatever the client raised.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalTokenNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"hub {repo}@{revision}" + (f": {file}" if file else "")
    page = f"https://huggingface.co/datasets/{repo}"
    try:
        yield
    except GatedRepoError as error:
        raise UpstreamUnavailable(
            f"{what} is gated: read and accept the agreement at {page}, then log in with "
            f"`hf auth login` (or set HF_TOKEN) under that account ({_status(error)})"
        ) from None
    except RevisionNotFoundError:
        raise UpstreamUnavailable(
            f"{what}: there is no such revision; look at {page}/commits/main and pin a commit"
        ) from None
    except RepositoryNotFoundError as error:
        raise UpstreamUnavailable(
            f"{what}: the repository does not exist, was renamed, or is private. Check {page}; "
            f"if you have access, log in with `hf auth login` or set HF_TOKEN ({_status(error)})"
        ) from None
    except EntryNotFoundError:
        raise UpstreamUnavailable(
            f"{what}: no such file or folder at this revision; correct data_dir or data_files, "
            f"see {page}/tree/{revision}"
        ) from None
    except LocalTokenNotFoundError:
        raise UpstreamUnavailable(f"{what} needs a token: log in with `hf auth login`") from None
    except HfHubHTTPError as error:
        advice = {
            401: "log in with `hf auth login` or set HF_TOKEN",
            403: f"your account may not read it: accept the terms at {page}",
            404: f"its bytes are gone: look at {page} and pin another revision",
            429: "the rate limit holds: wait, or log in for a higher one",
        }
        code = getattr(error.response, "status_code", 0)
        raise UpstreamUnavailable(
            f"{what}: {_status(error)}; {advice.get(code, 'try again later')}"
        ) from None
    except Exception as error:
        # Transport errors come from the HTTP library the client happens to use.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests"):
            raise
        raise UpstreamUnavailable(
            f"{what} could not be reached ({type(error).__name__}: {error}); check the network and "
            "HF_ENDPOINT"
        ) from None


def _status(error: Any) -> str:
    response = getattr(error, "response", None)
    return f"HTTP {response.status_code}" if response is not None else type(error).__name__
