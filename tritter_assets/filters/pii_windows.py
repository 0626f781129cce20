# ruff: noqa: PLR0912, PLR0915, PLR0917, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
"""Compiled search for the places where presidio's pattern recognisers could find something.

One pass over the bytes gives windows: stretches of a document outside of which no expression can
match, and inside of which it matches as it would in the whole document. Each is cut where the
expression's own characters end, so nothing that the expression looks at lies beyond it. Bytes of
what is not ASCII count as any character, and the expression itself decides.

Importing this module imports numba (a second), so only code about to look for personal data does.
"""

from __future__ import annotations

import numba
import numpy as np

jit = numba.njit(cache=True, nogil=True)
"""Compiles on first use, keeps the machine code beside this package, releases the lock."""

EMAIL, IP, CARD, IBAN, SSN, CRYPTO = range(6)
"""Kinds of windows."""

_ALNUM, _DIGIT, _HEX, _UPPER, _WORD, _LOCAL, _ADDRESS, _HIGH = (1 << bit for bit in range(8))


def _flags():
    table = np.zeros(256, np.uint8)
    for byte in range(128):
        char = chr(byte)
        word = char.isalnum() or char == "_"
        table[byte] = (
            _ALNUM * char.isalnum()
            | _DIGIT * char.isdigit()
            | _HEX * (char in "0123456789abcdefABCDEF")
            | _UPPER * char.isupper()
            | _WORD * word
            | _LOCAL * (word or char in "!#$%&'*+-/=?^`{|}~.")
            | _ADDRESS * (word or char in ":./%")
        )
    table[128:] = _HIGH | _LOCAL | _ADDRESS
    return table


FLAGS = _flags()
"""Byte -> what it can be a part of."""


@jit
def _run_left(data, i, first, flags):
    """Returns where the run of bytes with any of `flags` that ends before `i` begins."""
    while i > first and FLAGS[data[i - 1]] & flags:
        i -= 1
    return i


@jit
def _run_right(data, i, last, flags):
    """Returns where the run of bytes with any of `flags` that begins at `i` ends."""
    while i < last and FLAGS[data[i]] & flags:
        i += 1
    return i


@jit
def _char_left(data, i, first):
    """Returns the start of the character before `i`."""
    if i == first:
        return i
    i -= 1
    while i > first and data[i] & 0xC0 == 0x80:
        i -= 1
    return i


@jit
def _char_right(data, i, last):
    """Returns the end of the character at `i`."""
    if i == last:
        return i
    i += 1
    while i < last and data[i] & 0xC0 == 0x80:
        i += 1
    return i


@jit
def _ends_word(data, i, last):
    """Says whether a word may end before `i`."""
    return i >= last or not FLAGS[data[i]] & _WORD


@jit
def _mailbox(data, at, first, last):
    """Returns the window of an e-mail address around `@`, or an empty one."""
    if at == first or at + 1 == last or not FLAGS[data[at - 1]] & _LOCAL:
        return at, at
    label = at + 1
    while label < last and (FLAGS[data[label]] & (_WORD | _HIGH) or data[label] == 45):
        label += 1
    if label == at + 1 or label + 1 >= last or data[label] != 46:
        return at, at
    if not FLAGS[data[label + 1]] & (_WORD | _HIGH):
        return at, at
    end = label
    while end < last and (FLAGS[data[end]] & (_WORD | _HIGH) or data[end] == 45 or data[end] == 46):
        end += 1
    return _run_left(data, at, first, _LOCAL), end


@jit
def _names_ipv6(data, colon, first, last, weak):
    """Says whether the stretch of hexadecimal digits and colons around its first colon may be."""
    start = _run_left(data, colon, max(first, colon - 5), _HEX)
    if colon - start > 4 or (start > first and FLAGS[data[start - 1]] & _WORD):
        return False
    end = colon
    colons = 0
    double = False
    while end < last and (FLAGS[data[end]] & _HEX or data[end] == 58):
        if data[end] == 58:
            colons += 1
            double = double or (end + 1 < last and data[end + 1] == 58)
        end += 1
        # Nine groups, their colons and the first number of an embedded IPv4 address.
        if end - start > 60:
            return False
    if not _ends_word(data, end, last) or (not weak and end - start == 2):
        return False
    return double or colons >= 6


@jit
def _names_ipv4(data, dot, first, last):
    """Says whether the first dot of four numbers below 256 stands at `dot`."""
    i = _run_left(data, dot, max(first, dot - 4), _DIGIT)
    if i > first and FLAGS[data[i - 1]] & _WORD:
        return False
    for part in range(4):
        value = 0
        start = i
        while i < last and FLAGS[data[i]] & _DIGIT and i - start < 4:
            value = value * 10 + data[i] - 48
            i += 1
        if i == start or i - start > 3 or value > 255:
            return False
        if part < 3:
            if i >= last or data[i] != 46:
                return False
            i += 1
    return _ends_word(data, i, last)


