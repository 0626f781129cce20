"""Our readers of YAML and INI against detect-secrets' own, line for line."""

from __future__ import annotations

import io
import random

import pytest

from tritter_assets.filters import secret_ini, secret_yaml
from tritter_assets.filters.secret_transforms import read_ini, read_yaml

YAML = [
    "a: b\n",
    "a:\n  - b: c\n  - d: 'e # f'   # g\n",
    "a: |\n  b: c\n\n  d\ne: >-\n  f\n  g\n",
    "a: &x b\nc: *x\nd:\n  e: *x\n",
    "a: &x\n  b: c\nd:\n  <<: *x\n  e: f\n",
    "a: &x b\nc:\n- *x\n",
    "a: {b: c, d: e}\nf: g\n",
    "a: {}\nb: []\nc: d\n",
    "a:\n  {b: c,\n   d: e}\n",
    "a: 1\nb: yes\nc: 2026-01-02\nd: '1'\ne: ~\nf:\ng: ''\nh: 0x1F\n",
    "a: b\na: c\n",
    "1: a\n01: b\n",
    "a: b\n---\nc: d\n",
    "---\na: b\n",
    "a: !vault |\n  b\nc: d\n",
    "a: !!str 1\nb: !!binary aGVsbG8=\n",
    '? "a\\n"\n: b\nc: d\n',
    "a:\n\n\n  b\nc: d\n",
    'a: "b\\x41\\\n  c"\nd: e\n',
    "a: 'b\n\n  c'\nd: e\n",
    "a: b\n c: d\n",
    "a: [b, {c: d}]\n",
    "- a\n- b: c\n-   - d: e\n",
    "a: *nothing\n",
    "a: &x b\nc: &x d\n",
    "",
    "a",
    "a:\tb\n",
    "a: b # c\r".replace("\r", "\n") + "d: e f  \n",
    "a: é\u2028b\nc: d\n",
]
INI = [
    "[a]\nb = c\n",
    "[a]\nb = c\n  d\n\n  # e\n  f\ng: 'h'\n",
    '[a]\nb = "c"\nd = "e\n[f]\nb == c\n',
    "[a]\nb = %(c)s\nc = d\n",
    "[a]\nb = 50%\n",
    "[DEFAULT]\na = b\n[c]\nd = e\n",
    "[a]\nb = c\nb = d\n",
    "[a]\nb\n",
    "[a]\nb =\nc = : d\nd=e=f\n",
    "[a]\n; pragma: allowlist nextline secret\nb = c\nd = e\n",
    "a = b\n",
    "[a]\n[b]\nc = d ; e\n  ; f\n",
]


def theirs_yaml(text: str) -> list[str] | None:
    from detect_secrets.transformers.exceptions import ParsingError
    from detect_secrets.transformers.yaml import YAMLTransformer

    try:
        return YAMLTransformer().parse_file(named(text)) or None  # type: ignore[arg-type]
    except (ParsingError, ValueError, TypeError, IndexError, AttributeError):
        return None


def theirs_ini(text: str, *, has_header: bool) -> list[str] | None:
    from detect_secrets.transformers.config import ConfigFileTransformer, EagerConfigFileTransformer
    from detect_secrets.transformers.exceptions import ParsingError

    reader = EagerConfigFileTransformer() if has_header else ConfigFileTransformer()
    try:
        return reader.parse_file(named(text)) or None  # type: ignore[arg-type]
    except ParsingError:
        return None


def named(text: str) -> io.StringIO:
    file = io.StringIO(text)
    file.name = "x"  # type: ignore[attr-defined]
    return file


@pytest.mark.parametrize("text", YAML)
def test_yaml_is_read_as_there(text: str) -> None:
    assert read_yaml("x.yaml", text) == theirs_yaml(text)


@pytest.mark.parametrize("has_header", [False, True])
@pytest.mark.parametrize("text", INI)
def test_ini_is_read_as_there(text: str, has_header: bool) -> None:
    assert read_ini("x.ini", text, has_header=has_header) == theirs_ini(text, has_header=has_header)


def random_yaml(seed: int) -> str:
    """Writes nested mappings, sequences, scalars of all styles, anchors and aliases."""
    choose = random.Random(seed)
    anchors: list[str] = []

    def scalar(indent: int) -> str:
        pad = "\n" + " " * (indent + 2)
        return choose.choice(
            ["word", "two words", "12", "1.5", "true", "null", "2026-01-02", "'a ''b'", '"c \\n d"',
             f"|{pad}one{pad}two: x", f">-{pad}folded{pad}text", f"plain{pad}goes on", "", "=", "~",
             "{}", "[]", "[a, b]", "{k: v}", f"'quoted{pad}lines'", "a#b", "http://u:p@h/"]
        )  # fmt: skip

    def block(indent: int, depth: int) -> list[str]:
        lines: list[str] = []
        in_list = choose.random() < 0.3
        for number in range(choose.randrange(1, 5)):
            head = " " * indent + ("- " if in_list else "")
            head += f"{choose.choice(['key', 'password', '7', 'a b'])}{number}:"
            kind = choose.randrange(8)
            if kind == 0 and depth < 3:
                lines += [head, *block(indent + 4, depth + 1)]
            elif kind == 1 and anchors:
                lines.append(f"{head} *{choose.choice(anchors)}")
            elif kind == 2:
                anchors.append(f"x{len(anchors)}")
                lines.append(f"{head} &{anchors[-1]} value{len(anchors)}")
            else:
                comment = choose.choice(["", "  # note"])
                value = scalar(indent)
                lines.append(f"{head} {value}{comment if chr(10) not in value else ''}")
            lines += [""] * (choose.random() < 0.1)
        return lines

    return "\n".join(block(0, 0)) + "\n"


def test_random_yaml_is_read_as_there() -> None:
    sure = 0
    for seed in range(400):
        text = random_yaml(seed)
        assert read_yaml("x.yaml", text) == theirs_yaml(text), text
        try:
            sure += bool(secret_yaml.read_lines(text))
        except secret_yaml.Unsure:
            continue
    assert sure > 100


def test_ini_is_linear_in_its_keys() -> None:
    text = "[a]\n" + "".join(f"key{n} = value{n}\n" for n in range(9_000))
    lines = secret_ini.read_lines(text, has_header=False)
    assert (len(lines), lines[-1]) == (9_001, 'key8999 = "value8999"')
