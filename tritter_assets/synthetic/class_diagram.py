"""Code and its Mermaid class diagram: the brief's missing code-to-diagram pairs, as text.

    in    filtered/* documents in Python and Rust
    out   synthetic/class_diagram: modality instruction, one row per file with something to draw

The request shows the classes' own source, the answer is a `classDiagram` of exactly what that
source says. Blind spots: classes made at run time; generics are drawn without their arguments.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tritter_assets.functions.inherit import child_row, made_by_rule
from tritter_assets.lake import fingerprint_of
from tritter_assets.record import Modality
from tritter_assets.synthetic import classes
from tritter_assets.synthetic.classes import ClassOutline, classes_of
from tritter_assets.synthetic.shards import (
    Row,
    choose,
    fenced,
)

STAGE_VERSION = "1"
NAME = "class_diagram"

MAX_SOURCE_CHARACTERS = 8000
MIN_MEMBERS = 3
MAX_CLASSES = 16
TEMPLATES = (
    "Draw a Mermaid class diagram of this code.\n\n{code}",
    "Show the classes of `{path}` and how they relate, as a Mermaid class diagram.\n\n{code}",
    "Turn this code into a Mermaid `classDiagram`.\n\n{code}",
)
_NOT_NAME = re.compile(r"[^A-Za-z0-9_, *.]")


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    bounds = (MAX_SOURCE_CHARACTERS, MIN_MEMBERS, MAX_CLASSES, classes.MAX_MEMBERS)
    return f"{STAGE_VERSION}.{fingerprint_of(classes.QUERIES, TEMPLATES, bounds)}"


def mermaid(outlines: Sequence[ClassOutline]) -> str:
    """Returns the `classDiagram` of classes; relations stand only between classes that are shown.

    `<|--` is inheritance, `<|..` a trait's implementation, `-->` a field whose type names another
    class.
    """
    shown = {outline.name: outline for outline in outlines}
    lines = ["classDiagram"]
    for outline in outlines:
        lines.append(f"    class {outline.name} {{")
        if outline.kind != "class":
            lines.append(f"        <<{'enumeration' if outline.kind == 'enum' else 'interface'}>>")
        lines += [f"        {_sign(name)}{name}" for name, _ in outline.fields]
        lines += [
            f"        {_sign(name)}{name}({_NOT_NAME.sub('', parameters)})"
            for name, parameters in outline.methods
        ]
        lines.append("    }")
    for outline in outlines:
        for base in outline.bases:
            if base in shown and base != outline.name:
                arrow = "<|.." if shown[base].kind == "trait" else "<|--"
                lines.append(f"    {base} {arrow} {outline.name}")
        drawn = set()
        for name, kind in outline.fields:
            for other in re.findall(r"\w+", kind):
                if other in shown and other != outline.name and other not in drawn:
                    drawn.add(other)
                    lines.append(f"    {outline.name} --> {other} : {name}")
    return "\n".join(lines)


def _sign(name: str) -> str:
    return "-" if name.startswith("_") and not name.startswith("__") else "+"


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of one parent; counts why there are none, or of which kind they are."""
    code = parent["content"]
    if len(code) > MAX_SOURCE_CHARACTERS:
        outcomes["length"] += 1
        return
    found = classes_of(language, code.encode("utf-8", "surrogatepass"))
    num_members = sum(len(outline.fields) + len(outline.methods) for outline in found)
    if not found or num_members < MIN_MEMBERS or len(found) > MAX_CLASSES:
        outcomes["nothing_to_draw"] += 1
        return
    outcomes["diagram"] += 1
    template = choose(TEMPLATES, NAME, parent["id"])
    instruction = template.format(path=parent["path"], code=fenced(language, code))
    response = fenced("mermaid", mermaid(found))
    yield child_row(
        parent,
        anchor=NAME,
        content=f"{instruction}\n\n{response}",
        modality=Modality.INSTRUCTION,
        instruction=instruction,
        response=response,
        generator=made_by_rule(parent),
    )
