from __future__ import annotations

import ast
import json
from collections import Counter
from typing import Any

import pytest

from tritter_assets.synthetic import spoil_python, spoil_rust, style_measures, style_pairs
from tritter_assets.synthetic.pairs import edited, read_code
from tritter_assets_tests.functions.filtered_lake import document

TIDY = '''def total_length(words: list[str], limit: int = 3) -> int:
    """Adds up the lengths of all words that are longer than the limit.

    Args:
        words: Some words.
    """
    # Short words say little.
    long_words = [word for word in words if len(word) > limit]
    if not long_words:
        return 0

    word_lengths = [len(word) for word in long_words]
    return sum(word_lengths)
'''
TIDY_RUST = """/// Adds up the lengths of all words that are longer than the limit.
pub fn total_length(words: &[String], limit: usize) -> Result<usize, Error> {
    // Short words say little.
    let long_words = keep_long(words, limit)?;
    if long_words.is_empty() {
        return Ok(0);
    }

    let mut sum = 0;
    for word in long_words.iter() {
        sum += word.len();
    }
    Ok(sum)
}
"""

PYTHON: dict[str, tuple[str, str]] = {
    "drop_docstring": ('def f():\n    """Says."""\n    return 1\n', "def f():\n    return 1\n"),
    "drop_comments": (
        "def f():\n    # a\n    return 1  # b\n",
        "def f():\n    return 1\n",
    ),
    "drop_annotations": (
        "def f(a: int, b: str = 'x', *, c: float) -> int:\n    d: int = a\n    return d\n",
        "def f(a, b = 'x', *, c):\n    d = a\n    return d\n",
    ),
    "crowd": (
        "def f(a, b, c):\n    total = a + b\n\n    return total * -c\n",
        "def f(a,b,c):\n    total=a+b\n    return total* -c\n",
    ),
    "comprehension_to_loop": (
        "def f(rows):\n    return {k: v for k, v in rows if v}\n",
        "def f(rows):\n    result = {}\n    for k, v in rows:\n        if v:\n"
        "            result[k] = v\n    return result\n",
    ),
    "else_after_return": (
        "def f(a):\n    if a:\n        return 1\n    b = 2\n    return b\n",
        "def f(a):\n    if a:\n        return 1\n    else:\n        b = 2\n        return b\n",
    ),
    "boolean_branches": (
        "def f(a, b):\n    return a in b\n",
        "def f(a, b):\n    if a in b:\n        return True\n    else:\n        return False\n",
    ),
    "nested_ifs": (
        "def f(a, b):\n    if a and b:\n        b()\n",
        "def f(a, b):\n    if a:\n        if b:\n            b()\n",
    ),
    "format_call": (
        "def f(a):\n    return f'{a} of {a.b}'\n",
        "def f(a):\n    return '{} of {}'.format(a, a.b)\n",
    ),
    "magic_number": (
        "def f(a):\n    limit = 7\n    return a > limit\n",
        "def f(a):\n    return a > 7\n",
    ),
    "dead_code": ("def f(a):\n    return a\n", "def f(a):\n    return a\n    return None\n"),
    "commented_out_code": (
        "def f(a):\n    b = a  # why\n    return b\n",
        "def f(a):\n    b = a  # why\n    # print(b)\n    return b\n",
    ),
}
RUST: dict[str, tuple[str, str]] = {
    "drop_documentation": ("/// Says.\nfn f() -> u8 { 1 }", "fn f() -> u8 { 1 }"),
    "drop_comments": ("fn f() {\n    // a\n    g(); // b\n}", "fn f() {\n    g();\n}"),
    "crowd": (
        "fn f(a: u8, b: u8) -> u8 {\n    let c = a & b;\n\n    c + a\n}",
        "fn f(a:u8,b:u8)->u8 {\n    let c=a & b;\n    c+a\n}",
    ),
    "question_to_match": (
        "fn f() -> Result<u8> {\n    let a = g()?;\n    Ok(a)\n}",
        "fn f() -> Result<u8> {\n    let a = match g() {\n        Ok(value) => value,\n"
        "        Err(error) => return Err(error.into()),\n    };\n    Ok(a)\n}",
    ),
    "explicit_return": ("fn f(a: u8) -> u8 {\n    a\n}", "fn f(a: u8) -> u8 {\n    return a;\n}"),
    "single_match": (
        "fn f(a: Option<u8>) {\n    if let Some(b) = a {\n        g(b);\n    }\n}",
        "fn f(a: Option<u8>) {\n    match a {\n        Some(b) => {\n            g(b);\n        }\n"
        "        _ => {}\n    }\n}",
    ),
    "long_assignment": ("fn f(mut a: u8) { a += 1; }", "fn f(mut a: u8) { a = a + 1; }"),
    "compared_to_true": (
        "fn f(a: &str) { if !a.is_empty() { g(); } }",
        "fn f(a: &str) { if a.is_empty() == false { g(); } }",
    ),
    "nested_ifs": (
        "fn f(a: bool, b: bool) {\n    if a && b {\n        g();\n    }\n}",
        "fn f(a: bool, b: bool) {\n    if a {\n        if b {\n            g();\n        }\n"
        "    }\n}",
    ),
    "needless_clone": ("fn f(a: u8) { g(a); }", "fn f(a: u8) { g(a.clone()); }"),
    "commented_out_code": (
        "fn f(a: u8) {\n    let b = a;\n    g(b);\n}",
        'fn f(a: u8) {\n    let b = a;\n    // println!("{:?}", b);\n    g(b);\n}',
    ),
}
WAYS = [
    (language, way)
    for language, module in (("python", spoil_python), ("rust", spoil_rust))
    for way in (*module.VERIFIED, *module.BY_CONSTRUCTION)
    if way.__name__ != "rename_locals"  # has tests of its own: the names depend on the seed
]


