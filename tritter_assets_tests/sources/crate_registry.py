"""A local Cargo registry: the sparse index and the download folder of small crates."""

from __future__ import annotations

import json
from typing import Any

from tritter_assets.sources.crate_index import index_path
from tritter_assets_tests.sources.builders import sha256, tar_gz
from tritter_assets_tests.sources.servers import Server

MIT = "MIT License\n\nCopyright (c) 2020 Ann Author\n\nPermission is hereby granted, free of charge"


def crate_archive(name: str, version: str, files: dict[str, str], manifest: str = "") -> bytes:
    head = f'[package]\nname = "{name}"\nversion = "{version}"\n{manifest}'
    tree = {"Cargo.toml": head, **files}
    return tar_gz({k: v.encode() for k, v in tree.items()}, f"{name}-{version}")


class CrateRegistry(Server):
    """`/index/<path>` is the sparse index, `/crates/<name>/<name>-<version>.crate` the files."""

    def __init__(self, crates: dict[tuple[str, str], bytes]) -> None:
        super().__init__()
        self.files = {f"/crates/{n}/{n}-{v}.crate": raw for (n, v), raw in crates.items()}
        self.index: dict[str, list[dict[str, Any]]] = {}
        for (name, version), raw in crates.items():
            entry = {"name": name, "vers": version, "cksum": sha256(raw), "yanked": False}
            self.index.setdefault(f"/index/{index_path(name)}", []).append(entry)

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if request.path in self.files:
            return 200, self.files[request.path], {}
        if request.path in self.index:
            lines = "".join(json.dumps(entry) + "\n" for entry in self.index[request.path])
            return 200, lines.encode(), {"Content-Type": "text/plain"}
        return 404, b"not found", {}
