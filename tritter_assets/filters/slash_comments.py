# ruff: noqa: PLR0912, PLR0915, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
"""Lexer of `//` and `/* */` comments, for the languages that look like C.

One function with options, since numba compiles one function at a time; see `comment_kernels`.
"""

from __future__ import annotations

import numpy as np

NESTED = 1
"""Block comments nest: Rust, Kotlin, Scala, Swift, Dart."""
RUST = 2
"""Raw strings `r#"..."#`, lifetimes, and strings over several lines."""
SCRIPT = 4
"""JavaScript: templates with code inside, regular expressions, strings in single quotes."""
GO_RAW = 8
"""Backquoted strings without escapes."""
TRIPLE = 16
"""Strings in three double quotes: Java, Kotlin, Scala, Swift, C#, Dart."""
VERBATIM = 32
"""C#: `@"..."`, where a doubled quote stands for one."""
CPP_RAW = 64
"""C++: `R"tag(...)tag"`, and digits separated by single quotes."""
PHP = 128
"""`#` comments, single-quoted strings, both over several lines; only inside `<?php`."""


def slash_comments(data, offsets, rows, options, out):
    """`//` and `/* */`, in the languages that look like C; `options` says in which ways."""
    nests = options & 1 != 0
    is_rust = options & 2 != 0
    is_script = options & 4 != 0
    go_raw = options & 8 != 0
    has_triple = options & 16 != 0
    has_verbatim = options & 32 != 0
    is_cpp = options & 64 != 0
    is_php = options & 128 != 0
    over_lines = is_rust or is_php
    stack = np.zeros(64, np.int64)
    for row in range(rows.shape[0]):
        d = rows[row]
        i = offsets[d]
        end = offsets[d + 1]
        comment = 0
        height = 0
        braces = 0
        in_template = False
        outside = is_php
        previous = np.uint8(10)  # the last byte that is not white space
        while i < end:
            if outside:
                # HTML around PHP: up to `<?`.
                while i + 1 < end and not (data[i] == 60 and data[i + 1] == 63):
                    i += 1
                if i + 1 >= end:
                    break
                outside = False
                i += 2
                continue
            if in_template:
                while i < end:
                    if data[i] == 92:
                        i += 2
                    elif data[i] == 96:
                        in_template = False
                        i += 1
                        break
                    elif data[i] == 36 and i + 1 < end and data[i + 1] == 123 and height < 64:
                        stack[height] = braces
                        height += 1
                        braces = 0
                        in_template = False
                        i += 2
                        break
                    else:
                        i += 1
                previous = np.uint8(96)
                continue
            b = data[i]
            if b <= 32:
                i += 1
                continue
            following = data[i + 1] if i + 1 < end else np.uint8(0)
            adjacent = data[i - 1] if i > offsets[d] else np.uint8(10)
            in_word = (
                (48 <= adjacent <= 57)
                or (97 <= (adjacent | 32) <= 122)
                or adjacent == 95
                or adjacent >= 128
            )
            if (b == 47 and following == 47) or (is_php and b == 35 and following != 91):
                while i < end and data[i] != 10:
                    if is_php and data[i] == 63 and i + 1 < end and data[i + 1] == 62:
                        break
                    # A line of C goes on after a backslash.
                    if (
                        data[i] == 92
                        and not (is_rust or is_script or is_php or go_raw)
                        and i + 1 < end
                        and data[i + 1] == 10
                    ):
                        comment += 1
                        i += 2
                        continue
                    comment += np.int64(data[i] > 32)
                    i += 1
                continue
            if b == 47 and following == 42:
                nested = 1
                comment += 2
                i += 2
                while i < end and nested > 0:
                    if data[i] == 42 and i + 1 < end and data[i + 1] == 47:
                        nested -= 1
                        comment += 2
                        i += 2
                    elif nests and data[i] == 47 and i + 1 < end and data[i + 1] == 42:
                        nested += 1
                        comment += 2
                        i += 2
                    else:
                        comment += np.int64(data[i] > 32)
                        i += 1
                continue
            if b == 47 and is_script:
                # A regular expression stands where a value may begin.
                value = (
                    previous == 41
                    or previous == 93
                    or previous == 125
                    or previous == 34
                    or previous == 39
                    or previous == 96
                    or (48 <= previous <= 57)
                    or (97 <= (previous | 32) <= 122)
                    or previous == 95
                    or previous == 36
                    or previous == 60
                )
                if value and (97 <= previous <= 122):
                    # `return /x/`, `typeof /x/`, `case /x/`: a word, then a regular expression.
                    j = i - 1
                    while j > offsets[d] and data[j] <= 32:
                        j -= 1
                    k = j
                    while k >= offsets[d] and 97 <= data[k] <= 122:
                        k -= 1
                    size = j - k
                    if (
                        (size == 6 and data[k + 1] == 114 and data[k + 2] == 101 and data[j] == 110)
                        or (size == 6 and data[k + 1] == 116 and data[j] == 102)
                        or (size == 4 and data[k + 1] == 99 and data[j] == 101)
                    ):
                        value = False
                previous = b
                i += 1
                if not value:
                    in_class = False
                    while i < end and data[i] != 10:
                        if data[i] == 92:
                            i += 2
                            continue
                        if data[i] == 91:
                            in_class = True
                        elif data[i] == 93:
                            in_class = False
                        elif data[i] == 47 and not in_class:
                            i += 1
                            break
                        i += 1
                    previous = np.uint8(41)
                continue
            if (
                is_rust
                and b == 114
                and (following == 34 or following == 35)
                and not (in_word and adjacent != 98 and adjacent != 99)
            ):
                hashes = 0
                j = i + 1
                while j < end and data[j] == 35:
                    hashes += 1
                    j += 1
                if j < end and data[j] == 34:
                    j += 1
                    while j < end:
                        if data[j] == 34:
                            k = j + 1
                            while k < end and k - j - 1 < hashes and data[k] == 35:
                                k += 1
                            if k - j - 1 == hashes:
                                j = k
                                break
                        j += 1
                    i = j
                else:
                    i += 1
                previous = b
                continue
            if is_cpp and b == 82 and following == 34:
                tag = i + 2
                j = tag
                while j < end and j - tag <= 16 and data[j] != 40:
                    j += 1
                if j < end and data[j] == 40:
                    size = j - tag
                    j += 1
                    while j < end:
                        if data[j] == 41 and j + size + 1 < end and data[j + size + 1] == 34:
                            same = True
                            for k in range(size):
                                if data[j + 1 + k] != data[tag + k]:
                                    same = False
                                    break
                            if same:
                                j += size + 2
                                break
                        j += 1
                    i = j
                    previous = np.uint8(34)
                    continue
            if b == 34 and has_triple and following == 34 and i + 2 < end and data[i + 2] == 34:
                i += 3
                while i < end:
                    if data[i] == 92:
                        i += 2
                    elif data[i] == 34 and i + 2 < end and data[i + 1] == 34 and data[i + 2] == 34:
                        i += 3
                        break
                    else:
                        i += 1
                previous = b
                continue
            if b == 34 and has_verbatim and (adjacent == 64 or (adjacent == 36 and previous == 36)):
                is_verbatim = adjacent == 64
                if not is_verbatim and i - 2 >= offsets[d]:
                    is_verbatim = data[i - 2] == 64
                if is_verbatim:
                    i += 1
                    while i < end:
                        if data[i] == 34:
                            if i + 1 < end and data[i + 1] == 34:
                                i += 2
                                continue
                            i += 1
                            break
                        i += 1
                    previous = b
                    continue
            if b == 34 or (b == 39 and (is_script or is_php)):
                i += 1
                while i < end and data[i] != b and (over_lines or data[i] != 10):
                    i += 2 if data[i] == 92 else 1
                if i < end and data[i] == b:
                    i += 1
                previous = b
                continue
            if b == 39:
                if is_cpp and 48 <= adjacent <= 57:
                    i += 1
                    previous = b
                    continue
                # 'x' and '\n' are literals; 'a is a lifetime of Rust.
                j = i + 1
                while j < end and data[j] != 39 and data[j] != 10:
                    j += 2 if data[j] == 92 else 1
                if j < end and data[j] == 39:
                    if (
                        not is_rust
                        or (j - i <= 5 and (j - i == 2 or following == 92 or following >= 128))
                        or following == 92
                    ):
                        i = j + 1
                    else:
                        i += 1
                else:
                    i += 1
                previous = b
                continue
            if b == 96 and is_script:
                in_template = True
                i += 1
                continue
            if b == 96 and go_raw:
                i += 1
                while i < end and data[i] != 96:
                    i += 1
                i += 1
                previous = b
                continue
            if is_script:
                if b == 123:
                    braces += 1
                elif b == 125:
                    if braces == 0 and height > 0:
                        height -= 1
                        braces = stack[height]
                        in_template = True
                        i += 1
                        continue
                    braces = max(braces - 1, 0)
            elif is_php and b == 63 and following == 62:
                outside = True
                i += 2
                continue
            previous = b
            i += 1
        out[d] = comment
