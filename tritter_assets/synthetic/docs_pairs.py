"""Preference pairs on general capability: the right passage of a document against a wrong one.

    in    filtered/* documents in Markdown and reStructuredText
    out   synthetic/docs_pairs: modality preference, a few rows per document

| column | meaning |
|---|---|
| instruction | a heading, asked as a question about its project |
| chosen | the prose below the heading, as its authors wrote it |
| rejected | `off_topic`: another section of the document; `cut_off`: the passage up to the middle of a sentence; `repeated`: its first sentence over and over |
| license_evidence | its second entry names the fault |

These are the three faults of small models that need no judge to be sure of: answering something
else, stopping early, going in circles. Blind spots: a heading may not be a question that its text
answers. Passages with code, lists, tables or words that lean on other passages are left out.
"""  # noqa: E501 - a row of the table

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tritter_assets.lake import fingerprint_of
from tritter_assets.synthetic.pairs import Change, pair_row, rank
from tritter_assets.synthetic.sections import Section, sections_of
from tritter_assets.synthetic.shards import Row, choose

STAGE_VERSION = "1"
NAME = "docs_pairs"
LANGUAGES = ("markdown", "restructuredtext")
MIN_CHARACTERS = 200
MAX_CHARACTERS = 1600
MIN_SENTENCES = 2
MIN_LETTER_SHARE = 0.75
MAX_PAIRS = 4
REPEATS = 5
SEED = 0
FAULTS = ("off_topic", "off_topic", "cut_off", "repeated")
TEMPLATES = (
    "What does the documentation of {where} say about \u201c{title}\u201d?",
    "Explain \u201c{title}\u201d as the documentation of {where} does.",
    "I am reading the documentation of {where}. Tell me about: {title}.",
    "From the documentation of {where}: {title}. What should I know?",
)
QUESTION_TEMPLATE = "{title} (The question is about {where}.)"
_QUESTION = re.compile(r"^(how|what|why|when|where|which|can|does|is|should)\b.*\w", re.IGNORECASE)
_GENERIC = re.compile(
    r"^(introduction|overview|usage|installation|install(ing)?|examples?|notes?|references?|api|"
    r"see also|license|contribut\w+|contents?|summary|features?|links?|support|credits?|authors?|"
    r"acknowledg\w+|requirements?|changes?|new features?|bug ?fixes|enhancements?|deprecat\w+|"
    r"misc\w*|other|more|parameters|returns|v?\d[\d.]*.*|\W*)$",
    re.IGNORECASE,
)
_NO_MANUAL = re.compile(
    r"change|history|release|news|(^|/)neps?/|rfc|flip/|whats_?new|license|copying|code_of_conduct|agents|claude",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"^\s*(\.\. |\||<|:\w+:|!\[|\[!|```|~~~|>>>|\$ |\{%|[QA]:|[-*+] |\d+\. )|\$\$|::\s*$",
    re.MULTILINE,
)
_LEANS_ON_OTHERS = re.compile(
    r"\b(above|below|earlier|previous(ly)?|aforementioned|next section|th(is|ese) (section|page|"
    r"document|nep|flip|proposal|example|guide|tutorial|chapter|notebook)s?)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"(])")


def code_version() -> str:
    """Returns the version of everything that decides the rows."""
    numbers = (MIN_CHARACTERS, MAX_CHARACTERS, MIN_SENTENCES, MIN_LETTER_SHARE, MAX_PAIRS, REPEATS)
    patterns = [
        p.pattern for p in (_QUESTION, _GENERIC, _NO_MANUAL, _MARKUP, _LEANS_ON_OTHERS, _SENTENCE)
    ]
    literals = (numbers, SEED, FAULTS, TEMPLATES, QUESTION_TEMPLATE, patterns)
    return f"{STAGE_VERSION}.{fingerprint_of(literals)}"


def make_rows(language: str, parent: Row, outcomes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yields the pairs of one document."""
    if _NO_MANUAL.search(parent["path"]):
        outcomes["no_manual"] += 1
        return
    found = sections_of(language, parent["content"])
    titles = Counter(section.title for section in found)
    passages = [section for section in found if is_passage(section) and titles[section.title] == 1]
    if not passages:
        outcomes["no_passage"] += 1
        return
    ranked = sorted(passages, key=lambda section: rank(SEED, parent["id"], section.title))
    for section in ranked[:MAX_PAIRS]:
        fault, rejected = spoil(section, passages, f"{SEED}:{parent['id']}:{section.title}")
        outcomes[fault] += 1
        outcomes["pair"] += 1
        yield pair_row(
            parent,
            anchor=f"{section.title}:{NAME}",
            instruction=question_for(parent, found[0].title, section),
            chosen=section.body,
            rejected=rejected,
            changes=[Change(method="spoilt", value=fault, where=section.title)],
        )


def is_passage(section: Section) -> bool:
    """True when a heading says what it is about and its text is prose of moderate length."""
    title, body = section.title, section.body
    if not 1 < len(title.split()) <= 14 or _GENERIC.match(title):
        return False
    if not MIN_CHARACTERS <= len(body) <= MAX_CHARACTERS or _MARKUP.search(body):
        return False
    if _LEANS_ON_OTHERS.search(body) or body[-1] not in ".!?)`":
        return False
    if not (body[0].isupper() or body[0] in "`*"):
        return False
    letters = sum(character.isalpha() or character == " " for character in body)
    return letters >= MIN_LETTER_SHARE * len(body) and len(_sentences(body)) >= MIN_SENTENCES


def question_for(parent: Row, page: str, section: Section) -> str:
    """Returns a heading as a question about its project, naming the page it stands on."""
    project = parent["repo"].rsplit("/", 1)[-1]
    where = f"{project}, page \u201c{page}\u201d" if page != section.title else project
    title = section.title.rstrip(" .:?")
    if _QUESTION.match(title):
        return QUESTION_TEMPLATE.format(title=f"{title}?", where=where)
    template = choose(TEMPLATES, NAME, parent["id"], section.title)
    return template.format(title=title, where=where)


def spoil(section: Section, passages: Sequence[Section], seed: str) -> tuple[str, str]:
    """Returns a fault and the passage with it."""
    others = [other for other in passages if other.title != section.title]
    fault = choose(FAULTS if others else FAULTS[2:], NAME, seed)
    if fault == "off_topic":
        nearest = min(others, key=lambda o: (_distance(o, section), rank(seed, o.title)))
        return fault, nearest.body
    sentences = _sentences(section.body)
    if fault == "repeated":
        return fault, " ".join([" ".join(sentences[0].split())] * REPEATS)
    words = list(re.finditer(r"\S+", section.body))
    place = len(words) // 3 + rank(seed, "cut") % max(1, len(words) // 3)
    while place > 1 and words[place - 1].group()[-1] in ".!?:":
        place -= 1
    return fault, section.body[: words[place - 1].end()]


def _distance(one: Section, other: Section) -> float:
    """How unlike two passages are in length: a giveaway that nothing should be learnt from."""
    return round(abs(len(one.body) - len(other.body)) / len(other.body), 1)


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if len(part.split()) > 2]
