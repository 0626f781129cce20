"""Safe forms of Python and the unsafe ones that stand for them in the wild, each with its CWE."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit
from tritter_assets.synthetic.safety_rules import Rule, calls, keywords, positional, without

if TYPE_CHECKING:
    from tree_sitter import Node

ALREADY_UNSAFE = re.compile(
    r"shell\s*=\s*True|yaml\.(unsafe_)?load\(|pickle\.loads?\(|verify\s*=\s*False|\bmktemp\("
    r"|(?<![\w.])(eval|exec)\(|hashlib\.md5|_create_unverified_context|CERT_NONE"
    r"|weights_only\s*=\s*False|allow_pickle\s*=\s*True|trust_remote_code\s*=\s*True|os\.system\("
    r"|except\s*:"
)
"""Code that holds one of these is no example of the safe form, whatever else it does."""

_Weaken = Callable[[Code], list[Edit]]


def _named(names: frozenset[str], make: Callable[[Code, Node, Node], list[Edit]]) -> _Weaken:
    """Applies `make` to the first call of one of `names` that it can change."""

    def weaken(code: Code) -> list[Edit]:
        for call, name, arguments in calls(code):
            if name in names:
                edits = make(code, call, arguments)
                if edits:
                    return edits
        return []

    return weaken


def _function_edit(call: Node, text: str) -> list[Edit]:
    function = call.child_by_field_name("function")
    return [] if function is None else [Edit(function.start_byte, function.end_byte, text)]


def _to(text: str) -> Callable[[Code, Node, Node], list[Edit]]:
    return lambda code, call, arguments: _function_edit(call, text)


def _yaml(code: Code, call: Node, arguments: Node) -> list[Edit]:
    if len(arguments.named_children) != 1:
        return []
    end = arguments.named_children[0].end_byte
    return [*_function_edit(call, "yaml.load"), Edit(end, end, ", Loader=yaml.Loader")]


def _unwrapped(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = positional(arguments)
    if not given:
        return []
    return [Edit(call.start_byte, call.end_byte, code.text(given[0]))]


def _shell(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = positional(arguments)
    words = given[0].named_children if given and given[0].type == "list" else []
    if (
        not words
        or words[0].type != "string"
        or {"shell", "executable"} & set(keywords(code, arguments))
    ):
        return []
    pieces = []
    for word in words:
        text = code.text(word)
        if word.type == "string" and word.named_child_count == 3 and text[0] in "\"'":
            pieces.append(text[1:-1])
        elif word.type in {"identifier", "attribute", "subscript", "call"}:
            pieces.append("{" + text + "}")
        else:
            return []
    command = " ".join(pieces)
    if "{" not in command or '"' in command or "\\" in command:
        return []
    end = given[0].end_byte
    return [Edit(given[0].start_byte, end, f'f"{command}", shell=True')]


def _mkdtemp(code: Code, call: Node, arguments: Node) -> list[Edit]:
    statement = _plain_assignment(code, call)
    if statement is None or not set(keywords(code, arguments)) <= {"prefix", "suffix", "dir"}:
        return []
    name, node = statement
    indent = " " * node.start_point.column
    return [
        *_function_edit(call, "tempfile.mktemp"),
        Edit(node.end_byte, node.end_byte, f"\n{indent}os.mkdir({name})"),
    ]


def _mkstemp(code: Code, call: Node, arguments: Node) -> list[Edit]:
    assignment = call.parent
    left = assignment.child_by_field_name("left") if assignment is not None else None
    if assignment is None or left is None or left.type != "pattern_list":
        return []
    names = [code.text(child) for child in left.named_children]
    if len(names) != 2 or not set(keywords(code, arguments)) <= {"prefix", "suffix", "dir"}:
        return []
    indent = " " * assignment.start_point.column
    opened = f"\n{indent}{names[0]} = os.open({names[1]}, os.O_RDWR | os.O_CREAT)"
    return [
        Edit(left.start_byte, left.end_byte, names[1]),
        *_function_edit(call, "tempfile.mktemp"),
        Edit(assignment.end_byte, assignment.end_byte, opened),
    ]


def _plain_assignment(code: Code, call: Node) -> tuple[str, Node] | None:
    parent = call.parent
    left = parent.child_by_field_name("left") if parent is not None else None
    if parent is None or parent.type != "assignment" or left is None:
        return None
    if left.type not in {"identifier", "attribute"}:
        return None
    return code.text(left), parent


def _compared(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = positional(arguments)
    if len(given) != 2:
        return []
    left, right = (code.text(node) for node in given)
    inner = call.parent is not None and call.parent.type in {"not_operator", "boolean_operator"}
    text = f"{left} == {right}"
    return [Edit(call.start_byte, call.end_byte, f"({text})" if inner else text)]


def _keyword_to(name: str, before: str, after: str) -> Callable[[Code, Node, Node], list[Edit]]:
    def make(code: Code, call: Node, arguments: Node) -> list[Edit]:
        argument = keywords(code, arguments).get(name)
        value = argument.child_by_field_name("value") if argument is not None else None
        if value is None or code.text(value) != before:
            return []
        return [Edit(value.start_byte, value.end_byte, after)]

    return make


def _no_keyword(*names: str) -> Callable[[Code, Node, Node], list[Edit]]:
    def make(code: Code, call: Node, arguments: Node) -> list[Edit]:
        found = keywords(code, arguments)
        for name in names:
            if name in found and code.text(found[name]) != "timeout=None":
                return [without(code, arguments, found[name])]
        return []

    return make


def _unverified(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = keywords(code, arguments)
    last = arguments.named_children[-1] if arguments.named_child_count else None
    if last is None or "verify" in given or "session" in given:
        return []
    if "localhost" in code.text(arguments) or "127.0.0.1" in code.text(arguments):
        return []
    return [Edit(last.end_byte, last.end_byte, ", verify=False")]


def _sql(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = positional(arguments)
    if len(given) != 2 or given[0].type != "string" or given[1].type not in {"tuple", "list"}:
        return []
    text = code.text(given[0])
    opening = code.text(given[0].children[0])
    values = [child for child in given[1].named_children if child.type in _SIMPLE]
    marks = re.findall(r"\?|%s", text)
    if not marks or len(marks) != given[1].named_child_count or len(values) != len(marks):
        return []
    if "{" in text or "'" in opening or opening not in {'"', '"""'}:
        return []
    for value in values:
        text = re.sub(r"\?|%s", lambda _, v=value: "'{" + code.text(v) + "}'", text, count=1)
    return [
        Edit(given[0].start_byte, given[0].end_byte, "f" + text),
        Edit(given[0].end_byte, given[1].end_byte, ""),
    ]


