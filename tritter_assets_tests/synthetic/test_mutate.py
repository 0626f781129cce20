from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.functions.grammar import parse
from tritter_assets.synthetic.documentation import is_request, is_test, lead_of
from tritter_assets.synthetic.mutate import mutate
from tritter_assets.synthetic.shards import fenced

CODE = {
    "python": """def f(xs, n):
    '''Says 3 < 4.'''
    try:
        if n in xs and n < 3:
            return xs[n + 1]
    except ValueError:
        log(1)
    return xs
""",
    "rust": """fn f(x: &str) -> Result<u8> {
    let y = g(x)?;
    if y < 3 && y != 1 { return Ok(y + 2); }
    Ok(y)
}""",
    "javascript": """function f(x) {
  try { if (x === 1) { return x + 2 } } catch (e) { log(e) }
  return x
}""",
    "cpp": """int f(int x) {
  try { g(x); } catch (...) { return 3; }
  return x << 2;
}""",
    "go": """func f(x int) (int, error) {
\ty, err := g(x)
\tif err != nil {
\t\treturn 0, err
\t}
\treturn y + 1, nil
}""",
}
KINDS = {
    "python": {"wrong_comparison", "operator_swap", "off_by_one", "dropped_return",
               "removed_error_handling"},
    "rust": {"wrong_comparison", "operator_swap", "off_by_one", "removed_error_handling"},
    "javascript": {"wrong_comparison", "operator_swap", "off_by_one", "dropped_return",
                   "removed_error_handling"},
    "cpp": {"operator_swap", "off_by_one", "removed_error_handling"},
    "go": {"wrong_comparison", "operator_swap", "off_by_one", "removed_error_handling"},
}  # fmt: skip


@pytest.mark.parametrize("language", CODE)
def test_every_kind_of_fault_occurs_and_parses(language: str) -> None:
    seen = set()
    for seed in range(60):
        made = mutate(language, CODE[language], str(seed))
        assert made is not None
        changed, fault = made
        assert changed != CODE[language]
        tree = parse(language, changed.encode())
        assert tree is not None
        assert not tree.root_node.has_error
        seen.add(fault.kind)
    assert seen == KINDS[language]


@given(st.sampled_from(sorted(CODE)), st.text(max_size=8))
@settings(max_examples=40, deadline=None)
def test_same_seed_gives_the_same_fault(language: str, seed: str) -> None:
    assert mutate(language, CODE[language], seed) == mutate(language, CODE[language], seed)


def test_strings_and_comments_stay() -> None:
    code = "def f(x):\n    # 1 < 2\n    y = 'a < 3'\n    return y\n"
    for seed in range(20):
        made = mutate("python", code, str(seed))
        assert made is not None
        assert made[1].kind == "dropped_return"


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (None, False),
        ("Short.", False),
        ("TODO write down what this does one day soon.", False),
        ("See base class for the meaning of all of the arguments.", False),
        ("Copyright 2020 Someone. Licensed under the terms of something else.", False),
        ("Returns the shortest path between two nodes of a graph.", True),
        ("Args:\n    x: The value that is going to be added to all others.", False),
    ],
)
def test_is_request(docstring: str | None, expected: bool) -> None:
    assert is_request(docstring) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_paths", True),
        ("TestGraph.degree", True),
        ("tests::roundtrip", True),
        ("Graph.test_edge", True),
        ("latest", False),
        ("Testament.read", False),
        ("contest::run", False),
        ("attest", False),
    ],
)
def test_is_test(name: str, expected: bool) -> None:
    assert is_test(name) is expected


def test_lead_ends_at_the_first_section() -> None:
    assert lead_of("One two\nthree.\n\nMore.\n\nParameters\n----------\nx : int\n") == (
        "One two three.\n\nMore."
    )


def test_fence_is_longer_than_any_in_the_code() -> None:
    assert fenced("python", "a = 1") == "```python\na = 1\n```"
    assert fenced("rust", "/// ```\n/// x\n/// ```").startswith("````rust\n")
