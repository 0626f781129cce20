"""Chooses the data files of a dataset repository as its card and its folder names say."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tritter_assets.contracts.source import HubOrigin
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.data_file import EXTENSIONS
from tritter_assets.sources.globs import selects
from tritter_assets.sources.hub_client import Listing
from tritter_assets.sources.loader import UpstreamFile

_SPLIT_WORD = re.compile(r"(?:^|[/_.\-])(train|test|validation|valid|val|dev|eval)(?=[/_.\-])")
_SAME_SPLIT = {"valid": "validation", "val": "validation", "dev": "validation", "eval": "test"}


def choose_files(listing: Listing, origin: HubOrigin) -> tuple[UpstreamFile, ...]:
    """Returns the data files of a config and split, sorted by name.

    `data_files` of the contract decides alone. Otherwise the card's `configs` do, and where it has
    none, the folder named by `data_dir` or `config`; a file whose path names another split is left
    out, one that names none belongs to `train`.

    Raises:
        UpstreamUnavailable: nothing is left; the message lists what there is.
    """
    data = [file for file in listing.files if _is_data(file.name, origin.file_format)]
    if origin.data_files:
        chosen = [file for file in data if selects(file.name, origin.data_files)]
    else:
        chosen = _by_card(data, listing, origin) or _by_folder(data, origin)
    if not chosen:
        configs = ", ".join(_card_configs(listing.readme)) or "none"
        raise UpstreamUnavailable(
            f"hub {origin.repo}@{listing.revision}: no {origin.file_format} file for config "
            f"{origin.config!r}, data_dir {origin.data_dir!r}, split {origin.split!r}; the card "
            f"names the configs {configs}, the listing has {len(data)} {origin.file_format} files "
            f"of {len(listing.files)}. Correct the contract's origin"
        )
    return tuple(sorted(chosen, key=lambda file: file.name))


def _is_data(name: str, file_format: str) -> bool:
    return name.lower().endswith(EXTENSIONS.get(file_format, ())) and not name.startswith(".")


def _by_card(data: list[UpstreamFile], listing: Listing, origin: HubOrigin) -> list[UpstreamFile]:
    configs = _card_configs(listing.readme)
    if origin.data_dir is not None:
        return []
    name = origin.config or ("default" if "default" in configs else None)
    if name is None and len(configs) == 1:
        name = next(iter(configs))
    if name not in configs:
        return []
    entry = configs[name]
    folder = str(entry.get("data_dir") or "").strip("/")
    patterns = _patterns(entry.get("data_files"), origin.split)
    if patterns is None:
        prefix = f"{folder}/" if folder else ""
        return [f for f in data if f.name.startswith(prefix) and _in_split(f.name, origin.split)]
    anchored = tuple(f"{folder}/{p}" if folder else p for p in patterns)
    return [file for file in data if selects(file.name, anchored)]


def _by_folder(data: list[UpstreamFile], origin: HubOrigin) -> list[UpstreamFile]:
    folder = (origin.data_dir or "").strip("/")
    prefixes = [f"{folder}/"] if folder else [""]
    if origin.config and not folder:
        prefixes = [f"{origin.config}/", f"data/{origin.config}/"]
    for prefix in prefixes:
        found = [
            file
            for file in data
            if file.name.startswith(prefix) and _in_split(file.name, origin.split)
        ]
        if found:
            return found
    return []


def _card_configs(readme: str) -> dict[str, dict[str, Any]]:
    if not readme.startswith("---"):
        return {}
    head = readme[3:].split("\n---", 1)[0]
    try:
        card = yaml.safe_load(head)
    except yaml.YAMLError:
        return {}
    configs = card.get("configs") if isinstance(card, dict) else None
    if not isinstance(configs, list):
        return {}
    return {
        str(entry.get("config_name", "default")): entry
        for entry in configs
        if isinstance(entry, dict)
    }


def _patterns(data_files: Any, split: str) -> tuple[str, ...] | None:
    """Globs of a split; None when the card leaves them to the file names."""
    if data_files is None:
        return None
    if isinstance(data_files, str):
        data_files = [data_files]
    if isinstance(data_files, dict):
        data_files = [{"split": key, "path": value} for key, value in data_files.items()]
    patterns: list[str] = []
    for entry in data_files:
        if isinstance(entry, str):
            if split == "train":
                patterns.append(entry)
        elif str(entry.get("split", "train")) == split:
            paths = entry.get("path") or []
            patterns.extend([paths] if isinstance(paths, str) else paths)
    return tuple(str(pattern).removeprefix("./") for pattern in patterns)


def _in_split(name: str, split: str) -> bool:
    words = _SPLIT_WORD.findall(name.lower())
    if not words:
        return split == "train"
    last = words[-1]
    return _SAME_SPLIT.get(last, last) == _SAME_SPLIT.get(split, split)