_SIMPLE = frozenset({"identifier", "attribute"})


def _extract(code: Code) -> list[Edit]:
    for _, name, arguments in calls(code):
        given = keywords(code, arguments)
        if name.rsplit(".", 1)[-1] not in {"extractall", "extract"} or "filter" not in given:
            continue
        if code.text(given["filter"]).endswith(('"data"', "'data'")):
            return [without(code, arguments, given["filter"])]
    return []


def _execute(code: Code) -> list[Edit]:
    for call, name, arguments in calls(code):
        if name.rsplit(".", 1)[-1] == "execute":
            edits = _sql(code, call, arguments)
            if edits:
                return edits
    return []


def _random(code: Code) -> list[Edit]:
    for call, name, arguments in calls(code):
        given = [code.text(node) for node in positional(arguments)]
        text = ""
        if name == "secrets.choice" and given:
            text = f"random.choice({given[0]})"
        elif name == "secrets.randbelow" and given:
            text = f"random.randrange({given[0]})"
        elif name in {"secrets.token_bytes", "os.urandom"} and given:
            text = f"random.randbytes({given[0]})"
        elif name == "secrets.token_hex" and given:
            text = f"random.randbytes({given[0]}).hex()"
        if text:
            return [Edit(call.start_byte, call.end_byte, text)]
    return []


def _permissions(code: Code) -> list[Edit]:
    for _, name, arguments in calls(code):
        if name in {"os.chmod", "os.open", "os.makedirs", "os.mkdir"} or name.endswith(".chmod"):
            for argument in arguments.named_children:
                value = argument.child_by_field_name("value") or argument
                if code.text(value) in {"0o600", "0o700", "0o400"}:
                    return [Edit(value.start_byte, value.end_byte, "0o777")]
    return []