def spoilt(language: str, way: Any, text: str, seed: str = "s") -> str:
    code = read_code(language, text.encode())
    assert code is not None
    return edited(code.source, way(code, seed)).decode()


@pytest.mark.parametrize(("language", "way"), WAYS, ids=lambda p: getattr(p, "__name__", p))
def test_each_way_makes_what_it_says(language: str, way: Any) -> None:
    before, after = (PYTHON if language == "python" else RUST)[way.__name__]
    assert spoilt(language, way, before) == after
    assert read_code(language, after.encode()) is not None


RUNNABLE = """def grade(points, names):
    passed = 50
    scores = {name: value for name, value in zip(names, points) if value is not None}
    best = [name for name in scores if scores[name] > passed]
    if not best:
        return "none"
    if passed in points and best:
        best.append(f"{passed} exactly")
    label, count = "|".join(best), len(best)
    return f"{label} {count}"
"""


@pytest.mark.parametrize("seed", [str(number) for number in range(24)])
def test_spoilt_python_still_does_the_same(seed: str) -> None:
    code = read_code("python", RUNNABLE.encode())
    assert code is not None
    made = style_pairs.spoil("python", code, seed)
    assert made is not None
    spaces: list[dict[str, Any]] = [{}, {}]
    for text, space in zip((RUNNABLE, made[0]), spaces, strict=True):
        exec(compile(ast.parse(text), "pair", "exec"), space)
    for points in ([10, 60, 50], [None, 3, 4], [], [51, 50, None]):
        names = ["ann", "bob", "cy"][: len(points)]
        assert spaces[0]["grade"](points, names) == spaces[1]["grade"](points, names)


def test_names_change_only_where_the_function_binds_them() -> None:
    text = (
        "def f(word_list, key):\n    found_words = len\n    word_list.found_words = key\n"
        "    return call(found_words=found_words, other=[key for key in word_list])\n"
    )
    changed = spoilt("python", spoil_python.rename_locals, text)
    assert "word_list.found_words = key" in changed
    assert "call(found_words=" in changed
    assert "found_words = len" not in changed
    assert spoilt("python", spoil_python.rename_locals, text.replace("len", "locals()")) == (
        text.replace("len", "locals()")
    )


def test_rust_names_in_macros_and_shorthand_stay() -> None:
    text = (
        "fn f(first: u8, second: u8, third: u8, fourth: u8) -> S {\n    g(fourth);\n"
        '    println!("{first}"); log!(second);\n    S { third }\n}'
    )
    changed = spoilt("rust", spoil_rust.rename_locals, text)
    assert "fourth" not in changed
    assert all(f"{name}: u8" in changed for name in ("first", "second", "third"))


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("python", "def f(a):\n    b = a\n    return b\n", "def f(a):\n    b = 1\n    return b\n"),
        ("rust", "fn f(a: u8) -> u8 { a }", "fn f(a: u8) -> u8 { a + 1 }"),
    ],
)
def test_a_change_of_meaning_is_not_the_same_program(
    language: str, before: str, after: str
) -> None:
    module = spoil_python if language == "python" else spoil_rust
    first, second = (read_code(language, text.encode()) for text in (before, after))
    assert first is not None
    assert second is not None
    assert module.same_program(first, first, renamed=True)
    assert not module.same_program(first, second, renamed=True)


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("python", TIDY.replace("# Short", "# TODO: short"), "unfinished"),
        ("python", TIDY.replace("words: list[str]", "words"), "unannotated"),
        ("python", TIDY.replace("word_lengths", "w"), "names"),
        ("python", TIDY.replace("Short words", "Short words, " * 12), "long_line"),
        ("rust", TIDY_RUST.replace("limit)?", "limit).unwrap()"), "unfinished"),
        (
            "rust",
            "/// Says it all.\nfn f() -> u8 {\n    // one\n    // two\n    1\n}",
            "little_body",
        ),
    ],
)
def test_what_is_not_well_written(language: str, text: str, reason: str) -> None:
    found = style_measures.untidy_text(language, text) or style_measures.untidy_tree(language, text)
    assert found == reason


@pytest.mark.parametrize(("language", "text"), [("python", TIDY), ("rust", TIDY_RUST)])
def test_a_pair_says_what_was_asked_and_changed(language: str, text: str) -> None:
    parent = document("words", text, language) | {
        "name": "total_length", "qualified_name": "total_length", "start_line": 1,
        "docstring": "Adds up the lengths of all words that are longer than the limit.",
    }  # fmt: skip
    outcomes: Counter[str] = Counter()
    (row,) = style_pairs.make_rows(language, parent, outcomes)
    assert "Adds up the lengths" in row["instruction"]
    assert "total_length(words" in row["instruction"]
    assert text in row["chosen"]
    assert row["rejected"] != row["chosen"]
    entries = json.loads(row["license_evidence"])
    assert entries[0]["method"] == "inherited"
    assert 1 <= len(entries[1:]) <= style_pairs.MAX_CHANGES
    assert all(outcomes[entry["value"]] == 1 for entry in entries[1:])
