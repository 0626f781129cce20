"""Preference pairs on quality and style: a well-written function against the same one spoilt.

    in    functions/{python,rust}
    out   synthetic/style_pairs: modality preference, one row per well-written function

| column | meaning |
|---|---|
| instruction | the request: signature and documentation, in one of a few wordings |
| chosen | the function as a person wrote it, if it passes every rule of `style_measures` |
| rejected | the same function after one to three of the changes of `spoil_python`, `spoil_rust` |
| license_evidence | one further entry per change, by name |

Both sides do the same, so what is learnt is how to write, not what. Which changes are made depends
on the row's id alone. Cost: a tree per change, 1 ms a pair. Blind spots: a rule cannot tell a good
name from a bad one of the same length; a human function may be clumsy in ways no rule sees.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import polars as pl

from tritter_assets.lake import fingerprint_of
from tritter_assets.synthetic import (
    documentation,
    spoil_python,
    spoil_rust,
    style_measures,
)
from tritter_assets.synthetic.pairs import Change, Code, Edit, edited, pair_row, rank, read_code
from tritter_assets.synthetic.shards import Row, choose, fenced

STAGE_VERSION = "1"
NAME = "style_pairs"
MAX_BYTES = 4000
MAX_CHANGES = 3
SEED = 0
LANGUAGES = ("python", "rust")
TITLES = {"python": "Python", "rust": "Rust"}
TEMPLATES = (
    "Write this {language} {kind} so that others can read and maintain it.\n\n{signature}\n\n"
    "{lead}",
    "Implement the {language} {kind} `{name}` in a clean, idiomatic way.\n\n{signature}\n\n{lead}",
    "I need a well-documented {language} {kind} with this signature:\n\n{signature}\n\n{lead}",
    "Here is the signature of a {language} {kind}:\n\n{signature}\n\nWrite it. {lead}",
)
_SPOILERS: dict[str, ModuleType] = {"python": spoil_python, "rust": spoil_rust}
_Spoil = Callable[[Code, str], list[Edit]]


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    ways = {
        language: [way.__name__ for way in (*m.VERIFIED, *m.BY_CONSTRUCTION, *m.COMMON)]
        for language, m in _SPOILERS.items()
    }
    literals = (TEMPLATES, MAX_BYTES, MAX_CHANGES, SEED, ways)
    bounds = (style_measures.bounds(), documentation.bounds())
    return f"{STAGE_VERSION}.{fingerprint_of(literals, bounds)}"


def worth_reading(language: str) -> pl.Expr:
    """Returns a condition without which a function of the language makes no pair."""
    lines = pl.col("content").str.count_matches("\n", literal=True) + 1
    return (
        pl.col("docstring").is_not_null()
        & lines.is_between(style_measures.MIN_LINES, style_measures.MAX_LINES)
        & (pl.col("content").str.len_bytes() <= MAX_BYTES)
    )


def spoil(language: str, code: Code, seed: str) -> tuple[str, list[str]] | None:
    """Returns the code made worse, and the names of the changes; None if none could be made."""
    module = _SPOILERS[language]
    wanted = 1 + rank(seed, "count") % MAX_CHANGES
    done: list[str] = []
    ways: list[_Spoil] = [*module.VERIFIED, *module.BY_CONSTRUCTION]
    # What fits nearly every function takes part in half of them, or it would crowd the rest out.
    rare = [way for way in ways if way not in module.COMMON]
    ways = rare + [way for way in module.COMMON if rank(seed, way.__name__, "common") % 2]
    for way in sorted(ways, key=lambda way: rank(seed, way.__name__)):
        edits = way(code, seed)
        after = read_code(language, edited(code.source, edits)) if edits else None
        verified = way in module.VERIFIED
        if after is None or not _is_sound(language, code, after, way.__name__, verified=verified):
            continue
        code = after
        done.append(way.__name__)
        if len(done) == wanted:
            break
    return (code.source.decode("utf-8", "surrogatepass"), done) if done else None


def _is_sound(language: str, before: Code, after: Code, name: str, *, verified: bool) -> bool:
    if before.source == after.source:
        return False
    if verified:
        return _SPOILERS[language].same_program(before, after, renamed="rename" in name)
    return language != "python" or spoil_python.parsed(after.source) is not None


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the pair of one function, if it is well written and can be spoilt."""
    text = parent["content"]
    code = _well_written(language, parent)
    if isinstance(code, str):
        outcomes[code] += 1
        return
    made = spoil(language, code, f"{SEED}:{parent['id']}")
    if made is None:
        outcomes["nothing_to_spoil"] += 1
        return
    rejected, names = made
    outcomes.update(names)
    outcomes["pair"] += 1
    yield pair_row(
        parent,
        anchor=f"{parent['qualified_name']}:{parent['start_line']}:{NAME}",
        instruction=request_for(language, parent, code),
        chosen=fenced(language, text),
        rejected=fenced(language, rejected),
        changes=[Change(method="spoilt", value=name, where=parent["path"]) for name in names],
    )


def _well_written(language: str, parent: Row) -> str | Code:
    """Returns the parsed function, or why it is no example; the cheap questions come first."""
    if not parent["docstring"]:
        return "undocumented"
    text = parent["content"]
    return (
        style_measures.untidy_text(language, text)
        or documentation.refusal(parent, min_lines=style_measures.MIN_LINES, max_bytes=MAX_BYTES)
        or style_measures.untidy_tree(language, text)
    )


def request_for(language: str, parent: Row, code: Code) -> str:
    """Returns the request: signature and the prose of the documentation."""
    template = choose(TEMPLATES, NAME, parent["id"])
    return template.format(
        language=TITLES[language],
        kind="method" if parent["qualified_name"] != parent["name"] else "function",
        name=parent["qualified_name"],
        signature=fenced(language, signature_of(code)),
        lead=documentation.lead_of(parent["docstring"]),
    )


def signature_of(code: Code) -> str:
    """Returns a function's text up to its body, on one line."""
    for node in code.nodes:
        body = node.child_by_field_name("body")
        if node.type in {"function_definition", "function_item"} and body is not None:
            text = code.source[node.start_byte : body.start_byte].decode("utf-8", "replace")
            return _SPACED_BRACKET.sub("", " ".join(text.split()))
    return code.source.split(b"\n", 1)[0].decode("utf-8", "replace")


_SPACED_BRACKET = re.compile(r"(?<=[(\[]) |,? (?=[)\]])")