@jit
def _digits(data, i, last, count):
    """Returns the end of a separator and `count` digits; -1: there are fewer, -2: not ASCII."""
    if i < last and (data[i] == 32 or data[i] == 45):
        i += 1
    for _ in range(count):
        if i >= last:
            return -1
        flags = FLAGS[data[i]]
        if not flags & _DIGIT:
            return -2 if flags & _HIGH else -1
        i += 1
    return i


@jit
def _luhn(data, start, end):
    total = 0
    double = False
    for i in range(end - 1, start - 1, -1):
        if FLAGS[data[i]] & _DIGIT:
            digit = data[i] - 48
            if double:
                digit = digit * 2 - 9 if digit > 4 else digit * 2
            total += digit
            double = not double
    return total % 10 == 0


@jit
def _names_card(data, start, end, first, last):
    """Says whether a card number that passes its checksum may begin with the digits at `start`."""
    lead = data[start]
    if lead == 48 or lead == 50 or lead > 54:
        return False
    if start > first and FLAGS[data[start - 1]] & _WORD:
        return False
    if end < last and FLAGS[data[end]] & _HIGH:
        return True
    if end - start < 4 or (lead == 53 and data[start + 1] > 53):
        return False
    if lead == 49 and end - start == 13:  # milliseconds since 1970
        return False
    for second in (4, 3):
        a = _digits(data, start + 4, last, second)
        if a == -2:
            return True
        if a < 0:
            continue
        for third in (4, 3):
            b = _digits(data, a, last, third)
            if b == -2:
                return True
            if b < 0:
                continue
            for fourth in (5, 4, 3):
                c = _digits(data, b, last, fourth)
                if c == -2:
                    return True
                if c >= 0 and _ends_word(data, c, last):
                    if c < last and FLAGS[data[c]] & _HIGH:
                        return True
                    return _luhn(data, start, c)
    return False


@jit
def _names_iban(data, digits, first, last):
    """Says whether two capitals before `digits`, and what follows, may be an IBAN."""
    start = digits - 2
    if start < first or not (FLAGS[data[start]] & FLAGS[data[start + 1]] & _UPPER):
        return False
    if start > first and FLAGS[data[start - 1]] & (_UPPER | _DIGIT):
        return False
    i = digits
    if i + 2 > last or not FLAGS[data[i + 1]] & _DIGIT:
        return False
    i += 2
    for _ in range(2):
        if i < last and (data[i] == 32 or data[i] == 45):
            i += 1
        for _ in range(4):
            if i >= last or not FLAGS[data[i]] & (_UPPER | _DIGIT):
                return False
            i += 1
    return True


@jit
def _social_security_end(data, start, end, first, last, weak):
    """Returns the end of a US social security number that begins with a run of digits, or 0."""
    length = end - start
    if start > first and FLAGS[data[start - 1]] & _WORD:
        return 0
    if length == 9:
        return end if weak and _ends_word(data, end, last) else 0
    if end >= last or (length != 3 and length != 5):
        return 0
    mark = data[end]
    if mark != 45 and mark != 32 and mark != 46:
        return 0
    second = _run_right(data, end + 1, min(last, end + 8), _DIGIT)
    count = second - end - 1
    if length == 5 or count == 6:
        fits = weak and mark == 45 and count == (4 if length == 5 else 6)
        return second if fits and _ends_word(data, second, last) else 0
    if count != 2 or second >= last:
        return 0
    mark = data[second]
    if mark != 45 and mark != 32 and mark != 46:
        return 0
    third = _run_right(data, second + 1, min(last, second + 6), _DIGIT)
    return third if third - second == 5 and _ends_word(data, third, last) else 0


@jit
def _next_wallet(data, i, end):
    """Returns the next match of the wallet expression that its own checks could accept."""
    while end - i >= 26:
        head = 0
        if data[i] == 49 or data[i] == 51:
            head = 1
        elif data[i] | 32 == 98 and data[i + 1] | 32 == 99 and data[i + 2] == 49 and end - i >= 28:
            head = 3
        if head == 0:
            i += 1
            continue
        stop = min(end, i + head + 59)
        base58 = True
        if head == 1:
            for j in range(i, stop):
                byte = data[j]
                if byte == 48 or byte == 73 or byte == 79 or byte == 108:  # 0IOl
                    base58 = False
                    break
        if base58:
            return i, stop
        i = stop
    return end, end


