"""What people do to licence texts: edits that change no word of the terms, and cuts that do."""

from __future__ import annotations

import html
import random
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping

from tritter_assets.licensing.expression import join_and
from tritter_assets_tests.benchmarks.licence_tally import Answer

_HOLDERS = ("Jane Doe", "ACME Corp. and its affiliates", "The Frobnicator Authors", "J. R. Mueller")
_YEAR = re.compile(r"(?<![\d.])(?:19|20)\d\d(?![\d.])|<year>|\[yyyy\]|<YEAR>|\(year\)")
_HOLDER = re.compile(r"(?m)^(\W*copyright(?: \(c\)| \u00a9)? ?[\d, -]*)(?=\S).*$", re.IGNORECASE)
_NUMBER = re.compile(r"(?m)^([ \t]*)(?:\(?[0-9a-d][.)]|[*-])[ \t]+")
_HEADING = re.compile(r"(?m)^[ \t]*[^\n.,;]{4,60}$")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SIGNS = ("# ", "// ", " * ", "; ", "-- ", "dnl ")

Edit = Callable[[str, random.Random], str]


def _plain(text: str, _: random.Random) -> str:
    return text


def _rewrapped(text: str, chance: random.Random) -> str:
    width = chance.choice((40, 60, 72, 100, 100_000))
    paragraphs = [" ".join(part.split()) for part in _PARAGRAPH.split(text)]
    return "\n\n".join(
        textwrap.fill(part, width, break_long_words=False, break_on_hyphens=False)
        for part in paragraphs
    )


def _year_and_holder(text: str, chance: random.Random) -> str:
    year, holder = str(chance.randrange(1990, 2027)), chance.choice(_HOLDERS)
    return _HOLDER.sub(rf"\g<1>{holder}", _YEAR.sub(year, text))


def _commented(text: str, chance: random.Random) -> str:
    sign = chance.choice(_SIGNS)
    return "\n".join(f"{sign}{line}".rstrip() for line in text.split("\n"))


def _bulleted(text: str, chance: random.Random) -> str:
    sign = chance.choice(("* ", "- ", "o ", "\u2022 ", "a) ", "1. "))
    return _NUMBER.sub(rf"\g<1>{sign}", text)


def _capitals(text: str, _: random.Random) -> str:
    return _HEADING.sub(lambda match: match.group().upper(), text)


def _escaped(text: str, _: random.Random) -> str:
    body = html.escape(text).replace("\u00a9", "&copy;").replace("(c)", "&copy;")
    return "<p>" + _PARAGRAPH.sub("</p>\n<p>", body) + "</p>"


def _quotes(text: str, _: random.Random) -> str:
    return re.sub(r"\"([^\"]*)\"", "\u201c\\1\u201d", text).replace("'", "\u2019")


def _appended(text: str, chance: random.Random) -> str:
    return f"{chance.choice(_HOLDERS)} wrote this package; see the manual for more.\n\n{text}"


def _cut(text: str, chance: random.Random) -> str:
    return text[: int(len(text) * chance.uniform(0.93, 0.98))]


def _cut_short(text: str, chance: random.Random) -> str:
    return text[: int(len(text) * chance.uniform(0.3, 0.9))]


EDITS: Mapping[str, Edit] = {
    "as_published": _plain,
    "rewrapped": _rewrapped,
    "year_and_holder": _year_and_holder,
    "comment_signs": _commented,
    "bullets": _bulleted,
    "capital_headings": _capitals,
    "html_escaped": _escaped,
    "curly_quotes": _quotes,
    "opening_words": _appended,
    "last_words_lost": _cut,
}


def edited_answers(
    texts: Mapping[str, str],
    ask: Callable[[str], str],
    see: Callable[[str], None] = lambda _: None,
    *,
    seed: int = 20,
) -> Iterator[Answer]:
    """Yields the answers over every text and edit, and over joined and truncated texts.

    A joined pair's label is both licences. Of a text that lost a tenth or more the label is kept
    for what must not happen (copyleft found permissive): "unknown" is as right as its name, so the
    answer `unknown` is left out of the counts.

    Args:
        texts: SPDX id -> text.
        ask: Names what a text holds.
        see: Called with each text before its answer is given out.
        seed: Of every choice.
    """

    def identify(text: str) -> str:
        see(text)
        return ask(text)

    for spdx, text in sorted(texts.items()):
        chance = random.Random(f"{seed}{spdx}")
        for name, edit in EDITS.items():
            yield _answer(name, spdx, spdx, identify(edit(text, chance)))
        found = identify(_cut_short(text, chance))
        if found != "NOASSERTION":
            yield _answer("truncated", spdx, spdx, found)
    names = sorted(texts)
    chance = random.Random(seed)
    for _ in range(len(names)):
        one, other = chance.sample(names, 2)
        found = identify(f"{texts[one]}\n\n{chance.choice(('', '-' * 60))}\n\n{texts[other]}")
        yield _answer("two_joined", f"{one} + {other}", join_and([one, other]), found)


def _answer(edit: str, name: str, label: str, found: str) -> Answer:
    return Answer(f"texts/{edit}", name, label, found)
