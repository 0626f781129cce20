"""Preference pairs on correctness: what a person wrote against the same code with one fault.

    in    functions/{python,rust,javascript,cpp,go}
    out   synthetic/mutation_pairs: modality preference, one row per documented function

| column | meaning |
|---|---|
| instruction | the request, made from the documentation as in `docstring_instruct` |
| chosen | the function as written |
| rejected | the function with one fault (see `mutate`) |
| content | instruction and chosen, what filters and indexes see |
| license_evidence | its second entry names the fault, its line and the change |

No model judges: the fault is known because it was put in. Blind spots: a fault may be without
effect (an off-by-one in dead code), and the original may have been wrong; a test run would tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tritter_assets.functions.inherit import child_row, made_by_rule
from tritter_assets.lake import fingerprint_of
from tritter_assets.record import Modality
from tritter_assets.synthetic import docstring_instruct, mutate
from tritter_assets.synthetic.documentation import refusal
from tritter_assets.synthetic.shards import (
    Row,
    fenced,
)

STAGE_VERSION = "1"
NAME = "mutation_pairs"

LANGUAGES = tuple(mutate.QUERIES)
MAX_BYTES = 4000
MIN_LINES = 4
SEED = 0


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    literals = (mutate.QUERIES, mutate.COMPARISONS, mutate.OPERATORS, mutate.MAX_LITERAL)
    wording = docstring_instruct.code_version()
    return f"{STAGE_VERSION}.{fingerprint_of(literals, wording, MAX_BYTES, MIN_LINES, SEED)}"


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of one parent; counts why there are none, or of which kind they are."""
    code = parent["content"]
    reason = refusal(parent, min_lines=MIN_LINES, max_bytes=MAX_BYTES)
    if reason is not None:
        outcomes[reason] += 1
        return
    made = mutate.mutate(language, code, f"{SEED}:{parent['id']}")
    if made is None:
        outcomes["no_place"] += 1
        return
    changed, fault = made
    instruction = docstring_instruct.request_for(language, parent)
    chosen = fenced(language, code)
    outcomes[fault.kind] += 1
    yield child_row(
        parent,
        anchor=f"{parent['qualified_name']}:{parent['start_line']}:{NAME}",
        content=f"{instruction}\n\n{chosen}",
        modality=Modality.PREFERENCE,
        evidence=[
            {
                "method": "mutation",
                "value": fault.kind,
                "where": f"line {fault.line}: {fault.before} -> {fault.after or '(removed)'}",
                "confidence": 1.0,
            }
        ],
        instruction=instruction,
        chosen=chosen,
        rejected=fenced(language, changed),
        generator=made_by_rule(parent),
    )