@jit
def _folded(data, i, last):
    """Returns the length of a character whose lower case is i, s or k, or 0."""
    if i + 1 < last and data[i] == 0xC4 and data[i + 1] == 0xB0:
        return 2
    if i + 1 < last and data[i] == 0xC5 and data[i + 1] == 0xBF:
        return 2
    if i + 2 < last and data[i] == 0xE2 and data[i + 1] == 0x84 and data[i + 2] == 0xAA:
        return 3
    return 0


@jit
def _store(out, n, row, kind, start, end, chars, data, now):
    """Adds a window; `chars` is the character index of byte `now`, which `start` is not after."""
    if n < out.shape[0]:
        for i in range(start, now):
            if data[i] & 0xC0 != 0x80:
                chars -= 1
        out[n, 0] = row
        out[n, 1] = kind
        out[n, 2] = start
        out[n, 3] = end
        out[n, 4] = chars
    return n + 1


@jit
def find_windows(data, offsets, weak, out):
    """Writes windows to `out` and returns how many there are, which may be more than it holds.

    Args:
        data: Bytes of all documents.
        offsets: Where each document begins, and where the last one ends.
        weak: Whether to look for what presidio gives a score below 0.5.
        out: int64 array of 5 columns: row, kind, first byte, end, characters before the window.
    """
    n = 0
    for row in range(offsets.shape[0] - 1):
        first = offsets[row]
        last = offsets[row + 1]
        continued = 0
        run = first
        folded = False
        ip_end = card_end = iban_end = first
        i = first
        while i <= last:
            flags = FLAGS[data[i]] if i < last else np.uint8(0)
            if flags & _ALNUM:
                if not flags & _DIGIT:
                    i += 1
                    while i < last and FLAGS[data[i]] & (_ALNUM | _DIGIT) == _ALNUM:
                        i += 1
                    continue
                end = _run_right(data, i, last, _DIGIT)
                chars = i - first - continued
                if i >= card_end and _names_card(data, i, end, first, last):
                    a = i
                    while a > first and (
                        FLAGS[data[a - 1]] & (_DIGIT | _HIGH)
                        or data[a - 1] == 32
                        or data[a - 1] == 45
                    ):
                        a -= 1
                    card_end = end
                    while card_end < last and (
                        FLAGS[data[card_end]] & (_DIGIT | _HIGH)
                        or data[card_end] == 32
                        or data[card_end] == 45
                    ):
                        card_end += 1
                    a = _char_left(data, a, first)
                    b = _char_right(data, card_end, last)
                    n = _store(out, n, row, CARD, a, b, chars, data, i)
                number_end = _social_security_end(data, i, end, first, last, weak)
                if number_end:
                    a = _char_left(data, i, first)
                    b = _char_right(data, number_end, last)
                    n = _store(out, n, row, SSN, a, b, chars, data, i)
                if i >= iban_end and _names_iban(data, i, first, last):
                    a = i
                    while a > first and (
                        FLAGS[data[a - 1]] & (_DIGIT | _UPPER)
                        or data[a - 1] == 32
                        or data[a - 1] == 45
                    ):
                        a -= 1
                    iban_end = end
                    while iban_end < last and (
                        FLAGS[data[iban_end]] & (_DIGIT | _UPPER)
                        or data[iban_end] == 32
                        or data[iban_end] == 45
                    ):
                        iban_end += 1
                    n = _store(out, n, row, IBAN, a, iban_end, chars, data, i)
                i = end
                continue
            if flags & _HIGH:
                length = _folded(data, i, last)
                if length:
                    folded = True
                    continued += length - 1
                    i += length
                    continue
            if i - run >= 26:
                if folded:
                    n = _store(out, n, row, CRYPTO, run, i, i - first - continued, data, i)
                else:
                    a, b = _next_wallet(data, run, i)
                    while a < i:
                        n = _store(out, n, row, CRYPTO, a, b, a - first - continued, data, a)
                        a, b = _next_wallet(data, b, i)
            if i == last:
                break
            run = i + 1
            folded = False
            byte = data[i]
            if byte == 64:
                a, b = _mailbox(data, i, first, last)
                if b > a:
                    a = _char_left(data, a, first)
                    n = _store(out, n, row, EMAIL, a, b, i - first - continued, data, i)
            elif i >= ip_end and (
                (
                    byte == 46
                    and i > first
                    and FLAGS[data[i - 1]] & _DIGIT
                    and _names_ipv4(data, i, first, last)
                )
                or (
                    byte == 58
                    and (i == first or data[i - 1] != 58)
                    and _names_ipv6(data, i, first, last, weak)
                )
            ):
                a = _run_left(data, i, first, _ADDRESS)
                ip_end = _run_right(data, i, last, _ADDRESS)
                n = _store(out, n, row, IP, a, ip_end, i - first - continued, data, i)
            elif byte & 0xC0 == 0x80:
                continued += 1
            i += 1
    return n