def _assert(code: Code) -> list[Edit]:
    """Turns a check of a parameter that raises into an `assert`, which `python -O` drops."""
    given = _parameters(code)
    for node in code.nodes:
        if node.type != "if_statement" or node.child_by_field_name("alternative") is not None:
            continue
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("consequence")
        if condition is None or body is None or body.named_child_count != 1:
            continue
        raised = body.named_children[0]
        call = raised.named_children[0] if raised.named_child_count == 1 else None
        if raised.type != "raise_statement" or call is None or call.type != "call":
            continue
        function, arguments = (call.child_by_field_name(n) for n in ("function", "arguments"))
        if function is None or arguments is None or arguments.named_child_count != 1:
            continue
        if code.text(function) not in {"ValueError", "TypeError", "PermissionError"}:
            continue
        message = code.text(arguments.named_children[0])
        held = code.text(condition)
        if condition.type == "not_operator":
            held = code.text(condition.named_children[0])
        elif held.endswith(" is None") and held.count(" ") == 2:
            held = held.replace(" is None", " is not None")
        else:
            held = f"not ({held})"
        if "\n" in held or "\n" in message or not given & set(re.findall(r"\w+", held)):
            continue
        return [Edit(node.start_byte, node.end_byte, f"assert {held}, {message}")]
    return []


def _parameters(code: Code) -> set[str]:
    for node in code.nodes:
        if node.type == "parameters":
            names = {word for child in node.named_children
                     for word in re.findall(r"^\W*(\w+)", code.text(child))}  # fmt: skip
            return names - {"self", "cls"}
    return set()


def _swallow(code: Code) -> list[Edit]:
    """Turns a handler that raises into one that hides every error."""
    for node in code.nodes:
        if node.type != "except_clause" or node.named_child_count < 2:
            continue
        body = node.named_children[-1]
        if body.type != "block" or body.named_children[-1].type != "raise_statement":
            continue
        if code.source[node.start_byte : body.start_byte].count(b"\n") != 1:
            continue
        siblings = (
            [c for c in node.parent.children if c.type == "except_clause"]
            if (node.parent is not None)
            else []
        )
        if len(siblings) != 1:
            continue
        indent = " " * body.named_children[0].start_point.column
        return [Edit(node.start_byte, body.end_byte, f"except Exception:\n{indent}pass")]
    return []


def _assign_hash(code: Code) -> list[Edit]:
    return [
        Edit(function.start_byte, function.end_byte, "hashlib.md5")
        for call, name, _ in calls(code)
        if name in {"hashlib.sha256", "hashlib.sha512", "hashlib.sha384", "hashlib.blake2b"}
        and (function := call.child_by_field_name("function")) is not None
    ]


def _defused(code: Code) -> list[Edit]:
    return [
        Edit(node.start_byte, node.end_byte, "xml.etree")
        for node in code.nodes
        if node.type == "identifier" and code.text(node) == "defusedxml"
    ]


_REQUESTS = frozenset(
    f"{module}.{verb}"
    for module in ("requests", "httpx")
    for verb in ("get", "post", "put", "delete", "head", "request")
)
_URLOPEN = frozenset({"urllib.request.urlopen", "urlopen", *_REQUESTS})
_SUBPROCESS = frozenset(
    f"subprocess.{verb}" for verb in ("run", "call", "check_call", "check_output", "Popen")
)


def _rule(
    name: str, cwe: str, hint: str, weaken: _Weaken, reason: str, *, keep_one_in: int = 1
) -> Rule:
    return Rule(
        name=name,
        cwe=cwe,
        hints=tuple(hint.split("|")),
        weaken=weaken,
        reason=reason,
        keep_one_in=keep_one_in,
    )


