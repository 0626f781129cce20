# ruff: noqa: PLR0912, PLR0915, PLR0917, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
r"""The compiled pass that says which lines may hold a credential, and of which kind.

One look at every byte of every document: a literal automaton (Aho and Corasick, 1975, with failures
resolved) and the runs of token characters. Each sets bits on the current line; at its end a table
of rules (bits that must all be set -> detectors) decides whether the line is worth a slow detector.
A rule states what the detector's own expression cannot match without, so no finding is lost.

Runs. `I` is `[A-Za-z0-9_-]`, `B` is detect-secrets' base64 alphabet (I and `+ / = \`).
Cost: linear in the bytes; a run is read at most three times. Importing this module imports numba (a
second): `secret_lines.py` does so when it is about to look.
"""

from __future__ import annotations

import numba
import numpy as np

jit = numba.njit(cache=True, nogil=True)

# Bits of a line that runs set, beside those of literals (see `secret_lines.py`).
RUN_UPPER20 = 1 << 36
RUN_24 = 1 << 37
RUN_36 = 1 << 38
RUN_40 = 1 << 39
RUN_44 = 1 << 40
RUN_48 = 1 << 41
RUN_64 = 1 << 42
QUOTED_40 = 1 << 43
QUOTED_HEX = 1 << 44
QUOTED_BASE64 = 1 << 45
RUN_ARTIFACTORY = 1 << 46
RUN_TWILIO = 1 << 47
RUN_DISCORD = 1 << 48
RUN_TELEGRAM = 1 << 49
FOUR_NUMBERS = 1 << 50
SPECIAL = 1 << 51
"""A character outside ASCII that counts as a digit, a space or a letter in Python's expressions."""

IS_B, IS_I, IS_DIGIT, IS_UPPER, IS_LOWER, IS_HEX, IS_END = 1, 2, 4, 8, 16, 32, 64


def byte_flags() -> np.ndarray:
    """Returns the classes of each byte."""
    flags = np.zeros(256, np.uint8)
    for byte in range(128):
        char = chr(byte)
        if char.isalnum() or char in "_-":
            flags[byte] |= IS_I | IS_B
        if char in "+/=\\":
            flags[byte] |= IS_B
        if char.isdigit():
            flags[byte] |= IS_DIGIT
        if char.isupper():
            flags[byte] |= IS_UPPER
        if char.islower():
            flags[byte] |= IS_LOWER
        if char in "0123456789abcdefABCDEF":
            flags[byte] |= IS_HEX
        if char in "\r\n":
            flags[byte] |= IS_END
    return flags


@jit
def scan_lines(
    data, offsets, flags, classes, table, first_accepting, outputs, special, required, granted,
    hex_limit, base64_limit, capacity,
):  # fmt: skip
    """Finds the lines that may hold a credential.

    Returns:
        rows, line numbers from 1, first byte, byte after the last, the detectors' bits, and how
        many of them are filled: -1 when there are more than `capacity`. (Arrays that grow inside
        the loop make it 17 times slower: measured.)
    """
    rows = np.empty(capacity, np.int32)
    numbers = np.empty(capacity, np.int32)
    begins = np.empty(capacity, np.int64)
    ends = np.empty(capacity, np.int64)
    masks = np.empty(capacity, np.uint64)
    found = 0
    counts = np.zeros(256, np.int64)
    everything = np.uint64(0)
    for rule in range(granted.shape[0]):
        everything |= granted[rule]
    nothing = np.uint64(0)
    for row in range(offsets.shape[0] - 1):
        stop = offsets[row + 1]
        position = offsets[row]
        line_begin = position
        run_begin = position
        number = 1
        bits = nothing
        state = 0
        while position <= stop:
            byte = data[position] if position < stop else np.uint8(10)
            flag = flags[byte]
            state = table[state, classes[byte]]
            if state >= first_accepting:
                bits |= outputs[state]
            if flag & 1:  # IS_B
                position += 1
                continue
            if position - run_begin >= 9:
                bits |= _run_bits(
                    data, run_begin, position, line_begin, stop, flags, counts,
                    hex_limit, base64_limit,
                )  # fmt: skip
            run_begin = position + 1
            if flag & 64:  # IS_END
                if bits != nothing:
                    mask = nothing
                    if bits & np.uint64(SPECIAL):
                        mask = everything
                    else:
                        for rule in range(required.shape[0]):
                            if bits & required[rule] == required[rule]:
                                mask |= granted[rule]
                    if mask != nothing:
                        if found == capacity:
                            return rows, numbers, begins, ends, masks, -1
                        rows[found] = row
                        numbers[found] = number
                        begins[found] = line_begin
                        ends[found] = position
                        masks[found] = mask
                        found += 1
                    bits = nothing
                if byte == 13 and position + 1 < stop and data[position + 1] == 10:
                    position += 1
                number += 1
                line_begin = position + 1
                run_begin = position + 1
                state = 0
            elif byte == 46:  # a point
                if (
                    position > line_begin
                    and flags[data[position - 1]] & 4
                    and _four_numbers(data, position, stop, flags)
                ):
                    bits |= np.uint64(FOUR_NUMBERS)
            elif byte >= 0xC2 and special[_code_point(data, position, stop)]:
                bits |= np.uint64(SPECIAL)
            position += 1
    return rows, numbers, begins, ends, masks, found


