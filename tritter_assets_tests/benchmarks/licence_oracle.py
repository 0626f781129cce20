"""ScanCode as an oracle: what it finds in the heads of 200 files of the hard packages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tritter_assets.licensing.expression import canonical, join_and
from tritter_assets.licensing.header import scan_header
from tritter_assets.record import NOASSERTION
from tritter_assets.sources.archive import read_archive
from tritter_assets.sources.loader import Limits
from tritter_assets.sources.text import Decoded, decode_text
from tritter_assets_tests.benchmarks.licence_inputs import FOLDER
from tritter_assets_tests.benchmarks.licence_tally import Answer
from tritter_assets_tests.benchmarks.peers.environments import environment

FILES = 200
_SECONDS = 900
_HEAD = 4096
_SUFFIXES = (".py", ".pyx", ".c", ".h", ".cpp", ".hpp", ".rs", ".sh", ".ps1", ".js")
"""Code: a manifest or a page of prose has no head that speaks for it."""
_REFERENCE = "LicenseRef-scancode-unknown-license-reference"
"""ScanCode's word for "see LICENSE": no licence of its own."""


class NoOracle(Exception):
    """ScanCode is not at hand."""


def oracle_answers(sources: tuple[Path, ...]) -> Iterator[Answer]:
    """Yields our reading of each file's head, labelled by ScanCode's.

    The files are those whose head speaks of a licence or of copyright, in the order of the hash of
    their path, the same number from each source. Only ScanCode's matches that begin in the head
    count, and not its "unknown licence reference". A head in which it finds nothing has no label.

    Raises:
        NoOracle: ScanCode is neither named by SCANCODE nor can be installed.
    """
    texts = dict(_sample(sources))
    for path, label in (_scanned(texts) if texts else {}).items():
        head = scan_header(texts[path])
        yield Answer("oracle", path, label, (head.expression if head else None) or NOASSERTION)


def _sample(sources: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    each = -(-FILES // max(len(sources), 1))
    for source in sources:
        name = source.name.split("-")[0]
        files: list[tuple[str, str]] = []
        for member in read_archive(source, "tar.gz", Limits(), pass_links=True):
            if member.path.endswith(_SUFFIXES) and 200 < len(member.content) < 60_000:
                found = decode_text(member.content)
                if isinstance(found, Decoded) and _speaks(found.text[:_HEAD]):
                    files.append((f"{name}/{member.path}", found.text))
        files.sort(key=lambda entry: hashlib.sha256(entry[0].encode()).hexdigest())
        yield from files[:each]


def _speaks(head: str) -> bool:
    return any(word in head for word in ("icense", "opyright", "SPDX", "GPL"))


def _scanned(texts: dict[str, str]) -> dict[str, str]:
    """Returns path -> SPDX expression; remembered by the texts' hash, as a scan takes 100 s."""
    digest = hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()[:16]
    known = FOLDER / f"scancode-{digest}.json"
    if not known.exists():
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(_scan(texts)))
    return json.loads(known.read_text())


def _scan(texts: dict[str, str]) -> dict[str, str]:
    command = os.environ.get("SCANCODE") or shutil.which("scancode")
    if command is None:
        try:
            command = str(environment("scancode").with_name("scancode"))
        except (subprocess.SubprocessError, OSError) as error:
            raise NoOracle(f"scancode cannot be installed: {error}") from None
    with tempfile.TemporaryDirectory() as folder:
        names = {f"{number}/{Path(path).name}": path for number, path in enumerate(sorted(texts))}
        for name, path in names.items():
            target = Path(folder) / "files" / name
            target.parent.mkdir(parents=True)
            target.write_text(texts[path], "utf-8")
        out = Path(folder) / "found.json"
        options = ["--license", "-n", "1", "--quiet", "--json", str(out)]
        try:
            subprocess.run(
                [command, *options, str(Path(folder) / "files")],
                check=True,
                capture_output=True,
                timeout=_SECONDS,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise NoOracle(f"{command} failed: {error}"[:200]) from None
        found = json.loads(out.read_text())["files"]
    files = {
        names[entry["path"].split("/", 1)[1]]: entry for entry in found if entry["type"] == "file"
    }
    return {path: _label(entry, texts[path]) for path, entry in files.items()}


def _label(entry: dict[str, Any], text: str) -> str:
    lines_in_head = text[:_HEAD].count("\n") + 1
    found = {
        match["license_expression_spdx"]
        for detection in entry["license_detections"]
        for match in detection["matches"]
        if match["start_line"] <= lines_in_head
    } - {_REFERENCE}
    return join_and(canonical(expression) or NOASSERTION for expression in found)
