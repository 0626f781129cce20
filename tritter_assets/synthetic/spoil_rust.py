"""Ways to make a Rust function worse to read without changing what it does.

The first four are verified: apart from comments and spaces, the tokens of both versions must be the
same once local names are set aside. The rest replace one construct by one that means the same under
the conditions given; most undo what a lint of the language's own linter would ask for.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit, rank, walk
from tritter_assets.synthetic.rewrite import crowded, leaves, new_names, renamed

if TYPE_CHECKING:
    from tree_sitter import Node

INDENT = "    "
NAMINGS = ("letters", "vague")
_PRIMITIVES = frozenset(
    {
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool", "char",
    }
)  # fmt: skip
_TRUTHS = frozenset(
    {
        "is_empty", "is_some", "is_none", "is_ok", "is_err", "contains", "contains_key",
        "starts_with", "ends_with",
    }
)  # fmt: skip
_INLINE_NAME = re.compile(r"\{(\w+)[:}]")
_COMMENTS = frozenset({"line_comment", "block_comment"})


# -- verified -------------------------------------------------------------------------------------


def drop_documentation(code: Code, seed: str) -> list[Edit]:
    """Takes documentation comments out."""
    return _without_comments(code, documentation=True)


def drop_comments(code: Code, seed: str) -> list[Edit]:
    """Takes the other comments out."""
    return _without_comments(code, documentation=False)


def rename_locals(code: Code, seed: str) -> list[Edit]:
    """Gives parameters and `let` bindings names that say nothing."""
    names = _local_names(code)
    identifiers = [(code.text(n), n) for n in code.nodes if n.type == "identifier"]
    taken = frozenset(name for name, _ in identifiers)
    naming = NAMINGS[rank(seed, "naming") % len(NAMINGS)]
    return renamed(identifiers, new_names(names, taken, naming))


def crowd(code: Code, seed: str) -> list[Edit]:
    """Takes out blank lines and spaces around operators."""
    return crowded(code.source, code.root)


def same_program(before: Code, after: Code, *, renamed: bool) -> bool:
    """True when two functions have the same tokens but for comments.

    Args:
        before: As it was.
        after: As it is.
        renamed: Sets the names of local variables aside as well.
    """
    return _tokens(before, renamed) == _tokens(after, renamed)


def _tokens(code: Code, renamed: bool) -> list[str]:
    names = set(_local_names(code)) if renamed else set()
    numbers: dict[str, str] = {}
    found = []
    for leaf in leaves(code.root):
        if leaf.type in _COMMENTS:
            continue
        text = code.text(leaf)
        if leaf.type == "identifier" and text in names:
            text = numbers.setdefault(text, f"#{len(numbers)}")
        found.append(text)
    return found


def _without_comments(code: Code, *, documentation: bool) -> list[Edit]:
    found = []
    for node in code.nodes:
        if node.type not in _COMMENTS:
            continue
        text = code.text(node)
        if text.startswith(("///", "/**", "//!")) != documentation or "SAFETY" in text:
            continue
        line = code.source.rfind(b"\n", 0, node.start_byte) + 1
        end = node.start_byte + len(text.rstrip("\n").encode())
        lead = code.source[line : node.start_byte]
        if lead.strip():
            found.append(Edit(line + len(lead.rstrip()), end, ""))
        else:
            found.append(Edit(line, end + (code.source[end : end + 1] == b"\n"), ""))
    return found


def _local_names(code: Code) -> list[str]:
    """Names bound by parameters and plain `let`, where every occurrence can be renamed."""
    found: dict[str, None] = {}
    barred: set[str] = set()
    for node in code.nodes:
        if node.type in {"parameter", "let_declaration", "for_expression"}:
            pattern = node.child_by_field_name("pattern")
            if pattern is not None and pattern.type == "identifier":
                found[code.text(pattern)] = None
        elif node.type in {"shorthand_field_initializer", "shorthand_field_identifier"}:
            barred.add(code.text(node))
        elif node.type in {"string_literal", "raw_string_literal"}:
            barred |= set(_INLINE_NAME.findall(code.text(node)))
        elif node.type in {"scoped_identifier", "macro_invocation", "token_tree", "function_item"}:
            # A token tree is what a macro makes of it; its names are left alone.
            barred |= {code.text(child) for child in node.children if child.type == "identifier"}
        elif node.type == "call_expression":
            function = node.child_by_field_name("function")
            if function is not None and function.type == "identifier":
                barred.add(code.text(function))
    return [name for name in found if name not in barred and not name.startswith("_")]


# -- equal by construction ------------------------------------------------------------------------


def question_to_match(code: Code, seed: str) -> list[Edit]:
    """Spells `?` out as a `match` that returns early, in a function that returns a `Result`."""
    function = _function(code)
    kind = function.child_by_field_name("return_type") if function is not None else None
    if kind is None or not re.match(r"(\w+::)*\w*Result\b", code.text(kind)):
        return []
    for node in code.nodes:
        parent = node.parent
        if node.type != "try_expression" or parent is None or parent.type != "let_declaration":
            continue
        value = node.named_children[0]
        if _inside(node, {"closure_expression", "async_block", "try_block"}) or any(
            child.type == "try_expression" for child in walk(value)
        ):
            continue
        if re.search(r"\.(next|get|first|last|pop|ok)\([^()]*\)$", code.text(value)):
            continue
        indent = " " * parent.start_point.column
        text = (
            f"match {code.text(value)} {{\n{indent}{INDENT}Ok(value) => value,\n"
            f"{indent}{INDENT}Err(error) => return Err(error.into()),\n{indent}}}"
        )
        return [Edit(node.start_byte, node.end_byte, text)]
    return []


def explicit_return(code: Code, seed: str) -> list[Edit]:
    """Writes `return` before the value that ends the body."""
    function = _function(code)
    body = function.child_by_field_name("body") if function is not None else None
    if body is None or function is None or function.child_by_field_name("return_type") is None:
        return []
    last = body.named_children[-1] if body.named_child_count else None
    if last is None or last.type in {
        "expression_statement", "return_expression", "let_declaration", "line_comment",
        "block_comment", "empty_statement", "macro_invocation",
    }:  # fmt: skip
        return []
    if last.type.endswith("_item"):
        return []
    return [
        Edit(last.start_byte, last.start_byte, "return "),
        Edit(last.end_byte, last.end_byte, ";"),
    ]


def single_match(code: Code, seed: str) -> list[Edit]:
    """Writes an `if let` statement as a `match` of two arms."""
    for node in code.nodes:
        if node.type != "if_expression" or _parent_type(node) != "expression_statement":
            continue
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("consequence")
        if condition is None or body is None or condition.type != "let_condition":
            continue
        if node.child_by_field_name("alternative") is not None or _holds_string(node):
            continue
        pattern, value = (condition.child_by_field_name(name) for name in ("pattern", "value"))
        if pattern is None or value is None or "{" in code.text(value):
            continue
        indent = " " * node.start_point.column
        inner = code.text(body).replace("\n", "\n" + INDENT)
        text = (
            f"match {code.text(value)} {{\n{indent}{INDENT}{code.text(pattern)} => "
            f"{inner}\n{indent}{INDENT}_ => {{}}\n{indent}}}"
        )
        return [Edit(node.start_byte, node.end_byte, text)]
    return []


def long_assignment(code: Code, seed: str) -> list[Edit]:
    """Writes `x += 1` out as `x = x + 1`, for whole numbers added to a plain name."""
    found = []
    for node in code.nodes:
        if node.type == "compound_assignment_expr":
            left, right = (node.child_by_field_name(name) for name in ("left", "right"))
            operator = node.child_by_field_name("operator")
            if left is None or right is None or operator is None:
                continue
            if left.type in {"identifier", "field_expression"} and right.type == "integer_literal":
                name, sign = code.text(left), code.text(operator).removesuffix("=")
                text = f"{name} = {name} {sign} {code.text(right)}"
                found.append(Edit(node.start_byte, node.end_byte, text))
    return found


def compared_to_true(code: Code, seed: str) -> list[Edit]:
    """Compares the truth value that a condition already is with `true` or `false`."""
    found = []
    for node in code.nodes:
        if node.type != "if_expression":
            continue
        condition = node.child_by_field_name("condition")
        if condition is None:
            continue
        word, inner = "true", condition
        if condition.type == "unary_expression" and code.text(condition).startswith("!"):
            word, inner = "false", condition.named_children[0]
        function = (
            inner.child_by_field_name("function") if inner.type == "call_expression" else None
        )
        field = function.child_by_field_name("field") if function is not None else None
        if field is not None and code.text(field) in _TRUTHS:
            text = f"{code.text(inner)} == {word}"
            found.append(Edit(condition.start_byte, condition.end_byte, text))
    return found


def nested_ifs(code: Code, seed: str) -> list[Edit]:
    """Splits `if a && b` without an `else` into one `if` inside another."""
    for node in code.nodes:
        if node.type != "if_expression" or _parent_type(node) != "expression_statement":
            continue
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("consequence")
        if condition is None or body is None or condition.type != "binary_expression":
            continue
        left, right = (condition.child_by_field_name(name) for name in ("left", "right"))
        if left is None or right is None or node.child_by_field_name("alternative") is not None:
            continue
        if code.source[left.end_byte : right.start_byte].strip() != b"&&" or _holds_string(node):
            continue
        indent = " " * node.start_point.column
        inner = code.text(body).replace("\n", "\n" + INDENT)
        text = f"if {code.text(left)} {{\n{indent}{INDENT}if {code.text(right)} {inner}\n{indent}}}"
        return [Edit(node.start_byte, node.end_byte, text)]
    return []


def needless_clone(code: Code, seed: str) -> list[Edit]:
    """Clones a parameter of a primitive type where it is passed on."""
    kinds: dict[str, int] = Counter()
    primitive = set()
    for node in code.nodes:
        pattern = node.child_by_field_name("pattern")
        if pattern is not None and node.type in {"parameter", "let_declaration"}:
            name, kind = code.text(pattern), node.child_by_field_name("type")
            kinds[name] += 1
            if node.type == "parameter" and kind is not None:
                primitive |= {name} if code.text(kind) in _PRIMITIVES else set()
        elif node.type in {"identifier"} and _parent_type(node) in _REBINDING:
            kinds[code.text(node)] += 1
    return [
        Edit(node.end_byte, node.end_byte, ".clone()")
        for node in code.nodes
        if node.type == "identifier"
        and _parent_type(node) == "arguments"
        and kinds[code.text(node)] == 1
        and code.text(node) in primitive
    ]


_REBINDING = frozenset(
    {"closure_parameters", "tuple_pattern", "tuple_struct_pattern", "for_expression",
     "match_pattern", "captured_pattern", "ref_pattern", "reference_pattern"}
)  # fmt: skip


def commented_out_code(code: Code, seed: str) -> list[Edit]:
    """Leaves a commented-out `println!` of a variable behind, as debugging does."""
    found = []
    for node in code.nodes:
        pattern = node.child_by_field_name("pattern") if node.type == "let_declaration" else None
        if pattern is not None and pattern.type == "identifier":
            indent = " " * node.start_point.column
            text = f'\n{indent}// println!("{{:?}}", {code.text(pattern)});'
            end = code.source.find(b"\n", node.end_byte)
            if end >= 0:
                found.append(Edit(end, end, text))
    return [found[rank(seed, "print") % len(found)]] if found else []


def _function(code: Code) -> Node | None:
    return next((node for node in code.nodes if node.type == "function_item"), None)


def _parent_type(node: Node) -> str:
    return node.parent.type if node.parent is not None else ""


def _inside(node: Node, kinds: set[str]) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.type in kinds:
            return True
        parent = parent.parent
    return False


def _holds_string(root: Node) -> bool:
    """True when a string runs over lines: moving it in would change it."""
    return any(
        node.type in {"string_literal", "raw_string_literal"}
        and node.start_point.row != node.end_point.row
        for node in walk(root)
    )


VERIFIED = (drop_documentation, drop_comments, rename_locals, crowd)
BY_CONSTRUCTION = (
    question_to_match, explicit_return, single_match, long_assignment, compared_to_true,
    nested_ifs, needless_clone, commented_out_code,
)  # fmt: skip
COMMON = (drop_documentation, crowd, explicit_return, commented_out_code)
