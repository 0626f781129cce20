from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.sources.prose.rustdoc import document_rust

SOURCE = """\
//! Sets.
//!
//! ```
//! # use sets::Set;
//! let set = Set::<u8>::new();
//! ```
use std::{fmt, mem};

/// Adds. See [`sub`] and [the text](crate::text).
///
/// # Panics
///
/// ```should_panic
/// # fn main() {
/// let open = "{";
/// ##[allow(dead_code)]
/// # }
/// ```
/// ```text
/// # plain
/// ```
///
/// [`sub`]: crate::sub
#[inline]
#[must_use = "a ] in a string"]
pub fn add<T: Into<u8>>(
    a: T, // first
    b: [u8; 3],
) -> u8 where T: Copy {
    let brace = '{';
    /// not documentation of an item
    let raw = r#"}"#; /* { /* { */ */
    1
}

/// private
fn hidden() {}
//// not documentation
pub fn undocumented() {}

/// A set
#[derive(Debug)]
pub struct Set<K, V> {
    /// The key
    pub key: Map<K, V>,
    /// secret
    inner: u8,
}

impl<K, V> Set<K, V> {
    /// Makes one
    pub const fn new() -> Self { Set { key: 1 } }
    /// not shown
    #[doc(hidden)]
    pub fn skipped() { {} }
}

impl<K, V> Iterator for Set<K, V> {
    /// Next
    fn next(&mut self) -> Option<K> { None }
}

/// Kinds
pub enum Kind {
    /// Tuple
    A(u8, u16),
}

macro_rules! int_impl {
    ($T:ident) => {
        #[doc = concat!("The smallest ", stringify!($T), ".")]
        ///
        /// ```
        #[doc = concat!("assert_eq!(", stringify!($T), "::MIN, 0);")]
        /// ```
        pub const MIN: Self = { 0 };
    };
}

/** A block
 * of text
 */
pub trait Size {
    /// Needed
    fn size(&self) -> usize;
}

#[doc(keyword = "as")]
/// Casts.
mod as_keyword {}

#[cfg(test)]
mod tests {
    /// no
    pub fn shown() {}
}
"""

WANTED = """\
# `small::sets`

Sets.

```rust
let set = Set::<u8>::new();
```

## `add`

```rust
pub fn add<T: Into<u8>>(a: T, b: [u8; 3]) -> u8 where T: Copy
```

Adds. See `sub` and the text.

### Panics

```rust
let open = "{";
#[allow(dead_code)]
```
```
# plain
```

## `Set`

```rust
pub struct Set<K, V>
```

A set

### `Set::key`

```rust
pub key: Map<K, V>
```

The key

## `impl<K, V> Set<K, V>`

### `Set::new`

```rust
pub const fn new() -> Self
```

Makes one

## `impl<K, V> Iterator for Set<K, V>`

### `Set::next`

```rust
fn next(&mut self) -> Option<K>
```

Next

## `Kind`

```rust
pub enum Kind
```

Kinds

### `Kind::A`

```rust
A(u8, u16)
```

Tuple

## `MIN`

```rust
pub const MIN: Self
```

The smallest $T.

```rust
assert_eq!($T::MIN, 0);
```

## `Size`

```rust
pub trait Size
```

A block
of text

### `Size::size`

```rust
fn size(&self) -> usize
```

Needed

## Keyword `as`

Casts.
"""


def test_a_file_becomes_its_api_documentation() -> None:
    assert document_rust(SOURCE, "small-1.2.0/src/sets/mod.rs") == WANTED


@pytest.mark.parametrize(
    ("path", "crate", "title"),
    [
        ("library/core/src/option.rs", None, "core::option"),
        ("my-crate-0.1.0-rc.1/src/lib.rs", None, "my_crate"),
        ("src/de/mod.rs", "serde", "serde::de"),
        ("src/lib.rs", None, "lib.rs"),
        ("build.rs", None, "build"),
    ],
)
def test_the_title_is_the_module_path(path: str, crate: str | None, title: str) -> None:
    assert document_rust("//! Text.\n", path, crate=crate).startswith(f"# `{title}`\n")


def test_a_file_without_documentation_gives_nothing() -> None:
    assert document_rust("pub fn f() {}\n", "src/lib.rs") == ""


@pytest.mark.parametrize(
    "text",
    [
        "/*" * 120_000,
        "#[" * 120_000,
        'r#"' * 80_000,
        "{" * 200_000,
        "}" * 200_000,
        "'" * 200_000,
        "/// a\n" * 10_000,
        "/// a\npub fn f(" * 15_000,
        "/// a\n#[cfg(test)]\n" * 12_000,
        "impl<" * 50_000 + "{\n/// a\npub fn f();}",
        "/// " + "[" * 120_000 + "\npub fn f();",
        "/// ```\npub fn f();\n" * 10_000,
        '#[doc = "' + '\\"' * 80_000,
    ],
    ids=range(13),
)
def test_hostile_input_costs_linear_time(text: str) -> None:
    started = time.process_time()
    document_rust(text, "src/lib.rs")
    assert time.process_time() - started < 5


@given(st.text(alphabet="/!*#[]{}()<>'\";,=`ab \n\\r", max_size=200))
def test_any_text_is_read_and_the_answer_is_stable(text: str) -> None:
    assert document_rust(text, "src/lib.rs") == document_rust(text, "src/lib.rs")
