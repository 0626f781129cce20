"""Which parts of a header say what the file may be used under, and which only talk of licences.

A header is cut into paragraphs. One that names a licence is

| kind | example | read as |
|---|---|---|
| whole | "This file is licensed under ...", "License: MIT", a lone "MIT License" | the file's |
| part | "Adapted from x, released under the MIT license" | one licence beside those around |
| prose | "the GPL requires ...", "packages under the GPL are refused", a list | nothing |

The two errors differ in weight. A permissive licence counts as that of the whole file only where
the words speak of this file or stand where notices stand; a licence that shares alike is dropped
only where no word grants anything, or where what is granted is spoken of in a condition or as the
subject of another statement ("code under the GPL must ...") and nothing speaks of this file.
Paragraphs that name no licence are kept where a whole licence text may stand, which is many
paragraphs, and where they may offer a choice.

Cost: 30 us for a header that names none, 50-200 us for a new paragraph that does.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from tritter_assets.licensing.notice import limit_spans, may_name, name_spans, without_compatible
from tritter_assets.licensing.words import license_words

_PARAGRAPHS_KEPT = 8192
"""Headers differ in what they say of their file; their notices are the same. Under 10 MB."""
_TEXT_WORDS = ("hereby", "redistribution", "permission")
_OFFER_WORDS = ("licen", "either", "option", "choice", "choose", "alternativ", "dual")
_FAR = 240
_GAP = " " * _FAR
"""Stands for what is left out, so that notices far apart are not read as one offer."""
_BREAK = re.compile(
    r"\n(?:[^\w\n]*\n)+"
    r"|(?:\*/|-->|\*\))[ \t]*\n?"
    r"|\"\"\"|'''"
)
_SIGNS = re.compile(r"^[ \t]*(?:[#;%|>*!]+|//+!?|/\*+!?|\*+/|<!--+|--+|\.\.(?=\s)|\{-|\(\*)?[ \t]*")
_THIS = (
    r"\bth(?:is|ese)(?: \w+){0,3}? (?:files?|programs?|software|library|libraries|modules?|code|"
    r"works?|packages?|source|scripts?|projects?|products?|documents?|documentation|materials?|"
    r"distribution|headers?|plugins?|components?|contents?|examples?|applications?|tools?|fonts?|"
    r"data|bindings?|frameworks?|crates?|classes|class|templates?|notebooks?|extensions?|drivers?|"
    r"patch|macros?|stylesheet|theme|repository|snippet|function|implementation|version)\b"
)
_SELF = re.compile(
    _THIS + r"|\bthe (?:software|program|library|contents|code) (?:is|are|may|can)\b"
    r"|\bis free software\b|\bmay not use this file\b|\bredistribute it\b|\bhereby granted\b"
    r"|\bredistribution and use\b|\breceived a copy\b|\bpermission (?:to use|is granted)\b"
    r"|\bthe license you may\b|\bthe author\w* (?:hereby )?(?:disclaims?|waives?)\b"
)
_CUE = re.compile(
    r"\b(?:re|dual|multi|triple)?(?:licensed|released|leased|distributed|distributable|available|"
    r"provided|published|covered|governed|placed|used|copied|modified|shared|offered|"
    r"contributed|subject|free|permitted|dedicated|donated|put|made|usable|redistributed|"
    r"redistributable|(?:re)?distribution|use|copying)\b"
    r"(?: \w+){0,9}? (?:under|by|to|according|accordance|with|as|in|into|of|for)\b"
    r"|\bunder (?:(?:the|a|an|either|both|following|same|new|modified|revised|simplified|dual|"
    r"permissive|open|source|gnu|terms|conditions|of) )*(?:\w+ ){0,3}?licen[sc]"
    r"|\b(?:under|in) the public domain\b|\bpublic domain\b"
    r"|\b(?:mit|bsd|apache|(?:a|l)?gplv?\d?|mpl\d?) licensed\b|\bcopy of the\b|\btext of the\b"
    r"|\b(?:terms|conditions) of\b|\bexception to the\b|\bsee (?:the )?(?:file|license|copying)\b"
    r"|\blicensing to\b|\bobligated\b"
)
_ORIGIN = re.compile(
    r"\b(?:derived|adapted|ported|port of|taken|borrowed|copied|vendored|extracted|inspired|"
    r"translated|based|lifted|stolen|forked|fork of|incorporates?|includes|originally|"
    r"generated (?:with|by|from)|original (?:code|work|source|implementation|version|author)|"
    r"portions?|(?:some|certain|other) (?:parts?|code)|parts of this|source http|pulled from|"
    r"code from|modified (?:from|version)|rewritten from|contains? (?:code|parts|software)|"
    r"this (?:function|class|method|snippet|algorithm|table|section|implementation))\b"
)
_TAKEN = re.compile(
    r"\b(?:adapted|ported|taken|borrowed|vendored|extracted|translated|copied|derived|lifted|pulled)"
    r"(?: \w+){0,3}? from\b(?! (?:the|this) (?:software|work|product))|\bcode from\b|\bbased on\b"
)
_OF_THE_FILE = re.compile(
    r"\bmay not use this file\b|\bredistribute it\b|\bthis file is part of\b|\breceived a copy\b|"
    r"\bth(?:is|e) (?:entire |whole |source )?(?:file|code|program|software|library|module|package|"
    r"work|source)(?: code| file)? (?:is|are|may|can) (?!(?:\w+ )?(?:derived|adapted|ported|taken|"
    r"borrowed|copied|vendored|based|originally|inspired|translated|extracted|from|modified))"
)
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|when|whenever|where|any|anything|such as|like|eg|e g|for example|no|"
    r"not|non|none|isnt|arent|never|neither|without|avoid\w*|reject\w*|detect\w*|check\w*|pars\w*|"
    r"match\w*|contains?|named|called|strings?|unlike|than|vs|versus|another|every|all|those|"
    r"refus\w*|allow\w*|den(?:y|ied|ies)|forbid\w*|packages|dependenc(?:y|ies)|projects|libraries|"
    r"repositories|files|names?|must|should)(?: \w+){0,5}? ?$"
)
_SUBJECT = re.compile(
    r"^(?: (?:v?\d\w*|\d|or|later|plus|only|version|public|general|licen[sc]e[ds]?|libraries|"
    r"library|code|software|work|works|packages?|projects?|apps?|applications?|programs?|files?|"
    r"binaries|builds?|components?|tools?|family|text|header|notice))*"
    r" (?:are|is|was|were|requires?|must|would|should|cannot|cant|may|does|doesnt|do|dont|will|"
    r"has|have|needs?|lets?|forbids?|allows?|demands?|says|states|means|applies|because|which)\b"
    r"(?! (?:be )?(?:\w+ )?(?:found|available|included|obtained|viewed|seen|located|reproduced|at))"
)
_IS_NAMED = re.compile(
    r"\b(?:is|under|license|licensed)(?: the| a)?(?: gnu)? (?:a|l)?gpl|\bgpl\w* license"
)
_SHORT = 120
_BEFORE = 90
_AFTER = 120
"""Characters before and after a name in which the words beside it speak of it."""
_LABEL = re.compile(
    r"^[^\w\n]{0,12}(?:@|__)?licen[sc](?:e[sd]?|ing)?(?:__)?(?:[ \t]+(?:under|type|name|info))?"
    r"[ \t]*(?:[:=]|\bis\b|-)|@licen[sc]e[ \t:]|\bbegin licen[sc]e block",
    re.M | re.I,
)
_OPENING = re.compile(
    r"(?:^|[.;:,()\n])[^\w\n]*(?:it |is |are |all |code |files |and |may be |dual[- ]?|freely |"
    r"made |re)*(?:licen[sc]ed|released|distribut(?:ed|able)|redistributable|available|provided|"
    r"published|placed|covered|governed|subject|use,? |use of |modification|under the|"
    r"public domain|free software|permission|mit licen|dedicated|you can choose)",
    re.M | re.I,
)
_COPYRIGHT = re.compile(r"copyright|\(c\)[ \t]*\w|\u00a9", re.I)
_SEGMENT = re.compile(r"\n|[|,;]|[(\[]|[)\]]|\s[-\u2013:]+\s|/(?=[A-Z])")
_URL = re.compile(r"https?://\S+")
_NUMBER = re.compile(r"v?\d+")
_MAX_NAME_CHARACTERS = 120
_MAX_NAME_SEGMENTS = 2
"""More pieces of lines that are nothing but the name of a licence are a list of licences."""
_BESIDE_NAME = frozenset(
    re.findall(
        r"\w+",
        "the a an license licenses licensed version v and or later plus see file in at txt rst md "
        "copying http blackboxed url for details more text full under of only either any your "
        "option is are gnu public general c by rem clause style new modified revised simplified "
        "mit expat bsd isc apache gpl lgpl agpl mpl psf terms distributed released",
    )
)


@dataclass(frozen=True, slots=True)
class Grants:
    """The words of a header that say something of its licence."""

    words: str
    """`license_words` of the paragraphs that are of use, joined; prose about licences is not."""
    whole: bool
    """False when every licence named is that of a part, or of what the file comes from."""
    taken: bool
    """Whether the header says that something in the file was taken from elsewhere."""


def read_grants(block: str) -> Grants:
    """Reads the comments or docstrings that open a file.

    Args:
        block: The text, with its comment signs.
    """
    low = block.lower()
    # Of a whole licence text every paragraph is needed, else those that name or offer a licence.
    whole_text = any(word in low for word in _TEXT_WORDS)
    if not (whole_text or may_name(low)):
        return Grants("", whole=True, taken=False)
    kept: list[str] = []
    kinds: set[str] = set()
    left_out = 0
    for paragraph in _BREAK.split(block):
        kind, words = _read_paragraph(paragraph, whole_text)
        kinds.add(kind)
        if words:
            if kept and left_out > _FAR:
                kept.append(_GAP)
            kept.append(words)
            left_out = 0
        else:
            left_out += len(paragraph)
    joined = " ".join(kept)
    whole = "whole" in kinds or "part" not in kinds
    return Grants(joined, whole, whole_text and _is_taken(joined))


@functools.lru_cache(maxsize=1024)
def _is_taken(words: str) -> bool:
    return _TAKEN.search(words) is not None


@functools.lru_cache(maxsize=_PARAGRAPHS_KEPT)
def _read_paragraph(paragraph: str, whole_text: bool) -> tuple[str, str]:
    """Returns the kind of a paragraph, empty where it names no licence, and its words if of use."""
    low = paragraph.lower()
    if not may_name(low):
        of_use = whole_text or any(word in low for word in _OFFER_WORDS)
        return "", " ".join(license_words(paragraph)) if of_use else ""
    words = " ".join(license_words(paragraph))
    kind = _kind(paragraph, without_compatible(words))
    return kind or "", "" if kind == "prose" else words


def _kind(paragraph: str, words: str) -> str | None:
    """`whole`, `part` or `prose`; None where no licence is named."""
    names, limits = name_spans(words), limit_spans(words)
    if not (names or limits):
        return None
    text = _URL.sub("", paragraph)
    text = "\n".join(filter(None, (_SIGNS.sub("", line).strip() for line in text.split("\n"))))
    label = _LABEL.search(text) is not None
    stands = (
        label
        or _SELF.search(words) is not None
        or _COPYRIGHT.search(text) is not None
        or 0 < sum(map(_is_name_only, _SEGMENT.split(text))) <= _MAX_NAME_SEGMENTS
    )
    if not stands:
        if not (limits or _is_granted(words, names)):
            return "prose"
        if all(_is_spoken_of(words, *span) for span in names + limits):
            return "prose"
    last = max(end for _, end in names + limits)
    if _ORIGIN.search(words, 0, last) and not (_OF_THE_FILE.search(words) or label):
        return "part"
    return "whole" if stands or limits or _OPENING.search(text) else "part"


def _is_granted(words: str, names: list[tuple[int, int]]) -> bool:
    """Whether words that grant stand beside a name, or little else is said than the name."""
    if len(words) < _SHORT and _IS_NAMED.search(words):
        return True
    cues = [match.span() for match in _CUE.finditer(words)]
    return any(
        begin - _BEFORE < start < end + _AFTER for begin, end in names for start, _ in cues
    ) or any(begin - _BEFORE < stop <= end for begin, end in names for _, stop in cues)


def _is_spoken_of(words: str, start: int, end: int) -> bool:
    """Whether a name stands in a condition, or as the subject of a statement of its own."""
    before = words[max(0, start - _BEFORE) : start]
    after = words[end : end + _AFTER]
    return _SUPPOSED.search(before) is not None or _SUBJECT.search(after) is not None


def _is_name_only(segment: str) -> bool:
    if not 2 < len(segment) <= _MAX_NAME_CHARACTERS or not may_name(segment.lower()):
        return False
    words = " ".join(license_words(segment))
    spans = name_spans(words)
    rest = words
    for start, end in spans:
        rest = rest[:start] + "\0" * (end - start) + rest[end:]
    return bool(spans) and all(
        word in _BESIDE_NAME or _NUMBER.fullmatch(word) for word in rest.replace("\0", " ").split()
    )
