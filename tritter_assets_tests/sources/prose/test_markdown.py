from __future__ import annotations

import pytest

from tritter_assets.sources.prose.clean import clean_document
from tritter_assets.sources.prose.includes import Includes, chosen_lines, resolve
from tritter_assets.sources.prose.markdown import clean_markdown

FILES = {
    "listings/one/src/main.rs": (
        "fn other() {}\n// ANCHOR: here\nfn main() {\n    // ANCHOR: inner\n    run();\n"
        "    // ANCHOR_END: inner\n}\n// ANCHOR_END: here\n"
    ),
    "src/part.md": "Part with {{#include ../listings/out.txt}}\n{{#include ../listings/out.txt}}\n",
    "listings/out.txt": "done\n",
    "guide/loop.md": "{{#include loop.md}}\nx\n",
    "CHANGES.md": "# Changes\n\nMany.\n",
}

BOOK = """\
<!-- a comment
of two lines -->
# Loops {#loops}

<Listing number="3-1" file-name="src/main.rs" caption="A `Vec<T>` in a loop">

```rust,ignore,does_not_compile
# use std::io;
{{#rustdoc_include ../listings/one/src/main.rs:here}}
```

</Listing>

See [“Storing
Values”][values] and [the book](ch01.md#x), not [the web](https://example.org/a_b) <!-- ignore -->.

```console
{{#include ../listings/missing.txt}}
```

{{#include part.md}}

[values]: ch03.html#values
[web]: https://example.org
[![Build](https://ci.example.org/badge.svg)](https://ci.example.org)
![A diagram](img/a.png) has <span class="caption">words</span>, 2<sup>31</sup> &lt; x and
`<span>&lt;</span>` in code.

~~~text
<!-- kept --> {{kept}} &lt;
~~~
"""

BOOK_WANTED = """\
# Loops

Listing 3-1: A `Vec<T>` in a loop (file src/main.rs)

```rust
fn main() {
    run();
}
```

See “Storing
Values” and the book, not [the web](https://example.org/a_b) .

Part with
done

[web]: https://example.org

A diagram has words, 2^31 < x and
`<span>&lt;</span>` in code.

```text
<!-- kept --> {{kept}} &lt;
```
"""

SPHINX = """\
---
title: Ignored, a heading follows
jupytext:
  format: md
---
(a-label)=
# Title

% a comment
Use {func}`~jax.numpy.sum`, {ref}`the guide <guide>` and {math}`x^2`.

```{code-cell} ipython3
:tags: [hide]

x = 1
```

````{note} Watch out
:class: big

Inside

```python
y = 2
```
````

```{toctree}
:maxdepth: 2
a
b
```

:::{tip}
Colon text
:::

```{eval-rst}
.. autofunction:: jax.jit

Text with :func:`jit`.
```

```{include} ../CHANGES.md
```
"""

SPHINX_WANTED = """\
# Title

Use `sum`, the guide and $x^2$.

```python
x = 1
```

**Note: Watch out**

Inside

```python
y = 2
```

**Tip:**

Colon text

Text with `jit`.

# Changes

Many.
"""

HUB = """\
<!--Copyright 2024 The Team-->

# Pipelines[[pipelines]]

[[open-in-colab]]

> [!WARNING]
> Slow.

<Tip warning={true}>

Careful with [`~pipelines.Pipeline`].

</Tip>

<hfoptions id="a">
<hfoption id="Trainer">

Run it.

</hfoption>
</hfoptions>

## Reference

[[autodoc]] Pipeline
    - forward
    - save

End.
"""

HUB_WANTED = """\
# Pipelines

> **Warning:**
> Slow.

**Warning:**

Careful with `Pipeline`.

**Trainer**

Run it.

## Reference

End.
"""


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        (BOOK, "src/ch03.md", BOOK_WANTED),
        (SPHINX, "docs/a.md", SPHINX_WANTED),
        (HUB, "docs/source/en/p.md", HUB_WANTED),
        ("+++\ntitle = 'T'\n+++\nText\n", "a.md", "# T\n\nText\n"),
        ("```py\nopen\n", "a.md", "```py\nopen\n```\n"),
        ("<!-- open\ntext\n", "a.md", "<!-- open\ntext\n"),
        ("a  \r\nb\r\n\r\n\r\n\r\nc", "a.md", "a\nb\n\nc\n"),
        ("- item\n\n  ```js\n  x\n  ```\n", "a.md", "- item\n\n  ```js\n  x\n  ```\n"),
        ("````\n```\n````\n", "a.md", "````\n```\n````\n"),
        ("![i](data:image/png;base64,AAAA) x", "a.md", "i x\n"),
        ("", "a.md", ""),
    ],
    ids=range(11),
)
def test_golden_pages(text: str, path: str, wanted: str) -> None:
    made = clean_document(text, path, FILES.get)
    assert made == wanted
    assert clean_document(text, path, FILES.get) == made


def test_an_include_of_itself_ends() -> None:
    made = clean_markdown(FILES["guide/loop.md"], "guide/loop.md", Includes(FILES.get))
    assert made == "x\n" * 8


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("b.rs", "docs/b.rs"),
        ("../b.rs", "b.rs"),
        ("../../b.rs", None),
        ("/etc/passwd", None),
        ("..\\..\\b", None),
        ("https://example.org/x", None),
        ("C:/x", None),
        ("", None),
    ],
)
def test_includes_stay_in_the_repository(target: str, wanted: str | None) -> None:
    assert resolve("docs/a.md", target) == wanted


def test_a_page_includes_no_more_than_its_limit() -> None:
    includes = Includes({"a": "x" * 60}.get, remaining=100)
    assert includes.lines("p", "a") == ["x" * 60]
    assert includes.lines("p", "a") is None
    assert includes.missing == ["a"]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [("", "abcd"), ("2", "b"), ("2:3", "bc"), ("3:", "cd"), (":2", "ab"), ("none", "")],
)
def test_line_choices(choice: str, wanted: str) -> None:
    assert "".join(chosen_lines(list("abcd"), choice)) == wanted
