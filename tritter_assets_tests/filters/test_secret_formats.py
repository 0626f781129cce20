"""Forms of vendors' tokens, their checksums, and what can be told of a key."""

from __future__ import annotations

import base64
import random
import re
import re._constants as re_constants  # pyright: ignore[reportMissingImports]
import re._parser as re_parser  # pyright: ignore[reportMissingImports]
import string
import zlib
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import secrets
from tritter_assets.filters.secret_formats import (
    CHECKS,
    is_base62_checksum,
    is_private_key,
    load_formats,
)
from tritter_assets_tests.filters.documents import POLICY, document, judged

FORMATS = load_formats(POLICY / "secret_formats.yaml")


def checked_token(prefix: str, seed: int = 1) -> str:
    """A token as GitHub and npm make them: 30 random characters and their CRC-32 in base 62."""
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    body = "".join(random.Random(seed).choices(alphabet, k=30))
    value, checksum = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        checksum = alphabet[digit] + checksum
    return f"{prefix}_{body}{checksum}"


def evidence(content: str) -> str:
    return "; ".join(v.evidence for v in judged(secrets.DEFINITION, document(content)))


def sample(pattern: str, chance: random.Random) -> str:
    """Makes a text that an expression of the policy matches."""

    def of(parsed: Any) -> str:
        made = ""
        for kind, value in parsed:
            if kind is re_constants.LITERAL:
                made += chr(value)
            elif kind is re_constants.IN:
                made += chance.choice([c for c in string.printable[:95] if matches(value, c)])
            elif kind is re_constants.MAX_REPEAT:
                least, most, inner = value
                times = chance.randint(least, min(most, least + 4))
                made += "".join(of(inner) for _ in range(times))
            elif kind is re_constants.SUBPATTERN:
                made += of(value[3])
            elif kind is re_constants.BRANCH:
                made += of(chance.choice(value[1]))
        return made

    def matches(members: Any, char: str) -> bool:
        names = {re_constants.CATEGORY_WORD: r"\w", re_constants.CATEGORY_DIGIT: r"\d"}
        return any(
            (kind is re_constants.LITERAL and chr(value) == char)
            or (kind is re_constants.RANGE and value[0] <= ord(char) <= value[1])
            or (kind is re_constants.CATEGORY and re.fullmatch(names[value], char) is not None)
            for kind, value in members
        )

    return of(re_parser.parse(pattern))


@pytest.mark.parametrize("form", FORMATS.formats, ids=lambda form: form.name)
def test_every_form_is_found_in_code(form):
    chance = random.Random(form.name)
    raw = yaml.safe_load((POLICY / "secret_formats.yaml").read_text("utf-8"))
    for _ in range(5):
        token = sample(raw["formats"][form.name]["expression"], chance)
        assert any(prefix in token.lower() for prefix in form.prefixes)
        (verdict, *_) = judged(secrets.DEFINITION, document(f"x = [{token}]\n"))
        covered = {place for span in verdict.spans for place in range(span.start, span.end)}
        # A dash may end a token's alphabet and its expression stop before it.
        assert set(range(5, 5 + len(token.rstrip("-_.=+/")))) <= covered


@pytest.mark.parametrize("prefix", ["ghp", "ghs", "npm"])
def test_a_checksum_that_fits_is_a_verified_format(prefix):
    token = checked_token(prefix)
    assert is_base62_checksum(token)
    (verdict,) = judged(secrets.DEFINITION, document(f"token: {token}\n"))
    assert verdict.score == 1.0
    assert "verified_format" in verdict.evidence
    assert token not in verdict.evidence
    other = token[:-1] + ("a" if token[-1] != "a" else "b")
    (verdict,) = judged(secrets.DEFINITION, document(f"token: {other}\n"))
    assert verdict.score == pytest.approx(0.8)
    assert "verified_format" not in verdict.evidence


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 40))
def test_a_changed_character_breaks_the_checksum(seed):
    token = checked_token("ghp", seed)
    place = 4 + seed % 30
    changed = token[:place] + ("x" if token[place] != "x" else "y") + token[place + 1 :]
    assert is_base62_checksum(token)
    assert not is_base62_checksum(changed)


@pytest.mark.parametrize(
    "kind",
    [serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8,
     serialization.PrivateFormat.OpenSSH],
)  # fmt: skip
@pytest.mark.parametrize("escaped", [False, True])
def test_a_private_key_is_read(kind, escaped):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    text = pem.decode().strip()
    assert is_private_key(text)
    lines = text.splitlines()
    assert not is_private_key("\n".join([lines[0], lines[1][8:], *lines[2:]]))
    shown = text.replace("\n", "\\n") if escaped else text
    content = f'{{"private_key": "{shown}"}}\n'
    (verdict,) = judged(secrets.DEFINITION, document(content, "account.json"))
    assert verdict.score == 1.0
    covered = {place for span in verdict.spans for place in range(span.start, span.end)}
    begin = content.index(shown)
    assert set(range(begin, begin + len(shown))) <= covered


def test_plus_signs_at_line_ends_belong_to_the_key():
    # About one key in nine has one there.
    kind = serialization.PrivateFormat.OpenSSH
    for seed in range(1, 101):
        key = ec.derive_private_key(seed, ec.SECP256R1())
        pem = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
        text = pem.decode().strip()
        assert is_private_key(text)
        assert is_private_key(text.replace("\n", "\n+"))


def test_a_key_of_nothing_is_not_verified():
    begin, end = "-----BEGIN RSA " + "PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"
    assert not is_private_key(f"{begin}\n...\n{end}")
    assert not is_private_key(f"{begin}\n{base64.b64encode(bytes(64)).decode()}\n{end}")
    assert not is_private_key(begin)


def test_placeholders_and_parts_of_words_are_left():
    assert evidence("x = hf_" + "x" * 34 + "\n") == ""
    assert evidence("x = half_" + "abcdefghijklmnopqrstuvwxyzabcdefgh" + "\n") == ""
    assert "hugging_face" in evidence("x = hf_" + "abcdefghijklmnopqrstuvwxyzabcdefgh" + "\n")


@pytest.mark.parametrize(
    "entry",
    [
        {"expression": "a"},
        {"prefixes": ["a"], "expression": "a("},
        {"prefixes": ["a"], "expression": "a", "check": "phone_home"},
        {"prefixes": ["\u00e9"], "expression": "\u00e9"},
        {"prefixes": ["a"], "expression": "a", "verify_url": "x"},
        {"prefixes": ["a"], "expression": "a", "run": 30},
    ],
)
def test_an_unusable_file_is_refused(entry, tmp_path):
    file = tmp_path / "secret_formats.yaml"
    file.write_text(yaml.safe_dump({"formats": {"mine": entry}}), "utf-8")
    with pytest.raises(ContractViolation, match=r"formats\.mine"):
        load_formats(file)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_checks_take_any_token(name):
    for token in ("", "a", "ghp_", "\u00e9", "AKIA" + "0" * 16):
        assert CHECKS[name](token) in {True, False}
