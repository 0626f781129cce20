"""Equality with detect-secrets' default scan, and bounded time."""

from __future__ import annotations

import random
import string
import time
from pathlib import Path

import polars as pl
import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import ContractViolation
from tritter_assets.filters.secret_lines import PLUGINS, candidate_lines
from tritter_assets.filters.secret_plugins import detect, line_starts, plugins

# Put together at run time, so that no scanner takes this file for a leak.
AWS = "AKIA" + "IOSFODNN7QXAMPLF"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
BASE64 = "k3Jx9Qm2Zt7Vb5Nc8Lw1Rf6Yd4Hs0Gp+aE/uTiO"
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
TOKENS = {
    "AWSKeyDetector": f"key = {AWS}",
    "ArtifactoryDetector": "x = AKC" + "p8kT5ZbQ1mW",
    "AzureStorageKeyDetector": "AccountKey=" + BASE64[:40].replace("+", "x") + "A" * 47 + "==",
    "BasicAuthDetector": "url = https://user:" + "s3cretpw@host.com/",
    "CloudantDetector": "cloudant_password = '" + HEX + HEX[:24] + "'",
    "DiscordBotTokenDetector": "t = MTk4NjIyNDgzNDcxOTI1MjQ4"
    + ".Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
    "GitHubTokenDetector": f"t = {GITHUB}",
    "GitLabTokenDetector": "t = glpat-" + "aB3dE5fG7hI9jK1lM3nO",
    "IPPublicDetector": "host = 8.8.4.4:53",
    "IbmCloudIamDetector": "ibm_api_key: " + "aB3dE5fG7hI9" * 3 + "aB3dE5fG",
    "IbmCosHmacDetector": "secret_access_key = '" + HEX + HEX[:8] + "'",
    "JwtTokenDetector": "t = eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "MailchimpDetector": "k = " + HEX[:32] + "-us12",
    "NpmDetector": "//registry.npmjs.org/:_authToken=" + "npm_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "OpenAIDetector": "k = sk-" + "a1B2c3D4e5F6g7H8i9J0T3BlbkFJa1B2c3D4e5F6g7H8i9J0",
    "PrivateKeyDetector": "-----BEGIN EC " + "PRIVATE KEY-----",
    "PypiTokenDetector": "t = pypi-AgEIcHlwaS5vcmc" + "aB3dE5fG7h" * 7,
    "SendGridDetector": "t = SG." + "aB3dE5fG7hI9jK1lM3nOpQ" + "." + "aB3dE5fG7h" * 4 + "xyz",
    "SlackDetector": "t = xoxb-" + "1234567890-abcdefghij",
    "SoftlayerDetector": "softlayer_api_key = '" + HEX + HEX[:24] + "'",
    "SquareOAuthDetector": "t = sq0csp-" + "aB3dE5fG7h" * 4 + "xyz",
    "StripeDetector": "k = sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
    "TelegramBotTokenDetector": "t = 110201543:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "TwilioKeyDetector": "sid = AC" + HEX[:32],
    "KeywordDetector": "password = 'correct horse battery'",
    "Base64HighEntropyString": f"x = '{BASE64}'",
    "HexHighEntropyString": f"x = '{HEX}'",
}
TOKENS["TelegramBotTokenDetector"] += "x"


ALIASES = (
    "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 300))
    + f"password: {BASE64}\n"
)


def theirs(folder: Path, path: str, content: str) -> set[tuple[str, int, str]]:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8", newline="")
    with default_settings():
        return {
            (found.type, found.line_number, found.secret_value or "")
            for found in scan_file(str(file))
        }


def ours(path: str, content: str) -> set[tuple[str, int, str]]:
    kinds = {name: plugin.secret_type for name, plugin in plugins(()).items()}
    detection = detect(pl.Series("content", [content]), [path])
    assert detection.num_scanned == 1
    return {
        (kinds[found.plugin], found.line, found.secret) for found in detection.findings.get(0, [])
    }


@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("path", ["a.py", "a.yaml", "a.rs"])
def test_each_plugin_finds_here_what_it_finds_there(name, path, tmp_path):
    content = f"# Ünïcode\n{TOKENS[name]}\n"
    expected = theirs(tmp_path, path, content)
    assert expected <= ours(path, content)
    # An address has no letter, which detect-secrets' own filter asks of a secret.
    if path == "a.py" and name != "IPPublicDetector":
        assert plugins(())[name].secret_type in {kind for kind, _, _ in expected}


