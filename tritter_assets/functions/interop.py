"""Pairs of Rust and Python: what PyO3 hands over, and the Python that calls it.

    in    filtered/<source>[shard]: Rust and Python documents of sources that use PyO3
    out   functions/interop[source, shard]: FUNCTION_SCHEMA, sorted by id

| column | meaning |
|---|---|
| content | the Rust part, then the Python part, each piece under a comment that names its file |
| language, path | `rust`, and the path of the Rust item; the Python paths stand in the content |
| name, qualified_name | as Python sees it: `encode`, `_tiktoken.CoreBPE.encode` |
| docstring | the Rust item's documentation |
| start_line, end_line | of the Rust item in its file |
| derived_from | every document that a piece is from |

A row per exported function and per class, with up to `MAX_EXAMPLES` Python functions that call it.
They are ranked: calls with a resolved import before calls matched by name, tests and examples
before other code, those that call more of the item, then the shorter; each further one must call
something that those before it do not. A class longer than `MAX_RUST_BYTES` is split: each row has
its definition, one example, and the methods which that example is the first to call.

Invariants: all pieces are verbatim and of one repository in one shard; the licence is the AND of
the parents'; no pair without a call. Cost: 4 MB/s a core; a parse of each file of a repository
that exports something, and a second of the Python files that reach it; memory is the documents of
one shard, held once. Blind spots: see `interop_rust`, `interop_python`, `interop_uses`; Rust and
Python of one repository in different shards are not paired.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.functions.extract import FUNCTION_SCHEMA, sorted_by_id
from tritter_assets.functions.grammar import GRAMMARS, MAX_SOURCE_BYTES
from tritter_assets.functions.inherit import PARENT_COLUMNS
from tritter_assets.functions.interop_items import Item, exported_items, target_of
from tritter_assets.functions.interop_python import PythonFile, read_python, text_of, walk
from tritter_assets.functions.interop_row import MAX_MODULE_BYTES, Example, pair_row
from tritter_assets.functions.interop_uses import FunctionUses, Repository
from tritter_assets.functions.outline import source_of
from tritter_assets.functions.shards import FingerprintOfShard, stale_shards
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import Modality

__all__ = ["TABLE", "TAGS", "InteropReport", "code_version", "pair_interop"]

STAGE_VERSION = "1"

TABLE = "functions/interop"
TAGS = frozenset({"pyo3", "interop"})
"""Sources with one of these tags are read."""

MAX_RUST_BYTES = 6 << 10
MAX_EXAMPLES = 3
MAX_EXAMPLE_BYTES = 3 << 10
MIN_EXAMPLE_BYTES = 48
MAX_IMPORTS = 12

_EXAMPLE_PATH = re.compile(
    r"(?:^|/)(?:tests?|examples?|docs?|benches|benchmarks)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InteropReport:
    """What one run did; fresh shards were left as they are."""

    num_shards: int
    num_fresh: int
    num_documents: int = 0
    num_exports: int = 0
    """Functions and classes that Rust hands to Python."""
    num_pairs: int = 0
    content_bytes: int = 0
    pairs_by_source: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why something gave no row -> how many: `no_caller`, `unreadable_document`,
    `long_function`, `mixed_generators`."""


def code_version() -> str:
    """Returns the version of everything that decides which pairs are found, and how."""
    bounds = (
        MAX_RUST_BYTES, MAX_EXAMPLES, MAX_EXAMPLE_BYTES, MIN_EXAMPLE_BYTES, MAX_MODULE_BYTES,
        MAX_IMPORTS, MAX_SOURCE_BYTES,
    )  # fmt: skip
    return f"{STAGE_VERSION}.{fingerprint_of(bounds, _EXAMPLE_PATH.pattern)}"


def pair_interop(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    fingerprint_of_shard: FingerprintOfShard,
) -> InteropReport:
    """Writes `functions/interop` for every shard that is not fresh.

    Args:
        lake: Holds `filtered/<source>`.
        inputs: Shards to read.
        fingerprint_of_shard: What a shard's rows are made from.

    Raises:
        MissingProvenance: an input shard was never filtered.
    """
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    by_source: Counter[str] = Counter()
    for shard in stale_shards(lake, TABLE, inputs, fingerprint_of_shard, counts):
        rows: list[dict[str, Any]] = []
        for documents in _repositories(lake, shard.item):
            counts["documents"] += len(documents)
            rows += _pairs(documents, counts, skipped)
        table = pa.Table.from_pylist(rows, schema=FUNCTION_SCHEMA)
        by_source[shard.item.source] += table.num_rows
        counts["bytes"] += sum(row["content_bytes"] for row in rows)
        shard.write(sorted_by_id([table], FUNCTION_SCHEMA), FUNCTION_SCHEMA)
    return InteropReport(
        num_shards=len(inputs),
        num_fresh=counts["fresh"],
        num_documents=counts["documents"],
        num_exports=counts["exports"],
        num_pairs=by_source.total(),
        content_bytes=counts["bytes"],
        pairs_by_source=dict(sorted(by_source.items())),
        skipped=dict(sorted(skipped.items())),
    )


