"""Safe forms of Rust and the unsafe ones that stand for them in the wild, each with its CWE.

Types are known only where the function's own text gives them; a rule that needs a type and cannot
see it makes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit
from tritter_assets.synthetic.safety_rules import Rule, calls, positional

if TYPE_CHECKING:
    from tree_sitter import Node

ALREADY_UNSAFE = re.compile(
    r"\bunsafe\b|get_unchecked|transmute|from_utf8_unchecked|static\s+mut|danger_accept"
)
"""Code that holds one of these is no example of the safe form, whatever else it does."""

_RESULT = re.compile(r"(\w+::)*\w*Result\b")
_SLICE = re.compile(r"^&\s*(?:'\w+\s+)?(?:mut\s+)?(?:\[|Vec<)|^Vec<")
_INTEGERS = "u8|u16|u32|u64|usize|i8|i16|i32|i64|isize"
_NARROW = re.compile(rf"^({_INTEGERS})::try_from$")
_CHECKED = {"checked_add": "wrapping_add", "checked_sub": "wrapping_sub",
            "checked_mul": "wrapping_mul"}  # fmt: skip
_UNCHECKED = {
    "str::from_utf8": "str::from_utf8_unchecked",
    "String::from_utf8": "String::from_utf8_unchecked",
    "char::from_u32": "char::from_u32_unchecked",
}


def _handled(call: Node, code: Code) -> Node | None:
    """Returns the expression that takes a call's value out of its `Result` or `Option`.

    That is `?`, `.unwrap()` or `.expect(..)`, also after `.map_err(..)`, `.ok_or(..)` and the like.
    """
    node = call
    for _ in range(3):
        parent = node.parent
        if parent is None:
            return None
        if parent.type == "try_expression":
            return parent
        if parent.type != "field_expression" or parent.parent is None:
            return None
        field = parent.child_by_field_name("field")
        name = code.text(field) if field is not None else ""
        outer = parent.parent
        if outer.type != "call_expression":
            return None
        if name in {"unwrap", "expect"}:
            return outer
        if name not in {"map_err", "ok_or", "ok_or_else", "context", "with_context"}:
            return None
        node = outer
    return None


def _unchecked_text(code: Code) -> list[Edit]:
    for call, name, arguments in calls(code):
        bare = name.removeprefix("std::").removeprefix("core::")
        outer = _handled(call, code)
        if bare in _UNCHECKED and outer is not None:
            path = name.removesuffix(bare) + _UNCHECKED[bare]
            text = f"unsafe {{ {path}{code.text(arguments)} }}"
            return [Edit(outer.start_byte, outer.end_byte, text)]
    return []


def _wrapping(code: Code) -> list[Edit]:
    for call, _, arguments in calls(code):
        function = call.child_by_field_name("function")
        field = function.child_by_field_name("field") if function is not None else None
        value = function.child_by_field_name("value") if function is not None else None
        outer = _handled(call, code)
        if field is None or value is None or outer is None:
            continue
        other = _CHECKED.get(code.text(field))
        if other is not None:
            text = f"{code.text(value)}.{other}{code.text(arguments)}"
            return [Edit(outer.start_byte, outer.end_byte, text)]
    return []


def _cast(code: Code) -> list[Edit]:
    for call, name, arguments in calls(code):
        kind = _NARROW.match(name)
        outer = _handled(call, code)
        given = positional(arguments)
        if kind is None or outer is None or len(given) != 1:
            continue
        value = code.text(given[0])
        if given[0].type not in {
            "identifier", "call_expression", "field_expression", "index_expression",
        }:  # fmt: skip
            value = f"({value})"
        text = f"{value} as {kind.group(1)}"
        parent = outer.parent
        if parent is not None and parent.type in {
            "binary_expression", "field_expression", "unary_expression", "index_expression",
        }:  # fmt: skip
            text = f"({text})"
        return [Edit(outer.start_byte, outer.end_byte, text)]
    return []


def _slices(code: Code) -> set[str]:
    found = set()
    for node in code.nodes:
        if node.type == "parameter":
            pattern, kind = (node.child_by_field_name(name) for name in ("pattern", "type"))
            if pattern is None or kind is None or pattern.type != "identifier":
                continue
            if _SLICE.match(code.text(kind)):
                found.add(code.text(pattern))
    return found


def _unchecked_index(code: Code) -> list[Edit]:
    slices = _slices(code)
    for node in code.nodes if slices else ():
        if node.type != "index_expression" or node.named_child_count != 2:
            continue
        base, index = node.named_children
        parent = node.parent
        if code.text(base) not in slices or parent is None:
            continue
        if index.type not in {"identifier", "binary_expression"} or ".." in code.text(index):
            continue
        if parent.type in {"reference_expression", "field_expression", "index_expression"}:
            continue
        left = parent.child_by_field_name("left")
        is_target = left is not None and left.id == node.id
        if parent.type in {"assignment_expression", "compound_assignment_expr"} and is_target:
            continue
        text = f"unsafe {{ *{code.text(base)}.get_unchecked({code.text(index)}) }}"
        if parent.type in {"binary_expression", "expression_statement", "type_cast_expression"}:
            text = f"({text})"
        return [Edit(node.start_byte, node.end_byte, text)]
    return []


def _unchecked_get(code: Code) -> list[Edit]:
    slices = _slices(code)
    for call, _, arguments in calls(code) if slices else ():
        function = call.child_by_field_name("function")
        field = function.child_by_field_name("field") if function is not None else None
        value = function.child_by_field_name("value") if function is not None else None
        outer = _handled(call, code)
        if field is None or value is None or outer is None or code.text(value) not in slices:
            continue
        if code.text(field) in {"get", "get_mut"}:
            name = f"{code.text(field)}_unchecked"
            text = f"unsafe {{ {code.text(value)}.{name}{code.text(arguments)} }}"
            return [Edit(outer.start_byte, outer.end_byte, text)]
    return []


def _raw_copy(code: Code) -> list[Edit]:
    for call, _, arguments in calls(code):
        function = call.child_by_field_name("function")
        field = function.child_by_field_name("field") if function is not None else None
        value = function.child_by_field_name("value") if function is not None else None
        given = positional(arguments)
        if field is None or value is None or len(given) != 1 or call.parent is None:
            continue
        if code.text(field) != "copy_from_slice" or call.parent.type != "expression_statement":
            continue
        source = code.text(given[0]).removeprefix("&")
        if "\n" in source or not re.fullmatch(r"[\w.]+(\[[^\[\]]*\])?", source):
            continue
        target = code.text(value)
        text = (
            f"unsafe {{ std::ptr::copy_nonoverlapping({source}.as_ptr(), {target}.as_mut_ptr(), "
            f"{source}.len()) }}"
        )
        return [Edit(call.start_byte, call.end_byte, text)]
    return []


def _timing(code: Code) -> list[Edit]:
    for call, name, arguments in calls(code):
        given = [code.text(node).removeprefix("&") for node in positional(arguments)]
        if name.rsplit("::", 1)[-1] in {"constant_time_eq", "fixed_time_eq"} and len(given) == 2:
            return [Edit(call.start_byte, call.end_byte, f"{given[0]} == {given[1]}")]
        function = call.child_by_field_name("function")
        inner = function.child_by_field_name("value") if function is not None else None
        if name.endswith(".ct_eq") and inner is not None and len(given) == 1:
            outer = call.parent.parent if call.parent is not None else None
            if outer is not None and code.text(outer).endswith(".into()"):
                text = f"{code.text(inner)} == {given[0]}"
                return [Edit(outer.start_byte, outer.end_byte, text)]
    return []


def _shell(code: Code) -> list[Edit]:
    """Joins a program and its arguments into one line for a shell."""
    for call, name, arguments in calls(code):
        if name.rsplit("::", 2)[-2:] != ["Command", "new"]:
            continue
        program = positional(arguments)
        if len(program) != 1 or program[0].type != "string_literal":
            continue
        words, values, end = [code.text(program[0])[1:-1]], [], call.end_byte
        node = call
        while node.parent is not None and node.parent.type == "field_expression":
            field = node.parent.child_by_field_name("field")
            outer = node.parent.parent
            if field is None or outer is None or code.text(field) != "arg":
                break
            (given,) = positional(outer.child_by_field_name("arguments") or outer) or (None,)
            if given is None:
                break
            if given.type == "string_literal":
                words.append(code.text(given)[1:-1])
            else:
                words.append("{}")
                values.append(code.text(given).removeprefix("&"))
            node, end = outer, outer.end_byte
        if not values or any("{" in word and word != "{}" for word in words):
            continue
        head = name.removesuffix("new")
        line = f'format!("{" ".join(words)}", {", ".join(values)})'
        text = f'{head}new("sh").arg("-c").arg({line})'
        return [Edit(call.start_byte, end, text)]
    return []


def _debug_only(code: Code) -> list[Edit]:
    function = next((node for node in code.nodes if node.type == "function_item"), None)
    body = function.child_by_field_name("body") if function is not None else None
    for statement in body.named_children[:3] if body is not None else ():
        inner = statement.named_children[0] if statement.named_child_count else None
        if statement.type == "expression_statement" and inner is not None:
            name = inner.child_by_field_name("macro")
            if name is not None and code.text(name) in {"assert", "assert_eq", "assert_ne"}:
                return [Edit(name.start_byte, name.start_byte, "debug_")]
    return []


def _panicking(code: Code) -> list[Edit]:
    function = next((node for node in code.nodes if node.type == "function_item"), None)
    kind = function.child_by_field_name("return_type") if function is not None else None
    if kind is None or not _RESULT.match(code.text(kind)) or b".unwrap()" in code.source:
        return []
    for node in code.nodes:
        if node.type == "try_expression":
            return [Edit(node.named_children[0].end_byte, node.end_byte, ".unwrap()")]
    return []


def _any_certificate(code: Code) -> list[Edit]:
    for call, name, _ in calls(code):
        if name in {"reqwest::Client::builder", "Client::builder", "reqwest::ClientBuilder::new"}:
            text = ".danger_accept_invalid_certs(true)"
            return [Edit(call.end_byte, call.end_byte, text)]
    return []


_SLICE_HINTS = (": &[", ": &mut [", ": Vec<", ": &Vec<", ": &mut Vec<")
RULES: tuple[Rule, ...] = (
    Rule(name="unchecked_text", cwe="CWE-758", hints=("from_utf8(", "from_u32("),
         weaken=_unchecked_text,
         reason="The bytes are checked; made into text unchecked, bad bytes are undefined "
         "behaviour."),
    Rule(name="wrapping_arithmetic", cwe="CWE-190", hints=("checked_",), weaken=_wrapping,
         reason="An overflow is noticed and reported rather than wrapped around."),
    Rule(name="truncating_cast", cwe="CWE-681", hints=("try_from(",), weaken=_cast,
         reason="A number that does not fit is an error; `as` would cut it off silently."),
    Rule(name="unchecked_get", cwe="CWE-125", hints=_SLICE_HINTS, weaken=_unchecked_get,
         reason="`get` answers `None` outside the slice; unchecked, it reads other memory."),
    Rule(name="unchecked_index", cwe="CWE-125", hints=_SLICE_HINTS, weaken=_unchecked_index,
         reason="An index outside the slice stops the program rather than read other memory."),
    Rule(name="raw_copy", cwe="CWE-787", hints=("copy_from_slice",), weaken=_raw_copy,
         reason="`copy_from_slice` compares lengths first; a raw copy writes past the end."),
    Rule(name="compared_secrets", cwe="CWE-208", hints=("ct_eq", "time_eq"), weaken=_timing,
         reason="The time of this comparison does not say how much of a secret was right."),
    Rule(name="shell", cwe="CWE-78", hints=("Command::new",), weaken=_shell,
         reason="Arguments reach the program as they are; a shell would interpret what stands in "
         "them."),
    Rule(name="unverified_tls", cwe="CWE-295", hints=("Client::builder", "ClientBuilder::new"),
         weaken=_any_certificate,
         reason="The server's certificate is verified, so nobody in between can read or change "
         "what is sent."),
    Rule(name="debug_check", cwe="CWE-617", hints=("assert!(", "assert_eq!(", "assert_ne!("),
         weaken=_debug_only,
         keep_one_in=2,
         reason="`assert!` also checks in release builds, where `debug_assert!` is compiled out."),
    Rule(name="panic_on_error", cwe="CWE-248", hints=("?",), weaken=_panicking, keep_one_in=48,
         reason="The error goes to the caller; an unwrapped one takes the whole program down."),
)  # fmt: skip
