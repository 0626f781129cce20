from __future__ import annotations

import ast
import json
from collections import Counter

import pytest

from tritter_assets.synthetic import safety_pairs, safety_python, safety_rust
from tritter_assets.synthetic.pairs import edited, read_code
from tritter_assets.synthetic.safety_rules import Rule
from tritter_assets_tests.functions.filtered_lake import document

PYTHON: dict[str, tuple[str, str]] = {
    "yaml_load": ("yaml.safe_load(text)", "yaml.load(text, Loader=yaml.Loader)"),
    "eval": ("ast.literal_eval(text)", "eval(text)"),
    "shell": (
        'subprocess.run(["git", "clone", url], check=True)',
        'subprocess.run(f"git clone {url}", shell=True, check=True)',
    ),
    "unquoted": ('f"ls {shlex.quote(path)}"', 'f"ls {path}"'),
    "sql_text": (
        'db.execute("SELECT a FROM b WHERE c = ?", (value,))',
        "db.execute(f\"SELECT a FROM b WHERE c = '{value}'\")",
    ),
    "temporary_folder": (
        'folder = tempfile.mkdtemp(prefix="a")',
        'folder = tempfile.mktemp(prefix="a")\n    os.mkdir(folder)',
    ),
    "temporary_file": (
        "handle, path = tempfile.mkstemp()",
        "path = tempfile.mktemp()\n    handle = os.open(path, os.O_RDWR | os.O_CREAT)",
    ),
    "weights": ("torch.load(path, weights_only=True)", "torch.load(path, weights_only=False)"),
    "pickled_arrays": ("np.load(path, allow_pickle=False)", "np.load(path, allow_pickle=True)"),
    "remote_code": ("load(name, trust_remote_code=False)", "load(name, trust_remote_code=True)"),
    "unpacking": ('archive.extractall(folder, filter="data")', "archive.extractall(folder)"),
    "weak_hash": ("hashlib.sha256(data).hexdigest()", "hashlib.md5(data).hexdigest()"),
    "weak_random": ("secrets.token_hex(16)", "random.randbytes(16).hex()"),
    "compared_secrets": ("hmac.compare_digest(mac, given)", "mac == given"),
    "unverified_tls": ("requests.get(url)", "requests.get(url, verify=False)"),
    "unverified_context": ("ssl.create_default_context()", "ssl._create_unverified_context()"),
    "endless_wait": ("urlopen(url, timeout=5)", "urlopen(url)"),
    "xml_entities": (
        "defusedxml.ElementTree.parse(path)",
        "xml.etree.ElementTree.parse(path)",
    ),
    "unescaped": ("html.escape(text)", "text"),
    "unsafe_filename": ("save(secure_filename(name))", "save(name)"),
    "open_permissions": ("os.chmod(path, 0o600)", "os.chmod(path, 0o777)"),
    "swallowed_error": (
        "try:\n        go()\n    except KeyError as error:\n        raise Wrong from error",
        "try:\n        go()\n    except Exception:\n        pass",
    ),
    "assert_check": (
        'if not value:\n        raise ValueError("no value")',
        'assert value, "no value"',
    ),
}
RUST: dict[str, tuple[str, str]] = {
    "unchecked_text": (
        "let text = std::str::from_utf8(data).map_err(Error::Text)?;",
        "let text = unsafe { std::str::from_utf8_unchecked(data) };",
    ),
    "wrapping_arithmetic": (
        "let sum = size.checked_add(1).ok_or(Error::Large)?;",
        "let sum = size.wrapping_add(1);",
    ),
    "truncating_cast": ("let small = u8::try_from(size)?;", "let small = size as u8;"),
    "unchecked_get": (
        "let first = data.get(size).ok_or(Error::End)?;",
        "let first = unsafe { data.get_unchecked(size) };",
    ),
    "unchecked_index": (
        "let first = data[size];",
        "let first = unsafe { *data.get_unchecked(size) };",
    ),
    "raw_copy": (
        "target.copy_from_slice(&data[..4]);",
        "unsafe { std::ptr::copy_nonoverlapping(data[..4].as_ptr(), target.as_mut_ptr(), "
        "data[..4].len()) };",
    ),
    "compared_secrets": ("let same = mac.ct_eq(&other).into();", "let same = mac == other;"),
    "shell": (
        'Command::new("git").arg("clone").arg(&url).status()?;',
        'Command::new("sh").arg("-c").arg(format!("git clone {}", url)).status()?;',
    ),
    "unverified_tls": (
        "let client = Client::builder().build()?;",
        "let client = Client::builder().danger_accept_invalid_certs(true).build()?;",
    ),
    "debug_check": ("assert!(size < 9);", "debug_assert!(size < 9);"),
    "panic_on_error": ("let file = open(size)?;", "let file = open(size).unwrap();"),
}
RULES = [
    *(("python", rule) for rule in safety_python.RULES),
    *(("rust", rule) for rule in safety_rust.RULES),
]