def _repositories(lake: Lake, item: ShardInput) -> Iterator[list[dict[str, Any]]]:
    """Yields the Rust and Python documents of each repository of a shard, sorted."""
    names = {name: language for language in ("rust", "python") for name in GRAMMARS[language].names}
    frames = []
    batches = lake.batches(
        f"filtered/{item.source}", partition={"shard": item.shard}, columns=list(PARENT_COLUMNS)
    )
    for batch in batches:
        frame = pl.DataFrame(batch)
        language = pl.col("language").str.to_lowercase()
        code = (pl.col("modality") == Modality.CODE) & language.is_in(sorted(names))
        frames.append(frame.filter(code).with_columns(language))
    if not frames:
        return
    documents = pl.concat(frames).sort("repo", "path", "id")
    for part in documents.partition_by("repo", maintain_order=True):
        if part["language"].n_unique() > 1:
            yield part.to_dicts()


def _pairs(
    documents: list[dict[str, Any]], counts: Counter[str], skipped: Counter[str]
) -> Iterator[dict[str, Any]]:
    items = exported_items(documents, skipped)
    counts["exports"] += len(items)
    if not items:
        return
    examples = _examples(documents, items, skipped)
    for place, item in enumerate(items):
        callers = sorted(examples.get(place, []), key=lambda example: example.rank)
        if not callers:
            skipped["no_caller"] += 1
            continue
        size = sum(len(block.text.encode()) for _, block in item.blocks)
        is_whole = size + len(item.export.text.encode()) <= MAX_RUST_BYTES
        parts = [(None, _best(callers))] if is_whole else _parts(item, callers)
        for members, chosen in parts:
            row = pair_row(documents, item, members, chosen)
            if row is None:
                skipped["mixed_generators"] += 1
            else:
                yield row


def _best(callers: Sequence[Example]) -> list[Example]:
    """Chooses the examples that show most, each adding something to those before it."""
    chosen: list[Example] = []
    shown: set[str] = set()
    for example in callers:
        if len(chosen) == MAX_EXAMPLES:
            break
        if not chosen or example.members - shown:
            chosen.append(example)
            shown |= example.members
    return chosen


def _parts(
    item: Item, callers: Sequence[Example]
) -> Iterator[tuple[tuple[str, ...], list[Example]]]:
    """Splits a long class: each example with the methods that no example before it showed."""
    shown: set[str] = set()
    size = {
        name: sum(len(method.text.encode()) for _, _, method in item.methods((name,)))
        for example in callers
        for name in example.members
    }
    room = MAX_RUST_BYTES - len(item.export.text.encode())
    for example in callers:
        left = sorted(name for name in example.members - shown if 0 < size[name] <= room)
        while left:
            members: list[str] = []
            for name in left:
                if sum(size[member] for member in members) + size[name] <= room:
                    members.append(name)
            yield tuple(members), [example]
            shown.update(members)
            left = [name for name in left if name not in shown]


def _examples(
    documents: list[dict[str, Any]], items: list[Item], skipped: Counter[str]
) -> dict[int, list[Example]]:
    """Finds the Python functions that use each item."""
    targets = [target_of(place, item) for place, item in enumerate(items)]
    compiled = {name for target in targets for name in target.modules} - {"builtins"}
    files: dict[int, PythonFile] = {}
    for place, document in enumerate(documents):
        if document["language"] != "python":
            continue
        file = read_python(document["path"], document["content"].encode("utf-8", "surrogatepass"))
        if file is None:
            skipped["unreadable_document"] += 1
        else:
            files[place] = file
    repository = Repository(list(files.values()), targets, compiled)
    found: dict[int, list[Example]] = defaultdict(list)
    for place, file in files.items():
        if file.is_stub:
            continue
        for uses in repository.uses_of(file):
            text = source_of(file.source, uses.function)
            if not MIN_EXAMPLE_BYTES <= len(text.encode()) <= MAX_EXAMPLE_BYTES:
                skipped["long_function"] += len(text) > MIN_EXAMPLE_BYTES
                continue
            for key in sorted({use.key for use in uses.uses}):
                found[key].append(_example(place, file, uses, key, text))
    return found


def _example(place: int, file: PythonFile, uses: FunctionUses, key: int, text: str) -> Example:
    own = [use for use in uses.uses if use.key == key]
    members = frozenset(use.member for use in own)
    function = uses.function
    rank = (
        not any(use.is_resolved for use in own),
        _EXAMPLE_PATH.search(file.path) is None,
        -len(members),
        len(text),
        file.path,
        function.start_byte,
    )
    above = function.node.parent
    is_decorated = above is not None and above.type == "decorated_definition"
    whole = above if above is not None and is_decorated else function.node
    words = {text_of(node) for node in walk(whole) if node.type == "identifier"}
    imports = sorted({file.bindings[word].statement for word in words if word in file.bindings})
    inside = f", class {function.container}" if function.container else ""
    lines = [f"# Python: {file.path}{inside}", *imports[:MAX_IMPORTS], *(["", ""] * bool(imports))]
    return Example(place, "\n".join([*lines, text]), members, rank)
