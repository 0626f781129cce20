"""From upstream's rows to document rows, by the contract's column mapping."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import polars as pl

from tritter_assets.contracts.preference_pair import PAIR, PreferencePair
from tritter_assets.contracts.source import SourceContract
from tritter_assets.record import Modality
from tritter_assets.sources.frames import LOADER_SCHEMA
from tritter_assets.sources.language import guess_language, language_name, modality_of_file
from tritter_assets.sources.loader import SkipReason
from tritter_assets.sources.mapping_paths import value_at
from tritter_assets.sources.package_info import repository_of
from tritter_assets.sources.text import decode_text, is_storable

BLOB_COLUMN = "blob_id"
ENCODING_COLUMN = "src_encoding"
"""Columns of the Software Heritage datasets."""

_LISTS = frozenset({"author_emails", "derived_from"})
_BINARIES = frozenset({"image", "audio"})
_PEOPLE = ("user", "human", "prompter")
_ANSWERERS = ("assistant", "gpt", "model", "chatgpt")
_MISSING = (None, "", [])
_REPOSITORIES = re.compile(r"[^\s,/]+/[^\s,/]+(?:,[^\s,/]+/[^\s,/]+)+")


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFacts:
    """What a row is given when upstream has no column for it."""

    repo: str
    file: str
    revision: str
    url: str | None
    split: str | None


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Document column -> path into the upstream row."""

    paths: Mapping[str, tuple[str, ...]]
    modality: Modality
    languages: tuple[str, ...]

    @classmethod
    def of(cls, contract: SourceContract) -> ColumnMapping:
        """Reads `columns` and the licence's `row_column` of a contract."""
        columns = dict(contract.columns)
        if contract.licence.row_column and "license_declared" not in columns:
            columns["license_declared"] = contract.licence.row_column
        return cls(
            {ours: tuple(theirs.split(".")) for ours, theirs in columns.items()},
            contract.modality,
            contract.languages,
            filter_columns=contract.row_filter.columns if contract.row_filter else (),
            pair=contract.preference_pair,
        )

    blob_column: str | None = None
    """Upstream column with the blob id that stands in for the content."""
    filter_columns: tuple[str, ...] = ()
    """Paths that the contract's row filter looks at."""
    pair: PreferencePair | None = None
    """How a row's two answers are found; the paths under `pair` lead into what is found."""

    def for_blobs(self) -> ColumnMapping:
        """Returns the mapping of rows that carry a blob id (`content`'s column, or `blob_id`)."""
        paths = dict(self.paths)
        blob = paths.pop("content", (BLOB_COLUMN,))
        return replace(self, paths=paths, blob_column=blob[0])

    @property
    def upstream_columns(self) -> tuple[str, ...]:
        """Top-level upstream columns, each once, in the contract's order."""
        names = [path[0] for path in self.paths.values()]
        if self.pair is not None:
            names = [name for name in names if name != PAIR]
            names += [column.split(".", 1)[0] for column in self.pair.columns]
        names += [column.split(".", 1)[0] for column in self.filter_columns]
        if self.blob_column:
            names += [self.blob_column, ENCODING_COLUMN]
        return tuple(dict.fromkeys(names))

    def document(
        self,
        row: Mapping[str, Any],
        number: int,
        facts: RowFacts,
        *,
        content: str | None = None,
    ) -> dict[str, Any] | SkipReason:
        """Returns the document row of one upstream row, or why there is none.

        An instruction or preference row gets `content` = prompt and answers joined, so that every
        filter sees the whole text, the rejected answer too. A list of chat messages becomes text:
        the first person's turns as the prompt, the model's as the answer. `content`, if given,
        replaces the row's own.
        """
        found = {ours: value_at(row, path) for ours, path in self.paths.items()}
        out: dict[str, Any] = {} if content is None else {"content": content}
        for name, value in found.items():
            held = converted(name, value)
            if isinstance(held, SkipReason):
                return held
            if held is not None:
                out[name] = held
        if self.modality in (Modality.INSTRUCTION, Modality.PREFERENCE):
            problem = self._join_turns(out, found)
            if problem is not None:
                return problem
        elif not out.get("content") and out.get("instruction") and out.get("response"):
            out["content"] = f"{out['instruction']}\n\n{out['response']}"
        if not out.get("content"):
            if not (out.get("image") or out.get("audio")):
                return SkipReason.EMPTY
            out["content"] = ""
        if not all(is_storable(v) for v in out.values() if isinstance(v, str)):
            return SkipReason.UNDECODABLE
        self._fill(out, number, facts)
        return out

    def _join_turns(self, out: dict[str, Any], found: Mapping[str, Any]) -> SkipReason | None:
        chat = next((v for v in found.values() if is_chat(v)), None)
        if chat is not None and "instruction" not in found:
            out["instruction"] = _turns(chat, _PEOPLE)
        answer = "chosen" if self.modality is Modality.PREFERENCE else "response"
        if self.modality is Modality.PREFERENCE:
            for side in ("chosen", "rejected"):
                if is_chat(found.get(side)):
                    out[side] = _turns(found[side], _ANSWERERS)
        elif chat is not None and not out.get("response"):
            out["response"] = _turns(chat, _ANSWERERS)
        wanted = ("instruction", "response")
        if self.modality is Modality.PREFERENCE:
            wanted = ("instruction", "chosen", "rejected")
        if "instruction" not in out and answer == "response" and out.get("content"):
            return None  # a corpus of whole texts
        if not all(out.get(name) for name in wanted):
            return SkipReason.EMPTY
        out["content"] = "\n\n".join(out[name] for name in wanted)
        return None

    def _fill(self, out: dict[str, Any], number: int, facts: RowFacts) -> None:
        if out.get("repo"):
            out["repo"], owner = repository_keys(out["repo"])
            if owner and not out.get("owner"):
                out["owner"] = owner
        else:
            out["repo"] = facts.repo
        stated_path = out.get("path")
        out["path"] = stated_path or f"{facts.file}#{number}"
        if not out.get("revision"):
            out["revision"] = facts.revision
        if not out.get("url") and facts.url:
            out["url"] = facts.url
        if not out.get("split") and facts.split:
            out["split"] = facts.split
        if out.get("language"):
            out["language"] = language_name(out["language"])
        elif len(self.languages) == 1:
            out["language"] = self.languages[0]
        else:
            # The name of the data file that holds the row says nothing of the row.
            out["language"] = guess_language(stated_path) if stated_path else None
        out["modality"] = str(modality_of_file(out["language"], self.modality))

    def place(self, row: Mapping[str, Any], number: int, facts: RowFacts) -> Place:
        """Returns where a row that gave no document would have stood."""
        held = {
            name: converted(name, value_at(row, self.paths[name]))
            for name in Place._fields
            if name in self.paths
        }
        return place_of(held, number, facts)


