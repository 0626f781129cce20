from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import secrets
from tritter_assets.filters.apply import merge_spans
from tritter_assets.filters.secret_lines import PLUGINS
from tritter_assets.verdict import Action, Reason
from tritter_assets_tests.filters.documents import document, judged

# Put together at run time, so that no scanner takes this file for a leak.
AWS = "AKIA" + "IOSFODNN7QXAMPLF"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEY = (
    "-----BEGIN RSA "
    + f"PRIVATE KEY-----\nMIIEowIBAAKCAQEA{'x7Kq' * 12}\nabc\n-----END RSA "
    + "PRIVATE KEY-----"
)
MARKERS = (
    "START = '-----BEGIN OPENSSH " + "PRIVATE KEY-----'\n"
    "END = '-----END OPENSSH " + "PRIVATE KEY-----'\n"
)
CUT = "MIIEowIBAAKCAQEA" + "x7Kq" * 12


def redacted(content: str, path: str = "pkg/module.py") -> list[str]:
    verdicts = judged(secrets.DEFINITION, document(content, path))
    spans = merge_spans([span for verdict in verdicts for span in verdict.spans])
    return [content[span.start : span.end] for span in spans]


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


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('let password = "password";\n', ['"password"']),
        ("url = 'https://user:user@host.com/'; user = 1\n", ["user"]),
        ("k = '" + GITHUB + "', '" + GITHUB + "'\n", [GITHUB, GITHUB]),
        (MARKERS, []),
        ("-----BEGIN RSA " + "PRIVATE KEY-----\n" + CUT + "\n" + CUT + "\nx = 1\n", None),
        ("path = 'unpacked/jax/output/HTML-CSS/fonts/Gyre-Pagella'\n", []),
        ("model = 'naver-hyperclovax/HyperCLOVAX-SEED-Think-32B'\n", []),
        ("image = 'iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4'\n", []),
        ("a = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'\n", []),
    ],
)  # fmt: skip
def test_what_is_no_secret_is_left(content, found):
    if found is None:
        assert redacted(content) == [content[: content.index("x = 1")]]
    else:
        assert redacted(content) == [text.strip('"') for text in found]
        assert '"password"' not in found or redacted(content) == ["password"]


def test_the_secret_is_never_in_the_evidence():
    (verdict,) = judged(secrets.DEFINITION, document(f"key = '{AWS}'\n"))
    assert AWS not in verdict.evidence
    assert "AWSKeyDetector line 1" in verdict.evidence


def test_a_secret_deep_in_a_long_line_is_found():
    content = "x = '" + "a" * 30_000 + "' + '" + GITHUB + "'\n"
    assert GITHUB in redacted(content)


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("app.yaml", "db:\n  password: hunter2hunter # old\n", ["hunter2hunter # old"]),
        ("app.yaml", "db_password: >-\n  hunter2\n  hunter\nother: 1\n", ["hunter2\n  hunter"]),
        ("app.yaml", 'key: "\\x41KIAIOSFODNN7QXAMPLF"\n', ['"\\x41KIAIOSFODNN7QXAMPLF"']),
        ("setup.cfg", "[db]\npassword = hunter2hunter\n", ["hunter2hunter"]),
        ("old.py", f"a = 1\r\nkey = '{AWS}'\r\n", [AWS]),
    ],
)
def test_values_of_configuration_files(path, content, found):
    assert redacted(content, path) == found


@pytest.mark.parametrize(
    ("bait", "times"), [('password = "', 280_000), ("-----BEGIN EC PRIVATE KEY-----", 30_000)]
)
def test_a_line_too_dense_to_search_is_quarantined(bait, times):
    (verdict,) = judged(secrets.DEFINITION, document(bait * times, "a.py"))
    assert (verdict.action, verdict.reason) == (Action.QUARANTINE, Reason.UNREADABLE)
    assert verdict.evidence is not None
    assert verdict.evidence.startswith("line 1 ")


def test_an_allowing_comment_behind_long_blanks_is_seen():
    blanks = " " * 50_000
    allowed = f"password = 'correct horse'{blanks}#{blanks}pragma: allowlist secret{blanks}\n"
    begin = time.process_time()
    assert not judged(secrets.DEFINITION, document(allowed, "a.py"))
    assert time.process_time() - begin < 2


def test_candidates_are_one_row_without_spans():
    digests = "".join(f"x{n} = '{n:02x}86d081884c7d659a2feaa0c55ad015'\n" for n in range(50))
    (verdict,) = judged(secrets.DEFINITION, document(digests))
    assert (verdict.action, verdict.reason) == (Action.KEEP, Reason.SECRET_CANDIDATE)
    assert verdict.evidence == "HexHighEntropyString 50"
    assert not verdict.spans


def test_the_policy_decides_plugin_by_plugin():
    content = f"key = '{AWS}'\n"
    off = dict.fromkeys((*PLUGINS, "formats"), "ignore")
    assert judged(secrets.DEFINITION, document(content), plugins=off) == []
    reported = off | {"AWSKeyDetector": "report"}
    (verdict,) = judged(secrets.DEFINITION, document(content), plugins=reported)
    assert verdict.evidence == "AWSKeyDetector 1"


@pytest.mark.parametrize("plugins", [{"NoDetector": "redact"}, {"AWSKeyDetector": "drop"}])
def test_an_unusable_policy_is_refused(plugins):
    with pytest.raises(ContractViolation, match=r"stages\.secrets\.plugins"):
        judged(secrets.DEFINITION, document("x = 1\n"), plugins=plugins)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_judged(text):
    text = text.encode("utf-8", "replace").decode()
    judged(secrets.DEFINITION, document(text))
