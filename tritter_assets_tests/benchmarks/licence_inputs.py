"""What `licence_accuracy` reads: pinned downloads, or a folder that someone names.

`licence_inputs.tsv` pins each file by SHA-256. `pypi` are 309 packages of under 1 MB: names of
tools that people use, copyleft ones among them, and a random draw of a build image's wheels;
`debian` are the source packages under 1.5 MB among what such an image installs and a random draw of
the archive; `hard` are the sources the issue names. None was left out for what was found in it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tritter_assets.contracts.source import SdistOrigin
from tritter_assets.sources.download import fetch_verified
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.sdist import SdistLoader
from tritter_assets_tests.benchmarks.harness import CACHE, ROOT

FOLDER = CACHE / "licences"
_PINS = Path(__file__).with_name("licence_inputs.tsv")
_NPM = "https://registry.npmjs.org"
_DEBIAN = "http://deb.debian.org/debian"
_WAY_OUT = "check the network, or name a folder of your own in BENCH_CORPUS"
_DOWNLOADS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Paths of the inputs of each set."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """SPDX id -> text."""
    sdists: tuple[Path, ...] = ()
    debian: tuple[tuple[Path, Path], ...] = ()
    """(source, packaging) of each Debian package."""
    hard: tuple[Path, ...] = ()
    """Sources whose files ScanCode is asked about as well."""
    labelled: tuple[Path, ...] = ()
    """Parquet files of the columns path, content, label."""
    missing: tuple[str, ...] = ()
    """Pinned files that could not be had, with why."""


def given_inputs(folder: Path) -> Inputs:
    """Returns what a folder holds, below any depth.

    `*.orig.tar.*` beside `*.debian.tar.*` are Debian packages, other `*.tar.gz` are sdists, and
    `*.parquet` hold labelled rows. A single Parquet file may be named as well.
    """
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    packaging = {path.name.split("_")[0]: path for path in files if ".debian.tar." in path.name}
    pairs = [
        (path, packaging[path.name.split("_")[0]])
        for path in files
        if ".orig.tar." in path.name and path.name.split("_")[0] in packaging
    ]
    taken = {path for pair in pairs for path in pair}
    sdists = tuple(p for p in files if p.name.endswith(".tar.gz") and p not in taken)
    return Inputs(
        sdists=sdists,
        hard=sdists,
        debian=tuple(pairs),
        labelled=tuple(path for path in files if path.suffix == ".parquet"),
    )


def pinned_inputs() -> Inputs:
    """Fetches the pinned files, 190 MB, once; what cannot be had is named and left out."""
    lines = [line.split("\t") for line in _PINS.read_text("utf-8").splitlines()[1:]]
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        fetched = list(pool.map(lambda line: _fetch(*line), lines))
    by_kind: dict[str, dict[str, Path]] = {"npm": {}, "pypi": {}, "debian": {}, "hard": {}}
    missing: list[str] = []
    for (kind, _, _, file, _), got in zip(lines, fetched, strict=True):
        if isinstance(got, Path):
            by_kind[kind][file] = got
        else:
            missing.append(f"{file}: {got}")
    packaging = {
        name.rsplit("/", 1)[-1].split("_")[0]: path
        for name, path in by_kind["debian"].items()
        if ".debian.tar." in name
    }
    sources = {n: p for n, p in by_kind["debian"].items() if ".orig.tar." in n}
    return Inputs(
        texts=dict(kv for path in by_kind["npm"].values() for kv in _texts(path)),
        sdists=tuple(by_kind["pypi"].values()),
        debian=tuple(
            (path, packaging[key])
            for name, path in sources.items()
            if (key := name.rsplit("/", 1)[-1].split("_")[0]) in packaging
        ),
        hard=tuple(by_kind["hard"].values()),
        missing=tuple(missing),
    )


def _fetch(kind: str, name: str, version: str, file: str, sha256: str) -> Path | str:
    try:
        if kind in ("pypi", "hard"):
            origin = SdistOrigin(package=name, version=version, sha256=sha256)
            context = LoaderContext(cache=CACHE if kind == "hard" else FOLDER, project_root=ROOT)
            return SdistLoader().fetch(origin, context)
        base = _NPM if kind == "npm" else _DEBIAN
        target = FOLDER / kind / file.rsplit("/", 1)[-1]
        what = f"{kind} {name}"
        return fetch_verified(f"{base}/{file}", target, sha256=sha256, what=what, way_out=_WAY_OUT)
    except Exception as error:  # any cause is reported: an input is missing
        return f"{type(error).__name__}: {error}"[:200]


def _texts(package: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(package, "r:gz") as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            if folder.endswith("/licenses") and name.endswith(".json"):
                source = archive.extractfile(member)
                assert source is not None
                yield name.removesuffix(".json"), json.loads(source.read())["licenseText"]