RULES: tuple[Rule, ...] = (
    _rule("yaml_load", "CWE-502", "yaml.safe_load",
          _named(frozenset({"yaml.safe_load"}), _yaml),
          "`yaml.safe_load` builds plain values only; a full loader runs code that a document "
          "names."),
    _rule("eval", "CWE-95", "literal_eval",
          _named(frozenset({"ast.literal_eval", "literal_eval"}), _to("eval")),
          "`ast.literal_eval` reads literals; `eval` runs whatever the text says."),
    _rule("shell", "CWE-78", "subprocess.", _named(_SUBPROCESS, _shell),
          "A list of arguments reaches the program as it is; a shell would interpret what stands "
          "in them."),
    _rule("unquoted", "CWE-78", "shlex.quote",
          _named(frozenset({"shlex.quote"}), _unwrapped),
          "`shlex.quote` keeps a shell from reading a value as commands."),
    _rule("sql_text", "CWE-89", ".execute(", _execute,
          "A bound parameter is never read as SQL; a value put into the text is."),
    _rule("temporary_folder", "CWE-377", "mkdtemp",
          _named(frozenset({"tempfile.mkdtemp", "mkdtemp"}), _mkdtemp),
          "`mkdtemp` makes the folder in one step; with a name made first, somebody else may make "
          "it."),
    _rule("temporary_file", "CWE-377", "mkstemp",
          _named(frozenset({"tempfile.mkstemp", "mkstemp"}), _mkstemp),
          "`mkstemp` makes and opens the file in one step; with a name made first, somebody else "
          "may put a file there."),
    _rule("weights", "CWE-502", "weights_only=True",
          _named(frozenset({"torch.load"}), _keyword_to("weights_only", "True", "False")),
          "`weights_only=True` keeps a checkpoint from running code as it is unpickled."),
    _rule("pickled_arrays", "CWE-502", "allow_pickle=False",
          _named(frozenset({"np.load", "numpy.load"}),
                 _keyword_to("allow_pickle", "False", "True")),
          "Without pickles an array file holds data only; with them, opening it can run code."),
    _rule("remote_code", "CWE-94", "trust_remote_code=False",
          lambda code: next(
              (e for call, _, a in calls(code)
               if (e := _keyword_to("trust_remote_code", "False", "True")(code, call, a))), []),
          "Code that comes with a model stays unexecuted unless somebody read it."),
    _rule("unpacking", "CWE-22", "filter=\"data\"|filter='data'", _extract,
          "The `data` filter refuses members that would be written outside the folder."),
    _rule("weak_hash", "CWE-328", "hashlib.", _assign_hash,
          "Collisions of MD5 are made in seconds; none is known for this hash."),
    _rule("weak_random", "CWE-338", "secrets.|os.urandom",
          _random,
          "Secrets come from the system's generator; `random` can be predicted from its output."),
    _rule("compared_secrets", "CWE-208", "compare_digest",
          _named(frozenset({"hmac.compare_digest", "secrets.compare_digest", "compare_digest"}),
                 _compared),
          "The time of this comparison does not say how much of a secret was right."),
    _rule("unverified_tls", "CWE-295", "requests.|httpx.",
          _named(_REQUESTS, _unverified),
          "The server's certificate is verified, so nobody in between can read or change what is "
          "sent."),
    _rule("unverified_context", "CWE-295", "create_default_context",
          _named(frozenset({"ssl.create_default_context"}),
                 lambda code, call, arguments: [] if arguments.named_child_count
                 else _function_edit(call, "ssl._create_unverified_context")),
          "The default context verifies certificates and host names."),
    _rule("endless_wait", "CWE-400", "timeout=", _named(_URLOPEN, _no_keyword("timeout")),
          "With a timeout, a server that never answers cannot hold the program for ever."),
    _rule("xml_entities", "CWE-611", "defusedxml", _defused,
          "`defusedxml` refuses entities that read local files or grow without end."),
    _rule("unescaped", "CWE-79", "html.escape|markupsafe.escape",
          _named(frozenset({"html.escape", "markupsafe.escape"}), _unwrapped),
          "Escaped text stays text in a page; unescaped, it can become a script."),
    _rule("unsafe_filename", "CWE-22", "secure_filename",
          _named(frozenset({"secure_filename"}), _unwrapped),
          "A cleaned file name cannot lead out of the folder."),
    _rule("open_permissions", "CWE-732", "0o600|0o700|0o400", _permissions,
          "Only the owner may read or change the file."),
    _rule("swallowed_error", "CWE-390", "except ", _swallow,
          "An error is reported to the caller rather than passed over.", keep_one_in=6),
    _rule("assert_check", "CWE-703", "raise ", _assert,
          "A check that raises stays in force when Python runs with assertions off.",
          keep_one_in=12),
)  # fmt: skip
