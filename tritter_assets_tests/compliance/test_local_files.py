from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tritter_assets.compliance.local_files import license_path
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import ContractViolation, UnsafeArchive, UpstreamUnavailable
from tritter_assets.settings import load_settings
from tritter_assets_tests.licensing.texts import BSD3, MIT

PROJECT = Path(__file__).parents[2]
DEP5 = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    "Files: *\nCopyright: 2020 Jane\nLicense: Expat\n\n"
    "Files: lib/x.c\nCopyright: 2020 Jane\nLicense: ISC\n\n"
    "Files: debian/*\nCopyright: 2021 Joe\nLicense: GPL-2+\n"
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_settings(PROJECT, {}).catalog()


def concluded(path: Path, catalog: Catalog) -> dict[str, str]:
    return {row["path"]: row["license_concluded"] for row in license_path(path, catalog)}


def write_tar(path: Path, files: dict[str, str], *, links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


def write_zip(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def write_deb(path: Path, files: dict[str, str]) -> Path:
    data = write_tar(path.with_suffix(".tar.gz"), files).read_bytes()
    members = {"debian-binary": b"2.0\n", "data.tar.gz": data}
    packed = b"!<arch>\n"
    for name, content in members.items():
        packed += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    path.write_bytes(packed)
    return path


def test_a_wheel_keeps_its_licences_beside_its_metadata(tmp_path: Path, catalog: Catalog) -> None:
    files = {
        "pkg/__init__.py": "x = 1\n",
        "pkg/vendor/b.py": "y = 1\n",
        "pkg-1.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: pkg\nLicense-Expression: MIT\n",
        "pkg-1.0.dist-info/licenses/LICENSE": MIT,
        "pkg-1.0.dist-info/licenses/pkg/vendor/LICENSE": BSD3,
    }
    found = concluded(write_zip(tmp_path / "pkg-1.0-py3-none-any.whl", files), catalog)
    assert found["pkg/__init__.py"] == "MIT"
    assert "BSD-3-Clause" in found["pkg/vendor/b.py"]


def test_a_crate_is_read_by_its_manifest(tmp_path: Path, catalog: Catalog) -> None:
    files = {
        "c-0.1.0/Cargo.toml": '[package]\nname = "c"\nlicense = "MIT OR Apache-2.0"\n',
        "c-0.1.0/src/lib.rs": "pub fn f() {}\n",
    }
    found = concluded(write_tar(tmp_path / "c-0.1.0.crate", files), catalog)
    assert found["src/lib.rs"] == "MIT OR Apache-2.0"


def test_a_built_debian_package_joins_what_its_copyright_file_names(
    tmp_path: Path, catalog: Catalog
) -> None:
    files = {
        "./usr/lib/python3/dist-packages/x.py": "x = 1\n",
        "./usr/share/doc/x/copyright": DEP5,
    }
    found = concluded(write_deb(tmp_path / "x_1.0_all.deb", files), catalog)
    assert found["usr/lib/python3/dist-packages/x.py"] == "ISC AND MIT"


def test_links_in_a_source_archive_are_passed_over(tmp_path: Path, catalog: Catalog) -> None:
    files = {"p-1/LICENSE": MIT, "p-1/a.py": "x = 1\n"}
    archive = write_tar(
        tmp_path / "p-1.tar.gz", files, links={"p-1/README": "LICENSE", "p-1/etc": "/etc/passwd"}
    )
    assert concluded(archive, catalog) == {"LICENSE": "MIT", "a.py": "MIT"}


def test_a_licence_under_another_name(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "terms.txt").write_text(MIT)
    assert concluded(tmp_path / "terms.txt", catalog) == {"terms.txt": "MIT"}
    (tmp_path / "story.txt").write_text("Once upon a time, permission was granted.\n" * 20)
    assert concluded(tmp_path / "story.txt", catalog) == {"story.txt": "NOASSERTION"}


def test_what_cannot_be_read_is_told(tmp_path: Path, catalog: Catalog) -> None:
    with pytest.raises(UpstreamUnavailable, match="does not exist: give a folder"):
        license_path(tmp_path / "missing", catalog)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContractViolation, match=r"empty holds no text .*no files"):
        license_path(tmp_path / "empty", catalog)
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ContractViolation, match="1 binary"):
        license_path(tmp_path / "noise.bin", catalog)
    (tmp_path / "bad.tar.gz").write_bytes(bytes(range(256)))
    with pytest.raises(UnsafeArchive, match=r"damaged or is no tar\.gz"):
        license_path(tmp_path / "bad.tar.gz", catalog)
    (tmp_path / "bad.whl").write_bytes(b"PK no zip")
    with pytest.raises(UnsafeArchive, match="damaged or is no zip"):
        license_path(tmp_path / "bad.whl", catalog)
