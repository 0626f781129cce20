"""Preference pairs from fixing commits: a function as the fix left it against as it was before.

    in    filtered/<source> of sources tagged `commits`: instruction is the message, response the
          file after, rejected the file before; modality instruction
    out   synthetic/commit_pairs: modality preference, one row per commit that fixes one function

| column | meaning |
|---|---|
| instruction | the message as a report, with the function as it was |
| chosen | the function cut out of the file after |
| rejected | the function cut out of the file before |
| license_evidence | its second entry names the function and the number of changed lines |

A commit takes part if its message says that it fixes something and nothing else (`is_fix`), both
files parse, exactly one function differs in more than comments and spaces, no function came or
went, and few lines changed. Filters have seen message and file after, not the file before: what
stands only there may be the very secret the commit took out, so a function with a long word, an
address or a number that the file after lacks is left out (`unscreened`). Blind spots: a message may
claim a fix that is none; the fix may need a change outside the function.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tritter_assets.functions.outline import FunctionOutline, outline, source_of
from tritter_assets.lake import fingerprint_of
from tritter_assets.synthetic.docstring_instruct import TITLES
from tritter_assets.synthetic.documentation import is_test
from tritter_assets.synthetic.pairs import Change, pair_row, text_of
from tritter_assets.synthetic.rewrite import leaves
from tritter_assets.synthetic.shards import Row, choose, fenced

STAGE_VERSION = "1"
NAME = "commit_pairs"
TAG = "commits"
COLUMNS = ("instruction", "response", "rejected")
LANGUAGES = ("python", "rust")
MAX_FILE_BYTES = 64 << 10
MAX_BYTES = 4000
MAX_CHANGED_LINES = 16
MIN_WORDS = 3
MAX_WORDS = 60
TEMPLATES = (
    "A commit in {path} says: {message}\n\nThis is the {language} function before it. Write it as "
    "it should be.\n\n{code}",
    "Fix this {language} function. {message}\n\n{code}",
    "{message}\n\nThe code in question, in {language}:\n\n{code}",
)
_FIX = re.compile(
    r"^(\w+: |\[[\w -]+\] )?(bug ?fix|fix(e[sd])?|correct(s|ed|ly)?|resolve[sd]?|repair(s|ed)?|"
    r"prevent(s|ed)?|don't (crash|fail|panic))\b|\bfix(es|ed)? (a |the )?(bug|crash|panic|error|"
    r"leak|race|deadlock|regression|off.by.one|typeerror|keyerror|indexerror|overflow)\b",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(revert|merge|bump|version|release|typos?|spelling|grammar|format(ting)?|lint(s|er|ing)?|"
    r"style|pep ?-?8|flake8|isort|black|rustfmt|clippy|docs?|documentation|docstrings?|comments?|"
    r"readme|changelog|tests?|testing|whitespace|indent(ation)?|copyright|license|renam\w+|"
    r"refactor\w*|wip|translations?|warnings?|imports?|todo|fixme|review|cleanup|ci|build)\b",
    re.IGNORECASE,
)
_TRAILER = re.compile(r"^[\w-]+-by:|^(change-id|bug|issue|refs?|closes?|fixes)\b[ :#]*#?\d",
                      re.IGNORECASE)  # fmt: skip
_REFERENCE = re.compile(
    r"\s*\(?(?:\b(?:fixes|closes|refs?|see|issue)\s+)?#\d+\)?|\s*https?://\S+", re.IGNORECASE
)
_PREFIX = re.compile(r"^\w+(\([\w, /-]+\))?!?:\s+(?=\w+ \w+)|^\[[\w -]+\]\s+")
_UNSCREENED = re.compile(r"[\w+/=.-]{20,}|\S+@\S+|\d{6,}|\d+\.\d+\.\d+\.\d+")
_TEST_PATH = re.compile(r"(^|/)(tests?|testing|benches)(/|\.)|(^|/)test_|_tests?\.\w+$")


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    rules = (_FIX, _OTHER, _TRAILER, _REFERENCE, _PREFIX, _UNSCREENED, _TEST_PATH)
    patterns = [rule.pattern for rule in rules]
    numbers = (MAX_FILE_BYTES, MAX_BYTES, MAX_CHANGED_LINES, MIN_WORDS, MAX_WORDS)
    return f"{STAGE_VERSION}.{fingerprint_of(TEMPLATES, patterns, numbers)}"


def is_fix(message: str) -> bool:
    """True when a message's first line says that something was fixed, and speaks of no chore."""
    subject = message.strip().split("\n", 1)[0]
    return _FIX.search(subject) is not None and _OTHER.search(subject) is None


