"""What Sphinx directives mean for a reader, in reStructuredText and MyST alike."""

from __future__ import annotations

_CODE = {
    "code-block": "", "code": "", "sourcecode": "", "code-cell": "python", "literalinclude": "",
    "ipython": "python", "ipython3": "python", "doctest": "python", "testcode": "python",
    "testoutput": "text", "testsetup": None, "testcleanup": None, "prompt": "bash",
    "parsed-literal": "text", "plot": "python", "jupyter-execute": "python", "mermaid": "mermaid",
    "graphviz": "dot", "codediff": "python", "highlight-block": "", "cpp": "cpp",
}  # fmt: skip
_LANGUAGES = {"ipython3": "python", "ipython": "python", "python3": "python", "py": "python",
              "none": "", "default": "", "pycon": "python"}  # fmt: skip

DROPPED = frozenset(
    """
    allow-dict-key-overwrite autoattribute autoclass autodata autoexception autoflax_module
    autofunction autolink automethod automodule autosummary bibliography button-link button-ref
    class-toc codeauthor contents cssclass currentmodule customcalloutitem customcarditem default-
    role doxygenclass doxygendefine doxygenenum doxygenfile doxygenfunction doxygennamespace
    doxygenstruct doxygentypedef figure-md galleryitem highlight html_theme ifconfig image include
    includenodoc index inheritance-diagram meta minigallery module moduleauthor py:currentmodule
    py:module py_module raw role rst-class sectionauthor tabularcolumns testcleanup testsetup
    toctree video youtube
    """.split()  # noqa: SIM905 - a word list reads better
)
"""Directives that show nothing, or what another program generates."""

SILENT = frozenset(
    """
    card centered class compound container csv-table div epigraph glossary grid grid-item grid-
    item-card highlights hlist list-table only pull-quote sphinx-tabs tab-set table table-wrapper
    tabs
    """.split()  # noqa: SIM905 - a word list reads better
)
"""Directives whose body is text without a lead of their own."""

OBJECTS = frozenset(
    """
    attribute c:function class classmethod cpp:class cpp:function data decorator exception
    function method property py:attribute py:class py:data py:exception py:function py:method
    py:property staticmethod type
    """.split()  # noqa: SIM905 - a word list reads better
)
"""Directives that describe an object by its signature."""

_LEADS = {
    "versionadded": "New in version", "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version", "seealso": "See also", "todo": "To do",
}  # fmt: skip
_TITLED = frozenset({"admonition", "topic", "sidebar", "dropdown", "tab-item", "tab", "rubric",
                     "card", "grid-item-card", "figure", "group-tab"})  # fmt: skip


def code_language(name: str, argument: str) -> str | None:
    """Returns the fence language of a directive that shows code, or None for any other."""
    default = _CODE.get(name)
    if default is None:
        return None
    word = argument.split(" ", 1)[0].strip() if argument and name != "literalinclude" else ""
    if name in ("code-block", "code", "sourcecode", "code-cell"):
        return _LANGUAGES.get(word.lower(), word.lower() if word.isascii() else "") or default
    return default


def lead_of(name: str, argument: str) -> str:
    """Returns the words that introduce a directive's body, e.g. `Note:`."""
    name = name.rpartition(":")[2]
    if name in _TITLED and argument:
        return f"{argument}:" if argument[-1].isalnum() else argument
    if name in _LEADS:
        return f"{_LEADS[name]} {argument}".strip() + ":"
    word = name.replace("-", " ").capitalize()
    return f"{word}: {argument}" if argument else f"{word}:"
