"""Configuration files as nobody should leave them, from one ``random.Random``."""

import random
import re
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).parents[2] / "config"
FILES = ("scheduler.yaml", "state_rules.yaml", "campaigns.yaml", "organizations.yaml")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
VALUES: tuple[object, ...] = (
    *(None, True, False, "", " ", 0, -1, 1, 7, 1.5, -0.0, 1e308, float("inf"), float("nan"), 10**17, 10**18),
    *(2**31, -(2**63), 10**30, "14", "08:30", "08:30:00", "2026-02-30", "0000-00-00", "9999-99-99", "NaN"),
    *(
        [],
        {},
        [[]],
        [None],
        {"": ""},
        {"a": {"b": []}},
        [1, "a", {}],
        "\u0667",
        "CA",
        ["CA", "CA"],
        "x" * 5000,
    ),
    *(
        "postgresql+psycopg://user:secret@host/db",
        "sqlite:///../x",
        "../x",
        "/etc/passwd",
        "a\x07b",
        "\u202e",
    ),
    *(
        {"CA": {}},
        {"CA": [{}]},
        {"XX": None},
        [{"month": 2, "day": 30}],
        {"month": True, "day": "1"},
        "%(x)s",
    ),
)
LINES = (
    *("\t", "\tkey: 1", "- a", "  - a", "]", "}", "{", "key", ": 1", "? a", "? [a]\n: 1", "<<: *nothing"),
    *(
        "<<: {timing_constants: {send_time: 1}}",
        "<<: [1]",
        "!!python/object/apply:os.system [ls]",
        "!!set {a}",
    ),
    *("a: !!binary aGVsbG8=", "---", "...", "--- a", "%YAML 2.0", "%TAG ! x", "# only a comment", "&a", "*a"),
    *(
        "a: |\n  text",
        "a: >",
        "a: 'open",
        'a: "open',
        'a: "\\x"',
        "a: @b",
        "a: `b`",
        "a: [1, 2",
        "NO: 1",
        "y: 1",
    ),
    *("1: 2", "1.5: 2", "null: 3", "~: 4", "true: 5", "2026-01-01: 6", "[]: 7", "{}: 8", "a b c: 9"),
    *("timing_constants: {}", "state_rules:", "organizations: []", "load_balancing: 5", "features: *f"),
    *("a: &x [*x]", "a: &x {b: *x}", "timing_constants: &t {send_time: *t}", "\u2028", "\u0085", "\ufeff"),
)
RAW = (
    *(
        b"\x00",
        b"\xff",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\x1b[31m",
        b"\x07",
        b"\r",
        b"\xef\xbb\xbf",
    ),
    *(b"\xef\xbf\xbf", b"\xf4\x90\x80\x80", b"\x85", b"\xe2\x80\xa8"),
)
WHOLE = (
    *(
        b"",
        b"\n\n",
        b"# nothing\n",
        b"\x00" * 100,
        b"\xff\xfe" + "a: 1".encode("utf-16-le"),
        b"~",
        b"[]",
        b"1",
    ),
    *(b"text", b"- a\n- b\n", b"[" * 5000, b"{" * 5000, b"{a: " * 2000 + b"1" + b"}" * 2000, b"- " * 3000),
    *(b"a:\n" + b"".join(b" " * i + b"a:\n" for i in range(1, 400)), BOMB.encode(), b"a: " + b"9" * 100_000),
    *(
        b"a: " + b"x" * 3_000_000,
        b"".join(b"k%d: 1\n" % i for i in range(20_000)),
        b"a: &a\n  <<: *a\n",
        b"&a [*a]",
    ),
    *(
        b"a: 1\n" * 5000,
        b"\xef\xbb\xbf",
        b"---\n---\n",
        b"a: 1\n---\nb: 2\n",
        b"\t",
        b"{}",
        b"!!map {}",
        b'{"a": 1}',
    ),
)


def malformed_yaml(seed: int) -> tuple[str, bytes]:
    """Return the name of a configuration file, and a content for it that has been damaged."""
    rng = random.Random(seed)
    name = rng.choice(FILES)
    content = (CONFIG / name).read_bytes()
    kind = rng.choice(["whole", "tree", "tree", "tree", "lines", "lines", "bytes"])
    if kind == "whole":
        content = rng.choice(WHOLE)
    elif kind == "tree":
        content = _changed_tree(rng, content)
    elif kind == "lines":
        content = _changed_lines(rng, content)
    else:
        content = _changed_bytes(rng, content)
    return name, content


def _changed_tree(rng: random.Random, content: bytes) -> bytes:
    """Change values and keys, and write all of it anew."""
    tree = yaml.safe_load(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        places = list(_places(tree))
        holder, key = rng.choice(places)
        change = rng.choice(["value", "value", "value", "delete", "rename", "deeper"])
        if change == "delete" or (change == "rename" and isinstance(holder, list)):
            del holder[key]
        elif change == "rename":
            holder[rng.choice([f"{key}s", str(key).upper(), f" {key}", "", key * 50])] = holder.pop(key)
        elif change == "deeper":
            holder[key] = _nested(rng, holder[key])
        else:
            holder[key] = rng.choice(VALUES)
        if not list(_places(tree)):
            break
    text: str = yaml.safe_dump(tree, allow_unicode=rng.random() < 0.5, sort_keys=False)
    return text.encode("utf-8", errors="surrogatepass")


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        found.append((tree, key))
        found += _places(tree[key])
    return found


def _nested(rng: random.Random, value: object) -> object:
    for _ in range(rng.choice([1, 2, 40, 100])):
        value = rng.choice([[value], {"a": value}])
    return value


def _changed_lines(rng: random.Random, content: bytes) -> bytes:
    """Remove, repeat, indent, cut and insert lines."""
    lines = content.decode().splitlines()
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(lines))
        change = rng.choice(
            ["remove", "repeat", "indent", "tab", "cut", "insert", "insert", "insert", "value"]
        )
        if change == "remove":
            del lines[at : at + rng.choice([1, 1, 3])]
        elif change == "repeat":
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif change == "indent":
            lines[at] = rng.choice([" ", "    ", ""]) + lines[at].lstrip(rng.choice([" ", ""]))
        elif change == "tab":
            lines[at] = lines[at].replace("  ", "\t", 1)
        elif change == "cut":
            lines[at] = lines[at][: rng.randint(0, len(lines[at]))]
        elif change == "insert":
            indentation = re.match(r" *", lines[at])[0] if rng.random() < 0.7 else ""
            lines.insert(at, indentation + rng.choice(LINES))
        else:
            lines[at] = re.sub(r":.*", f": {rng.choice(VALUES)!r}", lines[at], count=1)
        lines = lines or [""]
    return "\n".join(lines).encode()


def _changed_bytes(rng: random.Random, content: bytes) -> bytes:
    """Put bytes in, cut the file, or turn bits over."""
    for _ in range(rng.choice([1, 1, 3])):
        at = rng.randint(0, len(content))
        change = rng.choice(["insert", "insert", "cut", "flip"])
        if change == "insert":
            content = content[:at] + rng.choice(RAW) + content[at:]
        elif change == "cut":
            content = content[:at]
        elif at < len(content):
            content = content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    return content