def report_of(message: str) -> str:
    """Returns a message's first paragraph without trailers, links and issue numbers."""
    paragraph = re.split(r"\n\s*\n", message.strip(), maxsplit=1)[0]
    kept = [line.strip() for line in paragraph.split("\n") if not _TRAILER.match(line.strip())]
    text = _PREFIX.sub("", _REFERENCE.sub("", " ".join(kept))).strip(" .:;-")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def changed_function(
    language: str, before: str, after: str
) -> tuple[FunctionOutline, str, str] | str:
    """Returns the one function that differs, before and after, or why there is none."""
    sources = before.encode("utf-8", "surrogatepass"), after.encode("utf-8", "surrogatepass")
    found = [outline(language, source) for source in sources]
    if any(one is None or one.num_broken or not one.functions for one in found):
        return "unreadable"
    old, new = (
        {function.qualified_name: function for function in one.functions}
        for one in found
        if one is not None
    )
    if old.keys() != new.keys() or any(
        one is not None and len(one.functions) != len(old) for one in found
    ):
        return "other_functions"
    changed = [
        name for name in new if _tokens(sources[0], old[name]) != _tokens(sources[1], new[name])
    ]
    if len(changed) != 1:
        return "not_one_function"
    name = changed[0]
    return new[name], source_of(sources[0], old[name]), source_of(sources[1], new[name])


def _tokens(source: bytes, function: FunctionOutline) -> list[str]:
    return [
        text_of(source, leaf)
        for leaf in leaves(function.node)
        if "comment" not in leaf.type and not _is_documentation(leaf)
    ]


def _is_documentation(leaf: Any) -> bool:
    parent = leaf.parent
    return (
        leaf.type == "string"
        and parent is not None
        and parent.type == "expression_statement"
        and parent.named_child_count == 1
    )


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the pair of one commit that fixes one function."""
    reason = _refusal(parent)
    made = reason or changed_function(language, parent["rejected"], parent["response"])
    if isinstance(made, str):
        outcomes[made] += 1
        return
    function, before, after = made
    num_changed = _num_changed(before, after)
    reason = _pair_refusal(function, before, after, num_changed, parent["response"])
    if reason:
        outcomes[reason] += 1
        return
    outcomes["pair"] += 1
    instruction = choose(TEMPLATES, NAME, parent["id"]).format(
        path=parent["path"],
        language=TITLES[language],
        message=report_of(parent["instruction"]),
        code=fenced(language, before),
    )
    where = f"{function.qualified_name}, {num_changed} changed lines"
    yield pair_row(
        parent,
        anchor=f"{function.qualified_name}:{function.start_line}:{NAME}",
        instruction=instruction,
        chosen=fenced(language, after),
        rejected=fenced(language, before),
        changes=[Change(method="commit", value=parent["revision"], where=where)],
    )


def _refusal(parent: Row) -> str:
    message, before, after = (parent[name] for name in COLUMNS)
    if not (message and before and after):
        return "no_file_before"
    if not is_fix(message):
        return "not_a_fix"
    if not MIN_WORDS <= len(report_of(message).split()) <= MAX_WORDS:
        return "message_length"
    if _TEST_PATH.search(parent["path"]):
        return "test_file"
    return "length" if max(len(before), len(after)) > MAX_FILE_BYTES else ""


def _num_changed(before: str, after: str) -> int:
    lines = difflib.ndiff(before.split("\n"), after.split("\n"))
    return sum(line.startswith(("+ ", "- ")) for line in lines)


def _pair_refusal(
    function: FunctionOutline, before: str, after: str, num_changed: int, whole: str
) -> str:
    if is_test(function.qualified_name):
        return "test_function"
    if max(len(before), len(after)) > MAX_BYTES:
        return "length"
    if num_changed > MAX_CHANGED_LINES:
        return "large_change"
    if any(word not in whole for word in _UNSCREENED.findall(before)):
        return "unscreened"
    return ""
