"""A first guess at a file's language from its name; the first filter stage has the last word."""

from __future__ import annotations

from tritter_assets.record import Modality

_BY_EXTENSION: dict[str, str] = {
    "py": "python", "pyi": "python", "pyx": "cython", "pxd": "cython", "ipynb": "jupyter",
    "rs": "rust", "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp", "cxx": "cpp", "hpp": "cpp",
    "hh": "cpp", "hxx": "cpp", "cu": "cuda", "cuh": "cuda", "go": "go", "java": "java",
    "js": "javascript", "mjs": "javascript", "cjs": "javascript", "jsx": "javascript",
    "ts": "typescript", "tsx": "typescript", "rb": "ruby", "php": "php", "swift": "swift",
    "kt": "kotlin", "scala": "scala", "r": "r", "jl": "julia", "lua": "lua", "pl": "perl",
    "f": "fortran", "f90": "fortran", "sh": "shell", "bash": "shell", "ps1": "powershell",
    "sql": "sql", "md": "markdown", "markdown": "markdown", "mdx": "markdown",
    "rst": "restructuredtext", "txt": "text", "adoc": "asciidoc", "tex": "tex", "html": "html",
    "htm": "html", "css": "css", "scss": "scss", "xml": "xml", "svg": "svg", "json": "json",
    "jsonl": "json", "yaml": "yaml", "yml": "yaml", "toml": "toml", "ini": "ini", "cfg": "ini",
    "csv": "csv", "proto": "protobuf", "cmake": "cmake", "mk": "makefile",
    "dockerfile": "dockerfile", "lock": "lock",
}  # fmt: skip
_BY_NAME: dict[str, str] = {
    "makefile": "makefile", "dockerfile": "dockerfile", "cmakelists.txt": "cmake",
    "justfile": "makefile",
}  # fmt: skip
_ALIASES: dict[str, str] = {
    "c++": "cpp", "c#": "csharp", "jupyter notebook": "jupyter", "py": "python", "rs": "rust",
    "js": "javascript", "ts": "typescript",
}  # fmt: skip
_PROSE = frozenset({"markdown", "restructuredtext", "text", "asciidoc"})


def guess_language(path: str) -> str | None:
    """Returns the language of a path (lower case, e.g. `python`), or None."""
    name = path.rsplit("/", 1)[-1].lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    stem, dot, extension = name.rpartition(".")
    return _BY_EXTENSION.get(extension) if dot and stem else None


def language_name(stated: str) -> str:
    """Returns our name of a language that upstream names, e.g. `cpp` for `C++`."""
    lowered = stated.strip().lower()
    return _ALIASES.get(lowered, lowered)


def modality_of_file(language: str | None, default: Modality) -> Modality:
    """Returns `text` for prose among code, otherwise the contract's modality."""
    if default is Modality.CODE and language in _PROSE:
        return Modality.TEXT
    return default


def prose_languages() -> list[str]:
    """Returns the languages whose files are text among code."""
    return sorted(_PROSE)
