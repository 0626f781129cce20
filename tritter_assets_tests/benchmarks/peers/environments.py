"""Builds a peer's virtual environment once, under `.bench/peers`, and runs its script there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets_tests.benchmarks.harness import CACHE, ROOT
from tritter_assets_tests.benchmarks.peers.measure import PAIRS_NAME

_REQUIREMENTS = Path(__file__).parent / "requirements"
_RUN_SECONDS = 600
_INSTALL_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool, and how much of the corpus (its first documents) it is given."""

    name: str
    megabytes: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one peer did, or why it did nothing."""

    name: str
    version: str = ""
    documents: int = 0
    megabytes: float = 0.0
    cpu_s: float = 0.0
    pairs: np.ndarray | None = None
    counts: dict[str, Any] | None = None
    skipped: str = ""

    @property
    def rate(self) -> float:
        return self.megabytes / self.cpu_s if self.cpu_s else 0.0


def measure_peer(peer: Peer, content: pa.Array) -> Measured:
    """Runs one peer on the first documents of the corpus, in a child process on one core."""
    try:
        python = environment(peer.name)
    except (subprocess.SubprocessError, OSError) as error:
        return Measured(name=peer.name, skipped=f"cannot be installed: {last_line(error)}")
    ends = np.cumsum(pl.Series(content).str.len_bytes().to_numpy())
    rows = max(int(np.searchsorted(ends, peer.megabytes * 1e6, side="right")), 1)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.parquet"
        table = pa.table({"number": np.arange(rows), "content": content.slice(0, rows)})
        pq.write_table(table, corpus)
        try:
            found = run_script(python, peer.name, corpus)
        except subprocess.SubprocessError as error:
            return Measured(name=peer.name, skipped=f"failed: {last_line(error)}")
        pairs = corpus.with_name(PAIRS_NAME)
        found_pairs = np.load(pairs) if pairs.exists() else None
    return Measured(
        name=peer.name,
        version=_pin(peer.name),
        documents=rows,
        megabytes=float(ends[rows - 1]) / 1e6,
        cpu_s=found.pop("cpu_s"),
        pairs=found_pairs,
        counts=found,
    )


def run_script(python: Path, name: str, *arguments: object) -> dict[str, Any]:
    """Runs a peer's script on one core and returns its last line."""
    ran = subprocess.run(
        [str(python), "-m", f"tritter_assets_tests.benchmarks.peers.{name}", *map(str, arguments)],
        check=True,
        cwd=ROOT,
        env=_one_thread(),
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def environment(name: str) -> Path:
    """Returns the Python of the environment, built when its requirements have changed."""
    requirements = _REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = CACHE / "peers" / name
    python, mark = folder / "bin" / "python", folder / "requirements.sha256"
    if not (mark.exists() and mark.read_text() == digest):
        print(f"installing {name} into {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
        mark.write_text(digest)
    return python


def _one_thread() -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    quiet = {"DAFT_PROGRESS_BAR": "0", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "true"}
    return os.environ | dict.fromkeys(names, "1") | quiet


def _pin(name: str) -> str:
    lines = (_REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    tool = name.replace("_", "-")
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{tool}=="))


def last_line(error: Exception) -> str:
    """Returns why a peer did not run, on one line."""
    lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
    return lines[-1][:200] if lines else type(error).__name__
