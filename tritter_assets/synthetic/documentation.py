"""When documentation says enough to be a request, and how a request is made from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MIN_LETTERS = 24
MIN_WORDS = 5
MAX_CHARACTERS = 1500
MIN_LETTER_SHARE = 0.45

_EMPTY_WORDS = re.compile(
    r"^(todo|fixme|xxx|see (also |the )?(base|parent|super)|inherit|\{@inheritdoc|deprecated|"
    r"noqa|type: ignore|test(s)? for|docstring|safety:|copyright|spdx-)",
    re.IGNORECASE,
)
_SECTION = re.compile(
    r"^\s*(args|arguments|parameters|params|returns?|raises|yields|examples?|notes?|references|"
    r"see also|attributes|warnings?|# (errors|panics|safety|examples?|arguments))\b:?\s*$"
    r"|^\s*(:param|:return|:rtype|:raises|@param|@return|\.\. |>>> |```)",
    re.IGNORECASE | re.MULTILINE,
)
_TEST_NAME = re.compile(r"(^|[.:])(test|Test)(_|[A-Z]|$)|(^|::)tests?::")
_LICENSE = re.compile(r"copyright|all rights reserved|licensed under", re.IGNORECASE)


def lead_of(docstring: str) -> str:
    """Returns the prose before the first section, example or directive, as one paragraph each."""
    match = _SECTION.search(docstring)
    text = docstring[: match.start()] if match else docstring
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return "\n\n".join(part for part in paragraphs if part and set(part) - set("-=~_ "))


def is_request(docstring: str | None) -> bool:
    """True when documentation describes what its function does in enough words of prose."""
    if not docstring or len(docstring) > 4 * MAX_CHARACTERS:
        return False
    lead = lead_of(docstring)
    letters = sum(map(str.isalpha, lead))
    return (
        letters >= MIN_LETTERS
        and len(lead) <= MAX_CHARACTERS
        and len(lead.split()) >= MIN_WORDS
        and letters >= MIN_LETTER_SHARE * len(lead)
        and _EMPTY_WORDS.search(lead) is None
        and _LICENSE.search(lead) is None
    )


def is_test(qualified_name: str) -> bool:
    """True for test functions: what they say of themselves leans on the tests around them."""
    return _TEST_NAME.search(qualified_name) is not None


def bounds() -> tuple[object, ...]:
    """Returns what decides whether documentation is a request, for code versions."""
    return MIN_LETTERS, MIN_WORDS, MAX_CHARACTERS, MIN_LETTER_SHARE


def refusal(parent: Mapping[str, Any], *, min_lines: int, max_bytes: int) -> str | None:
    """Says why a function makes no instruction, or None when it may make one."""
    if is_test(parent["qualified_name"]):
        return "test_function"
    if not is_request(parent["docstring"]):
        return "undocumented"
    code = parent["content"]
    if code.count("\n") + 1 < min_lines or len(code.encode()) > max_bytes:
        return "length"
    return None
