"""Rust source as API documentation: what `rustdoc` shows, in Markdown.

A module's `//!` text comes first, then every public documented item with its signature and its
`///` text, in the order of the file. Examples keep the lines that rustdoc shows; `# ` lines that
only make them compile are left out. Items without documentation, private or `doc(hidden)` items
and tests are left out. Blind spot: an item that is public but not reachable is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from tritter_assets.sources.prose.fences import Block, fenced, read_blocks
from tritter_assets.sources.prose.rust_scan import Item, Scope, scan_items

_NOT_RUST = frozenset({"text", "txt", "plain", "console", "none"})
_RUST_FLAGS = frozenset({
    "rust", "no_run", "ignore", "should_panic", "compile_fail", "test_harness", "custom",
    "standalone_crate", "edition2015", "edition2018", "edition2021", "edition2024",
})  # fmt: skip
_HEADING = re.compile(r"(#{1,6})(\s.*)")
_PATH_LINK = re.compile(r"\[([^\]\[\n]{1,300})\](?:\((?!https?:)[^()\s]*\)|\[[^\]\[\n]{0,200}\])")
_BARE_LINK = re.compile(r"\[(`[^`\n]{1,200}`)\](?![(\[:])")
_DEFINITION = re.compile(r"\s{0,3}\[[^\]\n]{1,300}\]:\s*(\S.*)?")
_NAME = re.compile(
    r"\b(?:fn|struct|enum|union|trait|mod|type|const|static|macro_rules\s*!|macro)\s+"
    r"(?!(?:fn|unsafe|async|extern)\b)(?:mut\s+)?(?:r#)?([\w$]+)"
)
_LANGUAGE_PAGE = re.compile(
    r'(?:doc\s*\(\s*(primitive|keyword|attribute)|rustc_doc_(primitive))\s*=\s*"([^"]+)"'
)
_FIELD = re.compile(r"(?:pub\s+)?(?:\$\w+\s+)?([\w$]+)")
_VERSION = re.compile(r"-\d[\w.+-]*$")
_LINE_CHARS = 100
_LEVEL = {Scope.MODULE: 2, Scope.BLOCK: 2}


def document_rust(text: str, path: str, *, crate: str | None = None) -> str:
    """Returns a Rust file's API documentation as Markdown, or `""` when it documents nothing.

    Args:
        text: The file.
        path: Its path, e.g. `library/core/src/option.rs` or `serde-1.0.228/src/de/mod.rs`; gives
            the title `core::option`.
        crate: Name of the crate where the path does not say it.
    """
    modules = _module_path(path, crate)
    body: list[str] = []
    around = ""
    for item in scan_items(text):
        if item.signature and not _is_public(item):
            continue
        if not any(line.strip() for line in item.docs):
            continue
        if item.scope in (Scope.IMPL, Scope.TRAIT_IMPL) and item.parent != around:
            body += ["", f"## `{item.parent}`"]
        around = item.parent
        body += ["", *_render(item)]
    if not body:
        return ""
    title = "::".join(modules) or PurePosixPath(path).name
    return "\n".join(_squeezed([f"# `{title}`", *body])).strip() + "\n"


def _module_path(path: str, crate: str | None) -> tuple[str, ...]:
    parts = PurePosixPath(path).with_suffix("").parts
    if "src" in parts:
        at = len(parts) - 1 - parts[::-1].index("src")
        below = parts[at + 1 :]
        crate = crate or (_VERSION.sub("", parts[at - 1]) if at else None)
    else:
        below = parts[-1:]
    modules = tuple(part for part in below if part not in ("lib", "mod", "main"))
    return (*((crate.replace("-", "_"),) if crate else ()), *modules)


def _language_page(item: Item) -> str:
    """`Primitive type `bool`` for a private module that only carries such a page."""
    for attribute in item.attributes:
        match = _LANGUAGE_PAGE.match(attribute)
        if match:
            kind = match[1] or match[2]
            return f"{'Primitive type' if kind == 'primitive' else kind.title()} `{match[3]}`"
    return ""


def _is_public(item: Item) -> bool:
    if _language_page(item):
        return True
    if item.scope in (Scope.TRAIT, Scope.TRAIT_IMPL, Scope.VARIANTS):
        return True
    signature = item.signature
    if signature.startswith(("pub ", "$vis ", "$pub ")):
        return True
    if signature.startswith("macro_rules"):
        return any(a.startswith("macro_export") for a in item.attributes)
    # Fields of a variant and of a `pub` tuple have no `pub` of their own.
    return item.scope is Scope.FIELDS and item.parent.startswith(("pub enum", "enum"))


def _render(item: Item) -> Iterator[str]:
    docs = _undented(item.docs)
    if not item.signature:
        if item.modules:
            yield f"## Module `{'::'.join(item.modules)}`"
            yield ""
        yield from _doc_lines(docs, 2 if item.modules else 1)
        return
    if item.scope in (Scope.FIELDS, Scope.VARIANTS):
        name = _FIELD.match(item.signature)
        owner = _NAME.search(item.parent)
        path = "::".join(part for part in (owner and owner[1], name and name[1]) if part)
        yield f"### `{path}`"
        yield ""
        yield from fenced([item.signature], "rust")
        yield ""
        yield from _doc_lines(docs, 3)
        return
    page = _language_page(item)
    if page:
        yield f"## {page}"
        yield ""
        yield from _doc_lines(docs, 2)
        return
    level = _LEVEL.get(item.scope, 3)
    named = _NAME.search(item.signature)
    name = named[1] if named else item.signature[:80]
    owner = _owner(item)
    prefix = [owner] if owner else list(item.modules)
    yield f"{'#' * level} `{'::'.join([*prefix, name])}`"
    yield ""
    yield from fenced(_signature_lines(item.signature), "rust")
    yield ""
    yield from _doc_lines(docs, level)


def _signature_lines(signature: str) -> list[str]:
    if len(signature) <= _LINE_CHARS:
        return [signature]
    head, where, bounds = signature.partition(" where ")
    return [head, "where", f"    {bounds}"] if where else [head]


def _owner(item: Item) -> str:
    """The type or trait whose member the item is, without generics."""
    if item.scope is Scope.TRAIT:
        named = _NAME.search(item.parent)
        return named[1] if named else ""
    if item.scope not in (Scope.IMPL, Scope.TRAIT_IMPL):
        return ""
    rest = item.parent.partition("impl")[2].lstrip()
    rest = _after_generics(rest)
    if item.scope is Scope.TRAIT_IMPL:
        rest = rest.rpartition(" for ")[2]
    match = re.match(r"(?:&(?:'\w+ )?|mut |const |\*|dyn |\[|\()*([\w$:]+)", rest.strip())
    return match[1].rpartition("::")[2] if match else ""


def _after_generics(text: str) -> str:
    if not text.startswith("<"):
        return text
    depth = 0
    for at, char in enumerate(text):
        if char == "<":
            depth += 1
        elif char == ">" and text[at - 1] not in "-=":
            depth -= 1
            if depth == 0:
                return text[at + 1 :]
    return text


def _undented(lines: Iterable[str]) -> list[str]:
    """Takes away the blanks that all lines share, as rustdoc does."""
    kept = [line.rstrip() for line in lines]
    widths = [len(line) - len(line.lstrip()) for line in kept if line]
    margin = min(widths, default=0)
    return [line[margin:] for line in kept]


def _doc_lines(docs: list[str], level: int) -> Iterator[str]:
    for block in read_blocks(docs):
        if block.is_code:
            yield from _code(block)
            continue
        for line in block.lines:
            if _DEFINITION.fullmatch(line) and "http" not in line:
                continue  # the target of a link between items
            heading = _HEADING.fullmatch(line)
            if heading:
                line = f"{'#' * min(6, len(heading[1]) + level)}{heading[2]}"  # noqa: PLW2901
            yield _BARE_LINK.sub(r"\1", _PATH_LINK.sub(r"\1", line)) if "[" in line else line


def _code(block: Block) -> list[str]:
    flags = [flag for flag in re.split(r"[\s,]+", block.info) if flag]
    is_rust = all(f in _RUST_FLAGS or f.startswith(("ignore", "E0", "{")) for f in flags)
    if not is_rust:
        language = "" if flags[0] in _NOT_RUST else flags[0]
        return fenced(block.lines, language, block.indent)
    return fenced(visible_rust(block.lines), "rust", block.indent)


def visible_rust(lines: Iterable[str]) -> list[str]:
    """Returns the lines of an example that rustdoc and mdBook show: not those after `# `."""
    shown: list[str] = []
    for line in lines:
        stripped = line.lstrip()
        if stripped == "#" or stripped.startswith("# "):
            continue
        if stripped.startswith("##"):
            line = line.replace("##", "#", 1)  # noqa: PLW2901
        shown.append(line)
    return shown


def _squeezed(lines: Iterable[str]) -> Iterator[str]:
    """At most one blank line in a row outside of code."""
    last_blank = False
    for block in read_blocks(lines):
        if block.is_code:
            yield from fenced(block.lines, block.info, block.indent)
            last_blank = False
            continue
        for line in block.lines:
            if line.strip() or not last_blank:
                yield line
            last_blank = not line.strip()
