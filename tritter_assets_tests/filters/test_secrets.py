from __future__ import annotations

import random

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.filters import secrets
from tritter_assets_tests.filters.documents import config_of, document, judged

# Put together at run time, so that no scanner takes this file for a leak.
AWS = "AKIA" + "IOSFODNN7QXAMPLF"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEY = (
    "-----BEGIN RSA "
    + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA "
    + "PRIVATE KEY-----"
)


def redacted(content: str, path: str = "pkg/module.py", **changes) -> list[str]:
    verdicts = judged(secrets.DEFINITION, document(content, path), **changes)
    return [content[s.start : s.end] for v in verdicts for s in v.spans]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"key = '{AWS}'\n", [AWS]),
        (f"token: {GITHUB}\n", [GITHUB]),
        ("t = '" + "glcbt-" + "aB3dE5fG7hI9jK1lM3nO'\n", ["glcbt-" + "aB3dE5fG7hI9jK1lM3nO"]),
        (f"pem = '''{KEY}'''\nx = 1\n", [KEY]),
        ("url = 'https://user:s3cretpw@host.com/'\n", ["s3cretpw"]),
        ("password = 'correct horse battery'\n", ["correct horse battery"]),
        ("password = get_password()\n", []),
        ("password = '${PASSWORD}'\n", []),
        ("password = ''\n", []),
        ("password = 'xxxxxxxx'\n", []),
        (f"key = '{AWS}'  # pragma: allowlist secret\n", []),
        (f"# pragma: allowlist nextline secret\nkey = '{AWS}'\n", []),
        ("def add(a, b):\n    return a + b\n", []),
    ],
)
def test_golden(content, found):
    assert redacted("# ünïcode\n" + content) == found


def test_the_secret_is_never_in_the_evidence():
    (verdict,) = judged(secrets.DEFINITION, document(f"key = '{AWS}'\n"))
    assert AWS not in verdict.evidence
    assert "AWSKeyDetector line 1" in verdict.evidence


def test_a_secret_deep_in_a_long_line_is_found():
    content = "x = '" + "a" * 30_000 + "' + '" + GITHUB + "'\n"
    assert GITHUB in redacted(content)


def test_nothing_detect_secrets_finds_is_lost(tmp_path):
    """All its plugins and default filters, over generated code-like lines and real formats."""
    chance = random.Random(5)
    words = ["password", "api_key", "secret", "token", "url", "data", "id", "private_key"]
    letters = "abcdefABCDEF0123456789xyzXYZ+/=_-"
    lines = [f"key = '{AWS}'", f"t = '{GITHUB}'", "-----BEGIN EC " + "PRIVATE KEY-----"]
    for _ in range(400):
        value = "".join(chance.choice(letters) for _ in range(chance.randint(1, 60)))
        name, quote = chance.choice(words), chance.choice(["'", '"', "", "`"])
        sign = chance.choice([" = ", ": ", "=", " := ", " == ", " => ", "("])
        lines.append(f"{name}{sign}{quote}{value}{quote}")
    path = tmp_path / "sample.py"
    path.write_text("\n".join(lines) + "\n")
    with default_settings():
        theirs = {
            (found.line_number, found.secret_value)
            for found in scan_file(str(path))
            if found.type != "Public IP (ipv4)"
        }
    names = sorted(
        kind.__name__
        for kind in get_mapping_from_secret_type_to_class().values()
        if kind.__name__ != "IPPublicDetector"
    )
    config = config_of(
        secrets.DEFINITION, plugins=names, limits={}, min_secret_chars=1, skip_placeholders="(?!)"
    )
    plugins = secrets._plugins(config.plugins, ())
    import polars as pl

    from tritter_assets.filters.lines import possible_lines

    content = pl.Series("content", [path.read_text()])
    ours = {
        (line.number, secret)
        for line in possible_lines(content, secrets._possible(config.plugins))
        for _, secret in secrets._secrets_of(line, str(path), plugins, config)
    }
    assert len(theirs) > 100
    for number, value in theirs:
        # Of a GitHub or GitLab token detect-secrets reports the prefix, we the whole of it.
        assert any(number == n and value in secret for n, secret in ours), (number, value)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_judged(text):
    text = text.encode("utf-8", "replace").decode()
    judged(secrets.DEFINITION, document(text))
