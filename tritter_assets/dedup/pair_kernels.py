"""Kernels over pairs: who shares a bucket, how similar they are, what hangs together, who stays.

Plain Python here, compiled in `kernel.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_U0, _U1, _U2, _U4, _U56 = (np.uint64(n) for n in (0, 1, 2, 4, 56))
_BLOCK, _WITHIN = np.uint32(6), np.uint32(63)
_BITS_1 = np.uint64(0x5555555555555555)
_BITS_2 = np.uint64(0x3333333333333333)
_BITS_4 = np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTES = np.uint64(0x0101010101010101)
_ALONE = -1
_WINDOW = 1 << 17


def buckets(keys: Any, crowd: Any, order: Any, first: Any) -> None:
    """Groups the documents of one band by key.

    `order` takes the documents of each bucket of two or more one after the other, ascending;
    `first[n]` where the bucket of document n begins in it: -1 when n is alone, and `-2 - begin`
    when the bucket has more than `crowd` documents.
    """
    num_documents = keys.shape[0]
    capacity = 64
    while capacity < 2 * num_documents:
        capacity *= 2
    mask = np.uint64(capacity - 1)
    table = np.zeros(capacity, dtype=np.int32)
    leader = np.empty(num_documents, dtype=np.int32)
    count = np.zeros(num_documents, dtype=np.int32)
    for document in range(num_documents):
        slot = np.uint64(keys[document]) & mask
        while table[slot] != 0 and keys[table[slot] - 1] != keys[document]:
            slot = (slot + _U1) & mask
        if table[slot] == 0:
            table[slot] = document + 1
        leader[document] = table[slot] - 1
        count[leader[document]] += 1
    cursor = 0
    for document in range(num_documents):
        head = leader[document]
        if head == document:
            if count[document] == 1:
                first[document] = _ALONE
                continue
            first[document] = cursor if count[document] <= crowd else -2 - cursor
            cursor += count[document]
            count[document] = 0
        first[document] = first[head]
        begin = first[head] if first[head] >= 0 else -2 - first[head]
        order[begin + count[head]] = document
        count[head] += 1


def pairs(  # noqa: PLR0917 - numba takes no keyword arguments
    order: Any,
    first: Any,
    hubs: Any,
    sizes: Any,
    threshold: Any,
    begin: Any,
    end: Any,
    seen: Any,
    left: Any,
    right: Any,
) -> Any:
    """Writes the distinct pairs of documents that share a bucket, ordered by their later end.

    Of a crowded bucket only the pairs that have one of its first `hubs` documents; never a pair
    whose sizes alone rule out the threshold. Later ends are `begin` up to `end`.

    Args:
        order: One row per band, of `buckets`.
        first: One row per band, of `buckets`.
        hubs: See above.
        sizes: Shingles of each document.
        threshold: Smallest Jaccard similarity.
        begin: First later end.
        end: One past the last.
        seen: An entry per document, all -1.
        left: Takes the earlier ends.
        right: Takes the later ends.

    Returns:
        The later end at which `left` was full (`end` when all went in), and how many pairs of
        the later ends before it were written.
    """
    num_bands = order.shape[0]
    written = 0
    for document in range(begin, end):
        kept = written
        size = sizes[document]
        for band in range(num_bands):
            at = first[band, document]
            if at == _ALONE:
                continue
            stop = order.shape[1]
            if at < 0:
                at = -2 - at
                stop = at + hubs
            while at < stop:
                other = order[band, at]
                if other >= document:
                    break
                at += 1
                if seen[other] == document:
                    continue
                seen[other] = document
                if min(size, sizes[other]) < threshold * max(size, sizes[other]):
                    continue
                if written == left.shape[0]:
                    seen[:] = -1
                    return document, kept
                left[written] = other
                right[written] = document
                written += 1
    return end, written


def ordered(rank: Any, document: Any, order: Any) -> None:
    """Fills the numbers of the pairs, in order of the rank of a document of each (by counting)."""
    begins = np.zeros(rank.shape[0] + 1, dtype=np.int64)
    for pair in range(document.shape[0]):
        begins[rank[document[pair]] + 1] += 1
    for place in range(rank.shape[0]):
        begins[place + 1] += begins[place]
    for pair in range(document.shape[0]):
        place = rank[document[pair]]
        order[begins[place]] = pair
        begins[place] += 1


def jaccard(  # noqa: PLR0912, PLR0915, PLR0917 - numba takes no keyword arguments, calls no helper
    left: Any, right: Any, component: Any, starts: Any, shingles: Any, out: Any
) -> None:
    """Fills the exact Jaccard similarity of pairs of shingle sets.

    `left`, `right` and `component` have an entry per pair, ordered by (component, left).

    Among thousands of versions of one file a set is in thousands of pairs, so sets are not probed
    pair by pair. The left sets of a window of pairs get numbers for their shingles, in order of
    appearance; each set of the window becomes, once, the 64-bit words of its numbers that are not
    zero; a pair is the bits that two sets have in common. Numbers follow the text, so near copies
    have full words: a pair costs about one step for 50 shingles. A window ends with its component
    and at `_WINDOW` shingles, so the numbers of one set fit the first cache.
    """
    num_documents = starts.shape[0] - 1
    largest, total = _WINDOW, 0
    for document in range(num_documents):
        size = starts[document + 1] - starts[document]
        largest = max(largest, size)
        total += size
    slots = 64
    while slots < 2 * largest:
        slots *= 2
    table = np.empty(slots, dtype=np.uint64)
    numbers = np.empty(slots, dtype=np.uint32)
    held = np.zeros((largest >> 6) + 1, dtype=np.uint64)
    blocks = np.empty(total, dtype=np.uint32)
    words = np.empty(total, dtype=np.uint64)
    begins = np.zeros(num_documents, dtype=np.int64)
    ends = np.zeros(num_documents, dtype=np.int64)
    seen = np.full(num_documents, -1, dtype=np.int64)
    begin, num_pairs = 0, left.shape[0]
    while begin < num_pairs:
        stop, size, last = begin, 0, -1
        while stop < num_pairs and component[stop] == component[begin]:
            if left[stop] != last:
                more = starts[left[stop] + 1] - starts[left[stop]]
                if last >= 0 and size + more > _WINDOW:
                    break
                size += more
                last = left[stop]
            stop += 1
        capacity = 64
        while capacity < 2 * size:
            capacity *= 2
        mask = np.uint64(capacity - 1)
        table[:capacity] = _U0
        num_numbers = np.uint32(0)
        cursor = 0
        # First the left sets, which give the numbers; then the others.
        for at in range(2 * (stop - begin)):
            is_left = at < stop - begin
            document = left[begin + at] if is_left else right[2 * begin + at - stop]
            if seen[document] == begin:
                continue
            seen[document] = begin
            begins[document] = cursor
            block, word = np.uint32(0), _U0
            for position in range(np.uint64(starts[document]), np.uint64(starts[document + 1])):
                shingle = shingles[position]
                slot = shingle & mask
                while table[slot] != _U0 and table[slot] != shingle:
                    slot = (slot + _U1) & mask
                if table[slot] == _U0:
                    if not is_left:
                        continue
                    table[slot] = shingle
                    numbers[slot] = num_numbers
                    num_numbers += np.uint32(1)
                number = numbers[slot]
                if number >> _BLOCK != block:
                    if word != _U0:
                        blocks[cursor] = block
                        words[cursor] = word
                        cursor += 1
                    block, word = number >> _BLOCK, _U0
                word |= _U1 << np.uint64(number & _WITHIN)
            if word != _U0:
                blocks[cursor] = block
                words[cursor] = word
                cursor += 1
            ends[document] = cursor
        last = -1
        for pair in range(begin, stop):
            one, two = left[pair], right[pair]
            if one != last:
                if last >= 0:
                    for entry in range(begins[last], ends[last]):
                        held[blocks[entry]] = _U0
                for entry in range(begins[one], ends[one]):
                    held[blocks[entry]] |= words[entry]
                last = one
            shared = _U0
            for entry in range(np.uint64(begins[two]), np.uint64(ends[two])):
                bits = held[blocks[entry]] & words[entry]
                # The usual count of bits; LLVM makes one instruction of it.
                bits -= (bits >> _U1) & _BITS_1
                bits = (bits & _BITS_2) + ((bits >> _U2) & _BITS_2)
                bits = (bits + (bits >> _U4)) & _BITS_4
                shared += (bits * _BYTES) >> _U56
            union = starts[one + 1] - starts[one] + starts[two + 1] - starts[two] - np.int64(shared)
            out[pair] = np.int64(shared) / union
        for entry in range(begins[last], ends[last]):
            held[blocks[entry]] = _U0
        begin = stop


def components(num_nodes: Any, left: Any, right: Any, labels: Any) -> None:
    """Fills each node's smallest reachable node: union by smaller root, with path halving."""
    for node in range(num_nodes):
        labels[node] = node
    for pair in range(left.shape[0]):
        a, b = left[pair], right[pair]
        while labels[a] != a:
            labels[a] = labels[labels[a]]
            a = labels[a]
        while labels[b] != b:
            labels[b] = labels[labels[b]]
            b = labels[b]
        if a < b:
            labels[b] = a
        elif b < a:
            labels[a] = b
    # Roots are smaller than the nodes under them, so one ascending pass flattens every path.
    for node in range(num_nodes):
        labels[node] = labels[labels[node]]


def survivors(  # noqa: PLR0917 - numba takes no keyword arguments
    starts: Any, earlier: Any, scores: Any, excluded: Any, kept_by: Any, kept_score: Any
) -> None:
    """Walks nodes in order; a node falls when a node that stays before it is its neighbour.

    `earlier[starts[n]:starts[n + 1]]` are the neighbours of n with smaller numbers, ascending.
    `kept_by` becomes the most similar of them that stays (the first among equals), or -1.
    Excluded nodes neither stay for others nor fall.
    """
    for node in range(starts.shape[0] - 1):
        kept_by[node] = -1
        kept_score[node] = 0.0
        if excluded[node]:
            continue
        for edge in range(starts[node], starts[node + 1]):
            other = earlier[edge]
            stays = kept_by[other] < 0 and not excluded[other]
            if stays and (kept_by[node] < 0 or scores[edge] > kept_score[node]):
                kept_by[node] = other
                kept_score[node] = scores[edge]
