from __future__ import annotations

import pytest

from tritter_assets.sources.prose.clean import clean_document

FILES = {
    "doc/code/run.py": "import a\n# start\nrun(a)\n# end\n",
    "doc/shared.inc": "Shared *text* with :func:`f`.\n",
}

PAGE = """\
:orphan:

.. _top:

==========
Big Title
==========

.. currentmodule:: torch

Section
=======

See :func:`~torch.nn.Linear`, :ref:`the notes <notes>`, :doc:`/guide/start`, :math:`x_1`,
``a_ `b` _``, `PyTorch <https://pytorch.org>`_, `local <page.html>`__, Home_, |version| and
`split
over lines <https://example.org>`_. A footnote [1]_.

.. |version| replace:: 2.0
.. _Home: https://home.example.org

.. note:: Short note
   that goes on.

.. warning::

   Body with ``code``.

   .. code-block:: python
      :linenos:

      x = 1

      y = 2

.. versionadded:: 1.2
   The argument.

.. toctree::
   :maxdepth: 1

   a
   b

.. autoclass:: Foo
    :members:

.. a comment
   of two lines

.. function:: relu(x, inplace=False) -> Tensor
              relu(y)

   Applies it.

   :param x: the input
   :returns: a tensor

Run it::

    $ make

    done

>>> 1 + 1
2

.. literalinclude:: code/run.py
   :language: python
   :start-after: # start
   :end-before: # end

.. include:: shared.inc

.. include:: ../../outside.inc

Sub
---

* `Link
  text <https://example.org/x>`__: words
* two

.. list-table:: Kinds
   :header-rows: 1

   * - Name
     - Use
   * - a
     - b
       more

.. math::

   x = 1

.. figure:: a.png
   :width: 10

   A caption.

.. [1] The note.

.. unknown-thing:: Title

   Kept text.
"""

WANTED = """\
# Big Title

## Section

See `Linear`, the notes, start, $x_1$,
`` a_ `b` _ ``, [PyTorch](https://pytorch.org), local, [Home](https://home.example.org), 2.0 and
[split over lines](https://example.org). A footnote [1].

**Note:** Short note that goes on.

**Warning:**

Body with `code`.

```python
x = 1

y = 2
```

**New in version 1.2:** The argument.

```python
relu(x, inplace=False) -> Tensor
relu(y)
```

Applies it.

- **param x**: the input
- **returns**: a tensor

Run it:

```
$ make

done
```

```python
>>> 1 + 1
2
```

```python
run(a)
```

Shared *text* with `f`.

### Sub

* [Link text](https://example.org/x): words
* two

**Kinds**

| Name | Use |
| --- | --- |
| a | b more |

$$
x = 1
$$

A caption.

[1] The note.

**Unknown thing: Title**

Kept text.
"""


def test_golden_page() -> None:
    assert clean_document(PAGE, "doc/a.rst", FILES.get) == WANTED


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Title\n=====\nA\n-\n", "# Title\n\nA\n-\n"),
        ("para\n\n----\n\nmore\n", "para\n\n---\n\nmore\n"),
        ("::\n\n  x = 1\n", "```\nx = 1\n```\n"),
        ("text ::\n\nnot indented\n", "text ::\n\nnot indented\n"),
        ("| a\n| b\n", "a\nb\n"),
        ("+---+\n| a |\n+---+\n", "+---+\n| a |\n+---+\n"),
        (".. code-block:: rust\n\n   fn f() {}\n", "```rust\nfn f() {}\n```\n"),
        (".. code-block::\n", ""),
        ("", ""),
        ("a\\ b and name_ stays", "ab and name_ stays\n"),
    ],
    ids=range(10),
)
def test_small_pages(text: str, wanted: str) -> None:
    assert clean_document(text, "a.rst") == wanted
