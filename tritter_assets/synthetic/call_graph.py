"""Which function of a file calls which: call graphs, which no dataset of the brief holds.

    in    filtered/* documents in Python and Rust
    out   synthetic/call_graph: modality instruction, one row per file with calls between its own
          functions

A call counts when its name is that of exactly one function of the file: a plain call names a
function outside classes, a call on `self`, `cls` or `Self` a method of the same class. Calls on
other objects are left out, since their type is not known: the graph may miss edges, and does not
invent them. Blind spot: a local variable that shadows a function's name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tritter_assets.functions.grammar import query_matches
from tritter_assets.functions.inherit import child_row, made_by_rule
from tritter_assets.functions.outline import FunctionOutline, outline
from tritter_assets.lake import fingerprint_of
from tritter_assets.record import Modality
from tritter_assets.synthetic.shards import (
    Row,
    choose,
    fenced,
)

if TYPE_CHECKING:
    from tree_sitter import Node

STAGE_VERSION = "1"
NAME = "call_graph"

MAX_SOURCE_CHARACTERS = 8000
MIN_EDGES = 2
MAX_EDGES = 80
QUERIES: dict[str, str] = {
    "python": """
(call function: (identifier) @plain)
(call function: (attribute object: (identifier) @object attribute: (identifier) @method))
""",
    "rust": """
(call_expression function: (identifier) @plain)
(call_expression function: (field_expression value: (self) @object field: (_) @method))
(call_expression function: (scoped_identifier path: (identifier) @object name: (_) @method))
""",
}
LANGUAGES = tuple(QUERIES)
SELF_NAMES = ("self", "cls", "Self")
TEMPLATES = (
    "List which functions of this file call which, one `caller -> callee` per line.\n\n{code}",
    "Give the call graph of `{path}`: one line per edge, `caller -> callee`, only functions "
    "defined in the file.\n\n{code}",
)


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    bounds = (MAX_SOURCE_CHARACTERS, MIN_EDGES, MAX_EDGES, SELF_NAMES)
    return f"{STAGE_VERSION}.{fingerprint_of(QUERIES, TEMPLATES, bounds)}"


def call_edges(language: str, source: bytes) -> list[tuple[str, str]]:
    """Returns (caller, callee) by qualified name, in order of each first call."""
    found = outline(language, source)
    if found is None or found.num_broken or not found.functions:
        return []
    functions = found.functions
    by_name: dict[tuple[str, str], list[FunctionOutline]] = {}
    for function in functions:
        by_name.setdefault((function.container, function.name), []).append(function)
    starts = [function.node.start_byte for function in functions]
    root = _root(functions[0].node)
    edges: dict[tuple[str, str], None] = {}
    calls = query_matches(language, QUERIES[language], root) or []
    for captures in sorted(calls, key=_position):
        place = bisect_right(starts, _position(captures)) - 1
        if place < 0 or _position(captures) >= functions[place].node.end_byte:
            continue
        caller = functions[place]
        container, name = "", ""
        if "plain" in captures:
            name = _text(source, captures["plain"][0])
        elif _text(source, captures["object"][0]) in SELF_NAMES and caller.container:
            container, name = caller.container, _text(source, captures["method"][0])
        targets = by_name.get((container, name), [])
        if name and len(targets) == 1:
            edges[caller.qualified_name, targets[0].qualified_name] = None
    return list(edges)


def _position(captures: dict[str, list[Node]]) -> int:
    return next(iter(captures.values()))[0].start_byte


def _root(node: Node) -> Node:
    while node.parent is not None:
        node = node.parent
    return node


def _text(source: bytes, node: Node) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of one parent; counts why there are none, or of which kind they are."""
    code = parent["content"]
    if len(code) > MAX_SOURCE_CHARACTERS:
        outcomes["length"] += 1
        return
    edges = call_edges(language, code.encode("utf-8", "surrogatepass"))
    if not MIN_EDGES <= len(edges) <= MAX_EDGES:
        outcomes["few_or_many_edges"] += 1
        return
    outcomes["graph"] += 1
    template = choose(TEMPLATES, NAME, parent["id"])
    instruction = template.format(path=parent["path"], code=fenced(language, code))
    response = "\n".join(f"{caller} -> {callee}" for caller, callee in edges)
    yield child_row(
        parent,
        anchor=NAME,
        content=f"{instruction}\n\n{response}",
        modality=Modality.INSTRUCTION,
        instruction=instruction,
        response=response,
        generator=made_by_rule(parent),
    )
