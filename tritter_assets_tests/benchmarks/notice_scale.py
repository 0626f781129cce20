"""The notice of a million repositories: seconds, and the memory it takes.

    python -m tritter_assets_tests.benchmarks.notice_scale [--repositories=1000000] [--texts=20]

Writes a lake of that many repositories, each with one document in one mix and one licence file
whose text is one of `--texts`, then runs `write_notice` in a process of its own on the starter
profile. `rss_mb` is the peak of that process; `base_mb` that of the same process on the lake of
one repository. With `--texts` as large as `--repositories` every repository has a text of its own.

Prints one JSON object last.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.sources.license_texts import LICENSE_TEXT_SCHEMA
from tritter_assets_tests.benchmarks.harness import ROOT, report
from tritter_assets_tests.lineage import small_lake as small

_BATCH = 20_000
_TEXT = (ROOT / "data_contracts" / "policy" / "license_texts" / "MIT.txt").read_text("utf-8")


def main() -> None:
    options = dict(a.removeprefix("--").split("=") for a in sys.argv[1:] if "=" in a)
    if "measure" in options:
        measure(Path(options["measure"]))
        return
    repositories = int(options.get("repositories", 1_000_000))
    texts = int(options.get("texts", 20))
    with tempfile.TemporaryDirectory(prefix="tritter-notice-scale-") as name:
        one, many = Path(name) / "one", Path(name) / "many"
        write_lake(one, 1, 1)
        write_lake(many, repositories, texts)
        base, found = run(one), run(many)
    report(
        "notice_scale",
        round(repositories / found["cpu_s"]),
        "repositories per CPU second",
        {},
        None,
        repositories=found["counts"]["repositories"],
        own_texts=found["counts"]["own_texts"],
        seconds=round(found["seconds"], 1),
        cpu_s=round(found["cpu_s"], 1),
        rss_mb=found["rss_mb"],
        base_mb=base["rss_mb"],
        memory_limit_mb=found["memory_limit_mb"],
        notice_mb=round(found["bytes"] / 1e6, 1),
    )


def run(lake: Path) -> dict[str, Any]:
    """Writes the notice of a lake in a new process."""
    command = [sys.executable, "-m", "tritter_assets_tests.benchmarks.notice_scale"]
    ran = subprocess.run(
        [*command, f"--measure={lake}"], check=True, cwd=ROOT, capture_output=True, text=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


def measure(root: Path) -> None:
    """Writes the notice, and prints what it took."""
    import resource
    import time

    from tritter_assets.compliance.notice import write_notice

    catalog = small.full_catalog()
    begin = time.perf_counter()
    summary = write_notice(Lake.at(root), catalog=catalog, fingerprint=fingerprint_of("bench"))
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "seconds": seconds,
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": round(used.ru_maxrss / 1024),
        "memory_limit_mb": catalog.profile.memory_limit_bytes >> 20,
        "counts": dict(summary.counts),
        "bytes": summary.size_bytes,
    }
    print(json.dumps(found))


def write_lake(root: Path, repositories: int, texts: int) -> None:
    lake, shard = Lake.at(root), {"shard": "000"}
    tables = (
        ("filtered/alpha", DOCUMENT_SCHEMA, shard, document),
        ("mix/phase1_base", MIX_SCHEMA, {}, mix_row),
        ("license_texts/alpha", LICENSE_TEXT_SCHEMA, shard, licence_file),
    )
    for table, schema, partition, make in tables:
        lake.write(
            table,
            batches(repositories, texts, schema, make),
            schema,
            fingerprint=fingerprint_of(table),
            partition=partition,
        )


def batches(
    repositories: int, texts: int, schema: pa.Schema, make: Any
) -> Iterator[pa.RecordBatch]:
    for start in range(0, repositories, _BATCH):
        rows = [make(n, texts) for n in range(start, min(start + _BATCH, repositories))]
        yield from pa.Table.from_pylist(rows, schema=schema).to_batches()


def document(number: int, _: int = 0) -> dict[str, Any]:
    repo = f"owner{number % 9973}/project{number}"
    attribution = f"Copyright (c) {2000 + number % 25} Holder {number}\nCopyright The Authors"
    row = small.row("alpha", repo, "src/a.py", f"x = {number}\n", attribution=attribution)
    return row | {"id": f"{number:032x}"}


def mix_row(number: int, _: int) -> dict[str, Any]:
    return small.mix_row(document(number), "filtered/alpha", 9)


def licence_file(number: int, texts: int) -> dict[str, Any]:
    text = f"Copyright (c) 2020 Holder {number % texts}\n\n{_TEXT}"
    return {
        "id": f"{number:032x}",
        "source": "alpha",
        "shard": "000",
        "repo": f"owner{number % 9973}/project{number}",
        "path": "LICENSE",
        "sha256": sha256(text.encode()).hexdigest(),
        "text": text,
    }


if __name__ == "__main__":
    main()
