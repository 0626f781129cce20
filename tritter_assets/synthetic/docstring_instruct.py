"""Instructions from documentation: the request is what a function's author said it does.

    in    functions/{python,rust,javascript,cpp,go}
    out   synthetic/docstring_instruct: modality instruction

Only functions whose documentation is prose of its own take part (`documentation.is_request`); no
model writes a word. The wording around the documentation is one of a few templates, chosen by the
row's id. Blind spots: documentation that is wrong or out of date; functions that need their
neighbours to make sense.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tritter_assets.functions.inherit import child_row, made_by_rule
from tritter_assets.lake import fingerprint_of
from tritter_assets.record import Modality
from tritter_assets.synthetic import documentation
from tritter_assets.synthetic.shards import (
    Row,
    choose,
    fenced,
)

STAGE_VERSION = "1"
NAME = "docstring_instruct"

LANGUAGES = ("python", "rust", "javascript", "cpp", "go")
TITLES = {"python": "Python", "rust": "Rust", "javascript": "JavaScript", "cpp": "C++", "go": "Go"}
MAX_RESPONSE_BYTES = 6000
MIN_LINES = 3

TEMPLATES = (
    "Write a {language} {kind} named `{name}` that does the following:\n\n{lead}",
    "Implement `{name}` in {language}.\n\n{lead}",
    "In {language}, I need a {kind} `{name}`. Its documentation says:\n\n{lead}",
    "Complete this task in {language}: a {kind} called `{name}`.\n\n{lead}",
)


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    literals = (LANGUAGES, TITLES, MAX_RESPONSE_BYTES, MIN_LINES, TEMPLATES)
    return f"{STAGE_VERSION}.{fingerprint_of(literals, documentation.bounds())}"


def request_for(language: str, parent: Row) -> str:
    """Returns the request that a documented function answers."""
    qualified = parent["qualified_name"]
    kind = "method" if qualified != parent["name"] else "function"
    template = choose(TEMPLATES, NAME, parent["id"])
    lead = documentation.lead_of(parent["docstring"])
    return template.format(language=TITLES[language], kind=kind, name=qualified, lead=lead)


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of one parent; counts why there are none, or of which kind they are."""
    content = parent["content"]
    reason = documentation.refusal(parent, min_lines=MIN_LINES, max_bytes=MAX_RESPONSE_BYTES)
    if reason is not None:
        outcomes[reason] += 1
        return
    instruction = request_for(language, parent)
    response = fenced(language, content)
    outcomes["instruction"] += 1
    yield child_row(
        parent,
        anchor=f"{parent['qualified_name']}:{parent['start_line']}:{NAME}",
        content=f"{instruction}\n\n{response}",
        modality=Modality.INSTRUCTION,
        instruction=instruction,
        response=response,
        generator=made_by_rule(parent),
    )
