"""Safe forms of Python and the unsafe ones that stand for them in the wild, each with its CWE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit
from tritter_assets.synthetic.safety_rules import (
    Make,
    Rule,
    called_instead,
    calls,
    first_call,
    keywords,
    positional,
    rule,
    without,
)
from tritter_assets.synthetic.safety_statements import STATEMENT_RULES

if TYPE_CHECKING:
    from tree_sitter import Node

ALREADY_UNSAFE = re.compile(
    r"shell\s*=\s*True|yaml\.(unsafe_)?load\(|pickle\.loads?\(|verify\s*=\s*False|\bmktemp\("
    r"|(?<![\w.])(eval|exec)\(|hashlib\.md5|_create_unverified_context|CERT_NONE"
    r"|weights_only\s*=\s*False|allow_pickle\s*=\s*True|trust_remote_code\s*=\s*True|os\.system\("
    r"|except\s*:"
)
"""Code that holds one of these is no example of the safe form, whatever else it does."""


def _to(text: str) -> Make:
    return lambda code, call, arguments: called_instead(call, text)


def _yaml(code: Code, call: Node, arguments: Node) -> list[Edit]:
    if len(arguments.named_children) != 1:
        return []
    end = arguments.named_children[0].end_byte
    return [*called_instead(call, "yaml.load"), Edit(end, end, ", Loader=yaml.Loader")]


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


def _compared(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = positional(arguments)
    if len(given) != 2:
        return []
    left, right = (code.text(node) for node in given)
    inner = call.parent is not None and call.parent.type in {"not_operator", "boolean_operator"}
    text = f"{left} == {right}"
    return [Edit(call.start_byte, call.end_byte, f"({text})" if inner else text)]


def _keyword_to(name: str, before: str, after: str) -> Make:
    def make(code: Code, call: Node, arguments: Node) -> list[Edit]:
        argument = keywords(code, arguments).get(name)
        value = argument.child_by_field_name("value") if argument is not None else None
        if value is None or code.text(value) != before:
            return []
        return [Edit(value.start_byte, value.end_byte, after)]

    return make


def _no_keyword(*names: str) -> Make:
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


def _extract(code: Code) -> list[Edit]:
    for _, name, arguments in calls(code):
        given = keywords(code, arguments)
        if name.rsplit(".", 1)[-1] not in {"extractall", "extract"} or "filter" not in given:
            continue
        if code.text(given["filter"]).endswith(('"data"', "'data'")):
            return [without(code, arguments, given["filter"])]
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


RULES: tuple[Rule, ...] = (
    rule("yaml_load", "CWE-502", "yaml.safe_load",
          first_call(frozenset({"yaml.safe_load"}), _yaml),
          "`yaml.safe_load` builds plain values only; a full loader runs code that a document "
          "names."),
    rule("eval", "CWE-95", "literal_eval",
          first_call(frozenset({"ast.literal_eval", "literal_eval"}), _to("eval")),
          "`ast.literal_eval` reads literals; `eval` runs whatever the text says."),
    rule("shell", "CWE-78", "subprocess.", first_call(_SUBPROCESS, _shell),
          "A list of arguments reaches the program as it is; a shell would interpret what stands "
          "in them."),
    rule("unquoted", "CWE-78", "shlex.quote",
          first_call(frozenset({"shlex.quote"}), _unwrapped),
          "`shlex.quote` keeps a shell from reading a value as commands."),
    rule("weights", "CWE-502", "weights_only=True",
          first_call(frozenset({"torch.load"}), _keyword_to("weights_only", "True", "False")),
          "`weights_only=True` keeps a checkpoint from running code as it is unpickled."),
    rule("pickled_arrays", "CWE-502", "allow_pickle=False",
          first_call(frozenset({"np.load", "numpy.load"}),
                 _keyword_to("allow_pickle", "False", "True")),
          "Without pickles an array file holds data only; with them, opening it can run code."),
    rule("remote_code", "CWE-94", "trust_remote_code=False",
          lambda code: next(
              (e for call, _, a in calls(code)
               if (e := _keyword_to("trust_remote_code", "False", "True")(code, call, a))), []),
          "Code that comes with a model stays unexecuted unless somebody read it."),
    rule("unpacking", "CWE-22", "filter=\"data\"|filter='data'", _extract,
          "The `data` filter refuses members that would be written outside the folder."),
    rule("weak_hash", "CWE-328", "hashlib.", _assign_hash,
          "Collisions of MD5 are made in seconds; none is known for this hash."),
    rule("weak_random", "CWE-338", "secrets.|os.urandom",
          _random,
          "Secrets come from the system's generator; `random` can be predicted from its output."),
    rule("compared_secrets", "CWE-208", "compare_digest",
          first_call(frozenset({"hmac.compare_digest", "secrets.compare_digest", "compare_digest"}),
                 _compared),
          "The time of this comparison does not say how much of a secret was right."),
    rule("unverified_tls", "CWE-295", "requests.|httpx.",
          first_call(_REQUESTS, _unverified),
          "The server's certificate is verified, so nobody in between can read or change what is "
          "sent."),
    rule("unverified_context", "CWE-295", "create_default_context",
          first_call(frozenset({"ssl.create_default_context"}),
                 lambda code, call, arguments: [] if arguments.named_child_count
                 else called_instead(call, "ssl._create_unverified_context")),
          "The default context verifies certificates and host names."),
    rule("endless_wait", "CWE-400", "timeout=", first_call(_URLOPEN, _no_keyword("timeout")),
          "With a timeout, a server that never answers cannot hold the program for ever."),
    rule("xml_entities", "CWE-611", "defusedxml", _defused,
          "`defusedxml` refuses entities that read local files or grow without end."),
    rule("unescaped", "CWE-79", "html.escape|markupsafe.escape",
          first_call(frozenset({"html.escape", "markupsafe.escape"}), _unwrapped),
          "Escaped text stays text in a page; unescaped, it can become a script."),
    rule("unsafe_filename", "CWE-22", "secure_filename",
          first_call(frozenset({"secure_filename"}), _unwrapped),
          "A cleaned file name cannot lead out of the folder."),
    rule("open_permissions", "CWE-732", "0o600|0o700|0o400", _permissions,
          "Only the owner may read or change the file."),
    *STATEMENT_RULES,
)  # fmt: skip