@jit
def _code_point(data, position, stop):
    """Decodes a character; beyond the tables' 17 bits, 0."""
    byte = np.int64(data[position])
    if byte < 0xE0 and position + 1 < stop:
        return (byte & 31) << 6 | (np.int64(data[position + 1]) & 63)
    if byte < 0xF0 and position + 2 < stop:
        return (
            (byte & 15) << 12
            | (np.int64(data[position + 1]) & 63) << 6
            | (np.int64(data[position + 2]) & 63)
        )
    if position + 3 < stop:
        code = (
            (byte & 7) << 18
            | (np.int64(data[position + 1]) & 63) << 12
            | (np.int64(data[position + 2]) & 63) << 6
            | (np.int64(data[position + 3]) & 63)
        )
        return code if code < 1 << 17 else 0
    return 0


@jit
def _four_numbers(data, position, stop, flags):
    """Whether digits, a point, digits, a point, a digit follow the point at `position`."""
    place = position + 1
    for _ in range(2):
        begin = place
        while place < stop and place - begin < 4 and flags[data[place]] & 4:
            place += 1
        if not 1 <= place - begin <= 3 or place >= stop or data[place] != 46:
            return False
        place += 1
    return place < stop and flags[data[place]] & 4 != 0


@jit
def _run_bits(data, begin, end, line_begin, stop, flags, counts, hex_limit, base64_limit):
    """What a run of base64 characters says: quoted and random enough, long enough, shaped."""
    bits = np.uint64(0)
    size = end - begin
    if begin > line_begin and end < stop:
        quote = data[begin - 1]
        if (quote == 34 or quote == 39) and data[end] == quote:
            bits |= _quoted_bits(data, begin, end, flags, counts, hex_limit, base64_limit)
    if size < 11:
        return bits
    part = begin
    while part < end:
        if not flags[data[part]] & 2:
            part += 1
            continue
        last = part
        while last < end and flags[data[last]] & 2:
            last += 1
        length = last - part
        if length >= 11:
            if data[part] == 65 and (
                (data[part + 1] == 75 and data[part + 2] == 67)
                or (data[part + 1] == 80 and flags[data[part + 2]] & 32)
            ):
                bits |= np.uint64(RUN_ARTIFACTORY)
            if length >= 20:
                bits |= _long_bits(data, part, last, line_begin, flags)
        part = last
    return bits


@jit
def _quoted_bits(data, begin, end, flags, counts, hex_limit, base64_limit):
    bits = np.uint64(0)
    size = end - begin
    only_hex = True
    plain = size == 40
    low = np.uint64(0)
    high = np.uint64(0)
    for place in range(begin, end):
        byte = data[place]
        if not flags[byte] & 32:
            only_hex = False
        if byte < 64:
            low |= np.uint64(1) << np.uint64(byte)
        else:
            high |= np.uint64(1) << np.uint64(byte - 64)
    if plain:
        bits |= np.uint64(QUOTED_40)
    if not only_hex and size < 23:
        return bits
    # Entropy is at most the logarithm of the number of different characters.
    distinct = 0
    for _ in range(64):
        distinct += np.int64(low & np.uint64(1)) + np.int64(high & np.uint64(1))
        low >>= np.uint64(1)
        high >>= np.uint64(1)
    bound = np.log2(np.float64(distinct))
    if bound + 1e-6 < base64_limit and (not only_hex or bound + 1e-6 < hex_limit):
        return bits
    for place in range(begin, end):
        counts[data[place]] += 1
    entropy = 0.0
    for place in range(begin, end):
        times = counts[data[place]]
        if times:
            share = times / size
            entropy -= share * np.log2(share)
            counts[data[place]] = 0
    # The detector itself decides; 1e-6 is a million times what rounding can do here.
    if only_hex and entropy + 1e-6 > hex_limit:
        bits |= np.uint64(QUOTED_HEX)
    if entropy + 1e-6 > base64_limit:
        bits |= np.uint64(QUOTED_BASE64)
    return bits


@jit
def _long_bits(data, begin, end, line_begin, flags):
    """Bits of an `I` run of 20 characters or more."""
    length = end - begin
    bits = np.uint64(0)
    upper = 0
    lower = 0
    for place in range(begin, end):
        flag = flags[data[place]]
        upper = upper + 1 if flag & 12 else 0  # digit or upper case
        lower = lower + 1 if flag & 20 else 0  # digit or lower case
        if upper == 20:
            bits |= np.uint64(RUN_UPPER20)
        if lower == 32 and place - 33 >= begin:
            first = data[place - 33]
            second = data[place - 32]
            if (first == 65 and second == 67) or (first == 83 and second == 75):
                bits |= np.uint64(RUN_TWILIO)
    if length >= 24:
        bits |= np.uint64(RUN_24)
    if length >= 36:
        bits |= np.uint64(RUN_36)
    if length >= 40:
        bits |= np.uint64(RUN_40)
    if length == 44:
        bits |= np.uint64(RUN_44)
    if length >= 48:
        bits |= np.uint64(RUN_48)
    if length >= 64:
        bits |= np.uint64(RUN_64)
    if length >= 27 and begin - 32 >= line_begin and data[begin - 1] == 46:
        middle = 0
        while middle < 7 and flags[data[begin - 2 - middle]] & 2:
            middle += 1
        if middle == 6 and data[begin - 8] == 46:
            first = 0
            while first < 24 and begin - 9 - first >= line_begin:
                if not flags[data[begin - 9 - first]] & 2:
                    break
                first += 1
            if first == 24:
                bits |= np.uint64(RUN_DISCORD)
    if length >= 35 and begin - 9 >= line_begin and data[begin - 1] == 58:
        digits = 0
        while digits < 8 and flags[data[begin - 2 - digits]] & 4:
            digits += 1
        if digits == 8:
            bits |= np.uint64(RUN_TELEGRAM)
    return bits
