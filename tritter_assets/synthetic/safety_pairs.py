"""Preference pairs on safety: code that uses a safe form against the unsafe form in its place.

    in    functions/{python,rust}
    out   synthetic/safety_pairs: modality preference, one row per function with a safe form

| column | meaning |
|---|---|
| instruction | `write`: the request, from documentation; `mend`: the unsafe code, to be mended |
| chosen | the function as a person wrote it; for `mend` followed by the rule's reason |
| rejected | the function with the unsafe form; for `mend` returned as it was, nothing found |
| license_evidence | its second entry names the rule with its CWE, and the form of the request |

A function that already holds an unsafe form is left out, so is a test. One function makes one pair,
of the first rule that applies; the rare rules come first, and rules whose form stands everywhere
keep one function in several. Only functions with a rule's hint in their text are parsed. Blind
spots: whether the value is in truth under an attacker's control is not known; types are read from
the function's own text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import polars as pl

from tritter_assets.lake import fingerprint_of
from tritter_assets.synthetic import docstring_instruct, documentation, safety_python, safety_rust
from tritter_assets.synthetic.pairs import Change, edited, pair_row, rank, read_code
from tritter_assets.synthetic.safety_rules import Rule
from tritter_assets.synthetic.shards import Row, choose, fenced

STAGE_VERSION = "1"
NAME = "safety_pairs"
MAX_BYTES = 4000
MIN_LINES = 3
SEED = 0
LANGUAGES = ("python", "rust")
_TABLES: dict[str, ModuleType] = {"python": safety_python, "rust": safety_rust}
MEND_TEMPLATES = (
    "Review this {language} function for security problems and fix what you find.\n\n{code}",
    "Is there anything unsafe in this {language} function? If so, rewrite it.\n\n{code}",
    "Make this {language} function safe without changing what it is for.\n\n{code}",
    "This {language} code will handle data from outside. Harden it.\n\n{code}",
)
NOTHING_FOUND = (
    "The function looks fine as it is:",
    "I see nothing to change here:",
    "No problem found, the code can stay:",
)


_TEST_PATH = re.compile(
    r"(^|[/_])(tests?|testing|conftest|bench(es|marks?)?|fuzz)([/._]|$)", re.IGNORECASE
)


def _is_test(path: str, text: str) -> bool:
    """True for what only tests run: a shortcut there is no weakness."""
    return _TEST_PATH.search(path) is not None or "test]" in text


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    rules = [
        (language, table.ALREADY_UNSAFE.pattern, rule.name, rule.cwe, rule.reason, rule.hints,
         rule.keep_one_in)
        for language, table in _TABLES.items()
        for rule in table.RULES
    ]  # fmt: skip
    literals = (rules, MEND_TEMPLATES, NOTHING_FOUND, MAX_BYTES, MIN_LINES, SEED)
    return f"{STAGE_VERSION}.{fingerprint_of(literals, docstring_instruct.code_version())}"


def worth_reading(language: str) -> pl.Expr:
    """Returns a condition without which a function of the language makes no pair."""
    hints = sorted({hint for rule in _TABLES[language].RULES for hint in rule.hints})
    content = pl.col("content")
    return content.str.contains_any(hints) & (content.str.len_bytes() <= MAX_BYTES)


def weaken(language: str, text: str, seed: str) -> tuple[str, Rule] | str:
    """Returns the function with an unsafe form and the rule for it, or why there is none."""
    table = _TABLES[language]
    hinted = [rule for rule in table.RULES if any(hint in text for hint in rule.hints)]
    hinted = [rule for rule in hinted if not rank(seed, rule.name) % rule.keep_one_in]
    if not hinted:
        return "no_safe_form"
    if table.ALREADY_UNSAFE.search(text):
        return "already_unsafe"
    code = read_code(language, text.encode("utf-8", "surrogatepass"))
    if code is None:
        return "unreadable"
    for rule in hinted:
        edits = rule.weaken(code)
        after = read_code(language, edited(code.source, edits)) if edits else None
        if after is not None and after.source != code.source:
            return after.source.decode("utf-8", "surrogatepass"), rule
    return "no_safe_form"


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the pair of one function that uses a safe form."""
    text = parent["content"]
    if text.count("\n") + 1 < MIN_LINES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        outcomes["length"] += 1
        return
    if documentation.is_test(parent["qualified_name"]) or _is_test(parent["path"], text):
        outcomes["test_function"] += 1
        return
    made = weaken(language, text, f"{SEED}:{parent['id']}")
    if isinstance(made, str):
        outcomes[made] += 1
        return
    unsafe, rule = made
    asked = documentation.is_request(parent["docstring"]) and rank(SEED, parent["id"], "form") % 2
    safe_block, unsafe_block = fenced(language, text), fenced(language, unsafe)
    if asked:
        instruction = docstring_instruct.request_for(language, parent)
        chosen, rejected = safe_block, unsafe_block
    else:
        instruction = choose(MEND_TEMPLATES, NAME, parent["id"]).format(
            language=docstring_instruct.TITLES[language], code=unsafe_block
        )
        chosen = f"{safe_block}\n\n{rule.reason} ({rule.cwe})"
        rejected = f"{choose(NOTHING_FOUND, NAME, parent['id'])}\n\n{unsafe_block}"
    outcomes[rule.name] += 1
    outcomes["pair"] += 1
    form = "write" if asked else "mend"
    yield pair_row(
        parent,
        anchor=f"{parent['qualified_name']}:{parent['start_line']}:{NAME}",
        instruction=instruction,
        chosen=chosen,
        rejected=rejected,
        changes=[Change(method="weakened", value=rule.name, where=f"{rule.cwe}, {form}")],
    )
