"""Debian's machine-readable copyright files (DEP-5): globs, each with a licence and holders."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import normalize
from tritter_assets.record import NOASSERTION

_FORMAT = re.compile(r"^Format(?:-Specification)?:.*(?:copyright-format|dep5|DEP-5)", re.M | re.I)
_FIELD = re.compile(r"^(?P<name>[A-Za-z-]+):(?P<value>[^\n]*(?:\n[ \t][^\n]*)*)", re.M)


@dataclass(frozen=True, slots=True)
class Dep5Paragraph:
    """One `Files:` paragraph."""

    globs: tuple[str, ...]
    license_name: str
    """As written, for instance `GPL-2+ or Expat`."""
    expression: str
    """SPDX expression, or NOASSERTION."""
    copyright: tuple[str, ...]

    @property
    def is_general(self) -> bool:
        """Whether it covers every file that no other paragraph names."""
        return self.globs == ("*",)


def is_dep5(text: str) -> bool:
    """Whether a text is a copyright file in the machine-readable form."""
    return _FORMAT.search(text[:4096]) is not None


def parse_dep5(text: str, policy: Policy) -> tuple[Dep5Paragraph, ...]:
    """Parses a copyright file; one in another format has no paragraphs."""
    if not is_dep5(text):
        return ()
    blocks = [
        {m["name"].lower(): m["value"] for m in _FIELD.finditer(block)}
        for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n"))
    ]
    texts = {
        name.lower(): body
        for fields in blocks
        for name, body in [_name_and_text(fields.get("license", ""))]
        if name and body
    }
    found: list[Dep5Paragraph] = []
    for fields in blocks:
        if "files" in fields and "license" in fields:
            name, body = _name_and_text(fields["license"])
            found.append(
                Dep5Paragraph(
                    globs=tuple(fields["files"].split()),
                    license_name=name or body.strip().split("\n", 1)[0],
                    expression=_read(name, body or texts.get(name.lower(), ""), policy),
                    copyright=tuple(
                        line.strip()
                        for line in fields.get("copyright", "").split("\n")
                        if line.strip()
                    ),
                )
            )
    return tuple(found)


def _name_and_text(value: str) -> tuple[str, str]:
    """Splits a License field: the short name stands on its first line, the text below it."""
    name, _, body = value.partition("\n")
    return name.strip(), body


def paragraph_of(path: str, paragraphs: tuple[Dep5Paragraph, ...]) -> Dep5Paragraph | None:
    """Returns the paragraph that covers a path: the last one that matches, as DEP-5 says."""
    for paragraph in reversed(paragraphs):
        if any(_glob(glob).fullmatch(path) for glob in paragraph.globs):
            return paragraph
    return None


def _read(name: str, body: str, policy: Policy) -> str:
    # "A, and B or C": the comma closes what stands before it.
    clauses = [part.strip() for part in re.split(r",\s+and\s+", name)]
    if len(clauses) > 1:
        name = " AND ".join(f"({clause})" for clause in clauses)
    read = normalize(name, policy)
    if read == NOASSERTION and body:
        # A name of the packager's own ("BSD-3-clause-Regents"): its text says what it is.
        found = identify_text(body)
        return found.spdx if found.method == "template" else NOASSERTION
    return read


@functools.lru_cache(maxsize=4096)
def _glob(glob: str) -> re.Pattern[str]:
    """`*` and `?` also match `/`; a backslash takes the next character as it is."""
    out: list[str] = []
    step = iter(glob.removeprefix("./"))
    for character in step:
        if character == "\\":
            out.append(re.escape(next(step, "")))
        else:
            out.append({"*": ".*", "?": "."}.get(character, re.escape(character)))
    return re.compile("".join(out))