INI = f"""[server]
host = db.example.com
password = hunter2hunter
token: {BASE64}
digests =
    {HEX}

    # a comment
    {HEX[::-1]}
# pragma: allowlist nextline secret
api_key = not-this-one
"""
YAML = f"""# password: in-a-comment
server:
  host: db.example.com
  password: hunter2hunter # the old one
  token: {BASE64}
  folded: >
    {HEX}
  list: [{{secret: inside-a-flow}}, plain]
  hidden: "\\x41KIAIOSFODNN7QXAMPLF"
  binary: !!binary |
    {BASE64.replace("-", "x")}
  allowed: {HEX}  # pragma: allowlist secret
"""


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("setup.cfg", INI),
        ("deploy/app.yaml", YAML),
        ("compose.yml", "services:\n- environment:\n    DB_PASSWORD: s3cretvalue\n"),
        ("broken.yaml", "a: [\npassword: hunter2hunter\n"),
        (".env", f"DEBUG=1\nTOKEN={BASE64}\n"),
        ("notes.txt", f"digest: {HEX}\nname = plain\n"),
        ("main.rs", f'let key = "{HEX}";\nlet password = "x";\n'),
        ("a.go", "password := hunter2hunter\n"),
        ("a.cpp", 'std::string secret("hunter2hunter");\n'),
        ("a.js", "if ('hunter2hunter' == my_password) {}\nuser_id = '" + HEX + "'\n"),
        ("poetry.lock", f"password = '{BASE64}'\n"),
        ("swagger-ui.html", f"password = '{BASE64}'\n"),
        ("old.py", f"a = 1\rkey = '{HEX}'\r\npassword = 'hunter2hunter'\r"),
        ("wide.py", "ip = '8.8.8.8'\u00a0\nt = \u0661\u0662345678:" + "a" * 35 + "\n"),
        ("kelvin.py", "api_\u212aey = 'hunter2hunter'\npa\u017f\u017fword = 'hunter2hunter'\n"),
    ],
)
def test_files_of_many_types(path, content, tmp_path):
    expected = theirs(tmp_path, path, content)
    assert expected <= ours(path, content)
    if Path(path).suffix in {".cfg", ".yaml", ".yml", ".go", ".cpp"}:
        assert expected, path


def test_generated_lines_of_every_type(tmp_path):
    chance = random.Random(5)
    words = ["password", "api_key", "secret", "token", "url", "user_id", "id", "private_key"]
    letters = string.ascii_letters + string.digits + "+/=_-"
    alphabets = [letters, string.hexdigits, string.digits, "abcdefghij"]
    lines = list(TOKENS.values())
    for _ in range(600):
        alphabet = chance.choice(alphabets)
        value = "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 60)))
        name, quote = chance.choice(words), chance.choice(["'", '"', "", "`"])
        sign = chance.choice([" = ", ": ", "=", " := ", " == ", " => ", "("])
        lines.append(f"{name}{sign}{quote}{value}{quote}")
    chance.shuffle(lines)
    for suffix in (".py", ".go", ".c", ".yaml", ".toml", ".rs"):
        content = "\n".join(lines) + "\n"
        expected = theirs(tmp_path, f"sample{suffix}", content)
        assert len(expected) > 100
        assert expected <= ours(f"sample{suffix}", content)


@settings(max_examples=300, deadline=None)
@given(st.text(string.hexdigits, min_size=1, max_size=40), st.sampled_from("'\""))
def test_hex_entropy_is_decided_as_there(value, quote):
    plugin = plugins(())["HexHighEntropyString"]
    random_enough = plugin.calculate_shannon_entropy(value) > plugin.entropy_limit
    assert (
        not random_enough
        or _mask(f"x = {quote}{value}{quote}") >> PLUGINS.index("HexHighEntropyString") & 1
    )


@settings(max_examples=300, deadline=None)
@given(st.permutations("abcdefghijklmnopqrstuvwxyz0123456789+/"), st.integers(20, 38))
def test_base64_entropy_is_decided_as_there(characters, size):
    # 22 different characters have an entropy of 4.46, 23 of 4.52.
    value = "".join(characters[:size])
    plugin = plugins(())["Base64HighEntropyString"]
    random_enough = plugin.calculate_shannon_entropy(value) > plugin.entropy_limit
    assert random_enough == (size >= 23)
    place = PLUGINS.index("Base64HighEntropyString")
    assert bool(_mask(f"x = '{value}'") >> place & 1) == random_enough


def _mask(line: str) -> int:
    found = list(candidate_lines(pl.Series("content", [line])))
    return found[0].mask if found else 0


@settings(max_examples=100, deadline=None)
@given(st.text("a\n\r\u00e9", max_size=40))
def test_lines_begin_where_python_begins_them(text):
    import io

    lines = io.StringIO(text, newline=None).read().split("\n")
    starts = line_starts(text)
    assert len(starts) == len(lines)
    for start, line in zip(starts, lines, strict=True):
        assert text[start : start + len(line)] == line


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["a.py", "a.yaml", "a.ini", "a.txt"]))
def test_any_text_is_scanned(text, path):
    text = text.encode("utf-8", "replace").decode()
    assert detect(pl.Series("content", [text]), [path]).num_scanned == 1


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.py", "password" * 60_000),
        ("a.py", "password = " + " " * 400_000),
        ("a.py", "eyJ" * 150_000),
        ("a.py", "//" * 200_000 + ":_authToken="),
        ("a.py", "sk-" * 150_000 + "T3BlbkFJ"),
        ("a.py", "aws key '" * 50_000),
        ("a.py", "'" + "a1B2c3D4" * 60_000 + "'"),
        ("a.py", "\0" * 400_000 + f"key = '{AWS}'"),
        ("a.yaml", "a: " + "[" * 50_000),
("a.yaml", ALIASES),
        ("a.ini", "[a]\n" + "".join(f"key{i} = password\n" for i in range(9_900))),
    ],
    ids=[
        "keyword", "blanks", "jwt", "npm", "openai", "aws", "entropy", "nul", "deep", "aliases",
        "ini",
    ],
)  # fmt: skip
def test_bait_takes_bounded_time(path, content):
    detect(pl.Series("content", [""]), [""])
    begin = time.process_time()
    detect(pl.Series("content", [content]), [path])
    assert time.process_time() - begin < 6


def test_a_limit_below_theirs_is_refused():
    with pytest.raises(ContractViolation, match="least values"):
        plugins((("HexHighEntropyString", 2.0),))
