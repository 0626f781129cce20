from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.functions.grammar import LANGUAGES, MAX_SOURCE_BYTES
from tritter_assets.functions.outline import outline, source_of

PYTHON = b'''import os


@first(1)
@second
def join(a, b):
    """Joins two paths.

    More.
    """
    def inner():
        return a
    return inner() + b


class Outer:
    class Inner:
        @property
        def size(self):
            "Bytes."
            return 1

    async def go(self):
        text = """
unindented
"""
        return text
'''
RUST = b"""//! About the crate.

/// Adds one.
///
/// # Errors
/// None.
#[inline]
pub fn add(x: i32) -> i32 { x + 1 }

impl<T> Show for Wrap<T> {
    // only a remark
    fn show(&self) {}
    /** Counts
     * all of them.
     */
    fn count(&self) -> u8 { 0 }
}
mod inner { fn hidden() {} }
"""
JAVASCRIPT = b"""/** Doubles.
 * @param x number
 */
export function twice(x) { return 2 * x }
class Box { get size() { return 2 } }
const half = (x) => { return x / 2 };
"""
CPP = b"""// Adds
// numbers.
template <typename T> T add(T a, T b) { return a + b; }
namespace n { class C { public: int get() const { return 1; } ~C() {} }; }
int *C::run(int x) { return 0; }
"""
GO = b"""package p

// Add adds.
func Add(a int) int { return a }

// Size is the size.
func (b *Box[T]) Size() int { return 0 }
"""


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        (
            "python",
            PYTHON,
            [
                ("join", "join", "Joins two paths.\n\nMore.", 4, 13),
                ("size", "Outer.Inner.size", "Bytes.", 18, 21),
                ("go", "Outer.go", "", 23, 27),
            ],
        ),
        (
            "rust",
            RUST,
            [
                ("add", "add", "Adds one.\n\n# Errors\nNone.", 3, 8),
                ("show", "Wrap<T>::show", "", 12, 12),
                ("count", "Wrap<T>::count", "Counts\nall of them.", 13, 16),
                ("hidden", "inner::hidden", "", 18, 18),
            ],
        ),
        (
            "javascript",
            JAVASCRIPT,
            [
                ("twice", "twice", "Doubles.\n@param x number", 1, 4),
                ("size", "Box.size", "", 5, 5),
                ("half", "half", "", 6, 6),
            ],
        ),
        (
            "cpp",
            CPP,
            [
                ("add", "add", "Adds\nnumbers.", 1, 3),
                ("get", "n::C::get", "", 4, 4),
                ("~C", "n::C::~C", "", 4, 4),
                ("run", "C::run", "", 5, 5),
            ],
        ),
        (
            "go",
            GO,
            [
                ("Add", "Add", "Add adds.", 3, 4),
                ("Size", "Box.Size", "Size is the size.", 6, 7),
            ],
        ),
    ],
)
def test_finds_functions(language: str, source: bytes, expected: list[tuple[object, ...]]) -> None:
    found = outline(language, source)
    assert found is not None
    assert found.num_broken == 0
    assert [
        (f.name, f.qualified_name, f.docstring, f.start_line, f.end_line) for f in found.functions
    ] == expected


def test_source_is_dedented_only_where_every_line_allows_it() -> None:
    found = outline("python", PYTHON)
    assert found is not None
    _, size, go = found.functions
    assert source_of(PYTHON, size).startswith("@property\ndef size(self):\n    ")
    assert source_of(PYTHON, go).startswith("    async def go(self):\n        text")
    assert "\nunindented\n" in source_of(PYTHON, go)


def test_broken_functions_are_counted_not_returned() -> None:
    found = outline("python", b"def good():\n    return 1\n\ndef bad(:\n    return (\n")
    assert found is not None
    assert [f.name for f in found.functions] == ["good"]


HOSTILE = [
    "(", "a=[", "if x:\n", 'def f():\n"""', "class A:\n ", "a<", "a?", "@a\n", "{", "fn f(",
    "impl A {", "mod a {", "/*", "/// a\n", "#[a]\n", "namespace a {", "func f(",
]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_input_ends(language: str) -> None:
    for piece in HOSTILE:
        outline(language, piece.encode() * (12_288 // len(piece)))


def test_too_long_is_not_parsed() -> None:
    assert outline("python", b"x = 1\n" * (MAX_SOURCE_BYTES // 6 + 1)) is None


@given(st.sampled_from(LANGUAGES), st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_gives_spans_inside_it(language: str, text: str) -> None:
    source = text.encode("utf-8", "surrogatepass")
    found = outline(language, source)
    assert found is not None
    for function in found.functions:
        assert 0 <= function.start_byte < function.end_byte <= len(source)