def function(language: str, line: str) -> str:
    if language == "python":
        return f"def f(value, text):\n    {line}\n"
    return f"fn f(data: &[u8], size: usize) -> Result<u8> {{\n    {line}\n}}\n"


@pytest.mark.parametrize(("language", "rule"), RULES, ids=lambda p: getattr(p, "name", p))
def test_each_rule_makes_the_known_unsafe_form(language: str, rule: Rule) -> None:
    safe, unsafe = (PYTHON if language == "python" else RUST)[rule.name]
    text = function(language, safe)
    assert any(hint in text for hint in rule.hints)
    code = read_code(language, text.encode())
    assert code is not None
    after = edited(code.source, rule.weaken(code))
    assert after.decode() == function(language, unsafe)
    assert read_code(language, after) is not None
    assert rule.cwe.startswith("CWE-")
    assert rule.reason.endswith(".")
    if language == "python":
        ast.parse(after)


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("python", 'subprocess.run(["git", "status"])'),  # nothing in it comes from outside
        ("python", "subprocess.run([program, value])"),
        ("python", "torch.load(path)"),
        ("python", 'requests.get("http://localhost:80")'),
        ("python", "urlopen(url, timeout=None)"),
        ("python", '"yaml.safe_load(text)"'),
        ("rust", "let first = data[1..size];"),
        ("rust", "data[size] = 1;"),
        ("rust", "let first = other[size];"),
        ("rust", "let text = str::from_utf8(data);"),
    ],
)
def test_no_pair_where_no_safe_form_stands(language: str, line: str) -> None:
    assert safety_pairs.weaken(language, function(language, line), "s") == "no_safe_form"


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("python", "a = yaml.safe_load(text)\n    b = pickle.load(text)"),
        ("python", "a = yaml.safe_load(text)\n    os.system(text)"),
        ("rust", "let a = u8::try_from(size)?;\n    unsafe { go() }"),
    ],
)
def test_code_that_is_unsafe_already_makes_no_pair(language: str, line: str) -> None:
    assert safety_pairs.weaken(language, function(language, line), "s") == "already_unsafe"


def test_a_pair_names_its_weakness() -> None:
    forms = set()
    for number in range(12):
        text = function("python", f"return yaml.safe_load(text), {number}")
        parent = document(f"{number}.py", text, "python") | {
            "name": "f", "qualified_name": "f", "start_line": 1,
            "docstring": "Reads the settings out of a text that somebody else wrote.",
        }  # fmt: skip
        outcomes: Counter[str] = Counter()
        (row,) = safety_pairs.make_rows("python", parent, outcomes)
        assert outcomes["yaml_load"] == 1
        entry = json.loads(row["license_evidence"])[1]
        assert entry["value"] == "yaml_load"
        weakness, form = entry["where"].split(", ")
        assert weakness == "CWE-502"
        assert "yaml.safe_load" in row["chosen"]
        assert "yaml.safe_load" not in row["rejected"]
        assert ("CWE-502" in row["chosen"]) == (form == "mend")
        assert ("yaml.load" in row["instruction"]) == (form == "mend")
        forms.add(form)
    assert forms == {"mend", "write"}


def test_what_only_tests_run_makes_no_pair() -> None:
    text = function("rust", "let a = u8::try_from(size)?;")
    for path, content in (("tests/a.rs", text), ("src/a.rs", f"#[test]\n{text}")):
        parent = document(path, content, "rust") | {
            "name": "f", "qualified_name": "f", "start_line": 1, "docstring": None,
        }  # fmt: skip
        outcomes: Counter[str] = Counter()
        assert list(safety_pairs.make_rows("rust", parent, outcomes)) == []
        assert outcomes == {"test_function": 1}
