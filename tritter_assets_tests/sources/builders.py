"""Small archives, contracts and a stand-in for licence conclusion."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from tritter_assets.contracts.source import LicenceFacts, Origin, SourceContract
from tritter_assets.record import Modality
from tritter_assets.sources.loader import LoaderContext

PKG_INFO = """\
Metadata-Version: 2.4
Name: Small.Package
Version: 1.2
Project-URL: Documentation, https://docs.example.org
Project-URL: Source, https://github.com/Owner/small-package.git
Author-email: Ann Author <Ann@Example.org>
Maintainer-email: "Maint, R." <m@example.org>
License-Expression: MIT
Classifier: License :: OSI Approved :: MIT License
Classifier: Programming Language :: Rust

Description body with License: GPL
"""

SMALL_TREE: dict[str, bytes] = {
    "PKG-INFO": PKG_INFO.encode(),
    "LICENSE": b"MIT License\n\nCopyright (c) 2024 Ann Author\n",
    "README.md": b"# Small\n",
    "src/lib.rs": b"pub fn one() -> u8 { 1 }\n",
    "src/small/__init__.py": b"",
    "src/small/core.py": b"def one():\n    return 1\n",
    "src/small/copy.py": b"def one():\n    return 1\n",
    "src/small/latin.py": b"# -*- coding: iso-8859-1 -*-\nNAME = 'caf\xe9'\n",
    "src/small/broken.py": b"x = '\xff\xfe\xfd\xfc'\n",
    "src/small/data.bin": b"\x00\x01\x02",
    "vendor/crate/Cargo.toml": b'[package]\nname = "crate"\nlicense = "MIT/Apache-2.0"\n',
    "vendor/crate/src/lib.rs": b"pub fn two() {}\n",
}


def tar_gz(
    files: Mapping[str, bytes], top: str = "small_package-1.2", extra: tuple[Any, ...] = ()
) -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}" if top else name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info, io.BytesIO(b"\0" * info.size) if info.isreg() else None)
    return out.getvalue()


def ar(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return out


def deb(data: bytes, name: str = "data.tar.gz") -> bytes:
    return ar(("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data))


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def contract_of(origin: Origin, **changes: Any) -> SourceContract:
    facts: dict[str, Any] = {
        "id": "small",
        "title": "Small",
        "description": "For tests.",
        "owner": "team:data",
        "tier": 3,
        "priority": 10,
        "modality": Modality.CODE,
        "languages": ("python", "rust"),
        "profiles": ("starter",),
        "columns": {},
        "licence": LicenceFacts(),
        "num_shards": 1,
        "digest": "d",
    }
    return SourceContract(origin=origin, **(facts | changes))


def context_of(folder: Path, **changes: Any) -> LoaderContext:
    facts: dict[str, Any] = {"cache": folder / "cache", "project_root": folder}
    return LoaderContext(**(facts | changes))


class PlainConcluder:
    """Fills the licence columns with constants: conclusions have their own tests."""

    def __init__(self, policy: Any, contract: SourceContract, evidence: Mapping[str, Any]) -> None:
        self.evidence = evidence

    def conclude(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            license_concluded=pl.lit("MIT"),
            license_method=pl.lit("license_file"),
            license_confidence=pl.lit(1.0, pl.Float32),
            license_evidence=pl.lit("[]"),
            license_wrapper=pl.lit("NOASSERTION"),
            access_terms=pl.lit("none"),
            generator=pl.lit("human"),
        )


@contextmanager
def without_licences() -> Iterator[Any]:
    """Yields a policy for ingestion with `PlainConcluder` in the place of real conclusions."""
    from tritter_assets.licensing import conclude

    real = conclude.Concluder
    conclude.Concluder = PlainConcluder  # type: ignore[assignment,misc]
    try:
        yield SimpleNamespace(conclusion_digest="policy")
    finally:
        conclude.Concluder = real  # type: ignore[misc]
