"""One entry to the cleaners: which of them reads a file is decided by its extension."""

from __future__ import annotations

from tritter_assets.sources.prose.includes import Includes, ReadFile, no_files
from tritter_assets.sources.prose.markdown import clean_markdown
from tritter_assets.sources.prose.notebook import clean_notebook
from tritter_assets.sources.prose.rst import clean_rst
from tritter_assets.sources.prose.rustdoc import document_rust
from tritter_assets.sources.prose.sections import without_empty_sections
from tritter_assets.sources.prose.web_page import clean_html

CLEANER_VERSION = "1"
"""Part of the identity of every row that is cleaned; a change of any cleaner's output bumps it."""

_MARKDOWN = (".md", ".markdown", ".mdx")


def cleaned_path(path: str) -> str:
    """Returns the path of a cleaned row: `a.rst` becomes `a.rst.md`.

    The extension says what the row holds, which the filters compare with its content.
    """
    return path if path.lower().endswith(_MARKDOWN[:2]) else f"{path}.md"


def clean_document(text: str, path: str, read: ReadFile = no_files) -> str | None:
    """Returns a documentation file as clean Markdown.

    Args:
        text: The file.
        path: Its path in its repository; the extension picks the cleaner.
        read: Gives other files of the same repository, for includes.

    Returns:
        `""` when nothing is left to read; None when the file is of no kind that can be cleaned.
    """
    extension = f".{path.rpartition('.')[2].lower()}"
    match extension:
        case _ if extension in _MARKDOWN:
            made = clean_markdown(text, path, Includes(read))
        case ".rst":
            made = clean_rst(text, path, Includes(read))
        case ".ipynb":
            made = clean_notebook(text, path)
        case ".html" | ".htm":
            made = clean_html(text, path)
        case ".rs":
            return document_rust(text, path)
        case _:
            return None
    return made and without_empty_sections(made)