class Place(NamedTuple):
    """Where a row stands upstream."""

    repo: str
    path: str
    revision: str


def place_of(held: Mapping[str, Any], number: int, facts: RowFacts) -> Place:
    """Returns the place of a row with these values of `Place`'s columns, some perhaps missing."""
    repo, path, revision = (
        value if isinstance(value := held.get(name), str) and value else None
        for name in Place._fields
    )
    return Place(
        repository_keys(repo)[0] if repo else facts.repo,
        path or f"{facts.file}#{number}",
        revision or facts.revision,
    )


def repository_keys(stated: str) -> tuple[str, str | None]:
    """Returns `repo` and `owner` of what upstream names.

    An address in a forge becomes owner/name. Of several repositories with the same content
    (`a/x,b/y`) the first is the row's; `owner` then lists its owner and the other repositories
    (`a,b/y`), so that a removal request of any of them finds the row.
    """
    names: list[str] = []
    for part in stated.split(",") if _REPOSITORIES.fullmatch(stated) else [stated]:
        home = repository_of(part) if "://" in part else None
        names.append("/".join(home) if home else part)
    first, *others = dict.fromkeys(names)
    owner = first.split("/", 1)[0] if "/" in first else None
    return first, ",".join([owner, *others]) if owner and others else owner


def converted(name: str, value: Any) -> Any:
    """Returns an upstream value as document column `name` holds it, None, or why it cannot be."""
    if value in _MISSING:
        return None
    if name in _BINARIES:
        # One picture or clip per row; an address of one is not its content.
        items = value if isinstance(value, list) else [value]
        raws = (item.get("bytes") if isinstance(item, Mapping) else item for item in items)
        return next((raw for raw in raws if isinstance(raw, bytes)), None)
    if name in _LISTS:
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]
    if LOADER_SCHEMA[name] == pl.Float32:
        try:
            return float(value)
        except (TypeError, ValueError):
            return SkipReason.MALFORMED_ROW
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        decoded = decode_text(value)
        return decoded if isinstance(decoded, SkipReason) else decoded.text
    if is_chat(value):
        return "\n\n".join(str(_said(message)) for message in value)
    if isinstance(value, list) and name == "license_declared":
        # Several licences found in one file all hold.
        return " AND ".join(str(item) for item in value)
    if isinstance(value, list) and all(isinstance(item, str | None) for item in value):
        # The texts of a page (OBELICS) are paragraphs; a list of names or labels is not.
        return ("\n\n" if name == "content" else "\n").join(item for item in value if item)
    if isinstance(value, bool | int | float):
        return str(value)
    return json.dumps(value, sort_keys=True, default=str)


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages with a speaker."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, Mapping) and ("role" in m or "from" in m) for m in value)
    )


def _said(message: Mapping[str, Any]) -> Any:
    return message.get("content", message.get("value")) or ""


def _turns(chat: list[Mapping[str, Any]], roles: tuple[str, ...]) -> str:
    wanted = [m for m in chat if str(m.get("role", m.get("from"))).lower() in roles]
    return "\n\n".join(str(_said(message)) for message in wanted)
