"""The loops of PrefixSpan, compiled: projections of sequences, grown and counted.

Numba, because neither Polars nor SciPy can look up where a symbol comes next. As in Ayres et al.,
"Sequential Pattern Mining Using a Bitmap Representation" (SPAM), KDD 2002, each symbol has a bit
per event. A sequence begins with a new word, of 63 such bits and one that says whether the symbol
comes in a later word of the sequence. A projection has an entry for each sequence that a pattern
is in: the word in which the pattern first ends, and a mask of the bits after that. Memory: 8 bytes
per word and symbol, and 12 per sequence and symbol of the longest pattern.

Import this within functions: what loads the stages needn't load Numba.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

MAX_REPEATS = 2
"""A pattern names a symbol at most so often; twice means twice or more."""
_FREE, _NOT_COUNTED, _NEVER = 0, 1, 2
_PER_WORD, _CHUNK = 63, 512
_ONE, _ALL = np.uint64(1), ~np.uint64(0)
_LATER = _ONE << np.uint64(_PER_WORD)


@njit(cache=True)
def cut_runs(starts, symbols, renamed):
    """Return which events stay: not those renamed to -1, and of a run of one symbol only two.

    Also returns the starts of the sequences that are left.
    """
    kept = np.zeros(len(symbols), dtype=np.bool_)
    new_starts = np.zeros_like(starts)
    count = 0
    for owner in range(len(starts) - 1):
        latest, run = -1, 0
        for place in range(starts[owner], starts[owner + 1]):
            symbol = renamed[symbols[place]]
            if symbol < 0:
                continue
            run = run + 1 if symbol == latest else 1
            latest = symbol
            if run <= MAX_REPEATS:
                kept[place] = True
                count += 1
        new_starts[owner + 1] = count
    return kept, new_starts


@njit(cache=True)
def count_owners(starts, symbols, size):
    """Return how many sequences have each symbol, int64 [size]."""
    counts = np.zeros(size, dtype=np.int64)
    latest = np.full(size, -1, dtype=np.int64)
    for owner in range(len(starts) - 1):
        for place in range(starts[owner], starts[owner + 1]):
            if latest[symbols[place]] != owner:
                latest[symbols[place]] = owner
                counts[symbols[place]] += 1
    return counts


@njit(cache=True)
def search(
    starts,
    symbols,
    parts,
    other_parts,
    other_lengths,
    other_without,
    other_has_without,
    own,
    core,
    minimum,
    most,
    max_length,
):
    """Return patterns (int32 [found, max_length], -1 at the end) and supports; unordered.

    The k-th best and all of equal support are among them. A projection only holds sequences in
    which the rest of the rule's parts can still follow, so its size bounds the support of all
    patterns of the category that go on from it.
    """
    size = parts.shape[1]
    first_words = _first_words(starts)
    events = _bits(starts, symbols, first_words, size)
    in_time = _in_time(starts, symbols, first_words, parts)
    words, masks = _root(first_words, max_length)
    filled = np.zeros(max_length, dtype=np.int64)
    filled[0] = len(starts) - 1
    had = np.zeros(max_length + 1, dtype=np.int64)
    # Per depth: the symbols that may come next, most frequent first.
    order = np.empty((max_length, size), dtype=np.int64)
    counts = np.zeros((max_length, size), dtype=np.int64)
    waiting = np.zeros(max_length, dtype=np.int64)
    done = np.zeros(max_length, dtype=np.int64)
    pattern = np.zeros(max_length, dtype=np.int64)
    used = np.zeros(size, dtype=np.int64)
    found = np.full((1024, max_length), -1, dtype=np.int32)
    supports = np.zeros(1024, dtype=np.int64)
    n_found = 0
    best = [np.int64(0) for _ in range(0)]

    depth = 0
    candidates = np.arange(size)
    opened = True
    while depth >= 0:
        threshold = best[0] if len(best) == most else minimum
        if opened:
            totals = _count_next(
                events, words[depth], masks[depth], filled[depth], candidates, threshold
            )
            by_count = np.argsort(-totals, kind="mergesort")
            for number in range(len(candidates)):
                order[depth, number] = candidates[by_count[number]]
                counts[depth, number] = totals[by_count[number]]
            waiting[depth] = np.sum(totals >= threshold)
            done[depth] = 0
            opened = False
        if done[depth] == waiting[depth] or counts[depth, done[depth]] < threshold:
            depth -= 1
            if depth >= 0:
                used[pattern[depth]] -= 1
            continue
        symbol, support = order[depth, done[depth]], counts[depth, done[depth]]
        done[depth] += 1
        pattern[depth] = symbol
        length = depth + 1
        standing = _standing(
            pattern[:length], other_parts, other_lengths, other_without, other_has_without
        )
        is_core = _is_core(pattern[:length], own, len(parts))
        if core and not is_core:
            continue
        if standing == _NEVER:
            continue
        had[length] = had[depth]
        if had[depth] < len(parts) and parts[had[depth], symbol]:
            had[length] += 1
        # With all parts had the count is the support: nothing is left that could be missing.
        if had[length] == len(parts) and length > 1 and standing == _FREE and core == is_core:
            if n_found == len(found):
                found = np.concatenate((found, np.full_like(found, -1)))
                supports = np.concatenate((supports, np.zeros_like(supports)))
            found[n_found, :length] = pattern[:length]
            supports[n_found] = support
            n_found += 1
            if len(best) < most:
                heapq.heappush(best, support)
            elif support > best[0]:
                heapq.heapreplace(best, support)
        if length == max_length:
            continue
        filled[length] = _project(
            events,
            (words[depth], masks[depth]),
            filled[depth],
            symbol,
            in_time[had[length]],
            (words[length], masks[length]),
        )
        threshold = best[0] if len(best) == most else minimum
        if filled[length] >= threshold:
            # What is too rare here is too rare after one more symbol.
            used[symbol] += 1
            candidates = order[depth, : waiting[depth]]
            candidates = candidates[used[candidates] < MAX_REPEATS]
            depth = length
            opened = True
    threshold = best[0] if len(best) == most else minimum
    kept = supports[:n_found] >= threshold
    return found[:n_found][kept], supports[:n_found][kept]


@njit(cache=True)
def measure(starts, symbols, times, identities, size, patterns, timed, kept):
    """Return, for patterns (int32 [k, longest], -1 at the end) with prefixes side by side:

    how many sequences have each; how many have all of it but its last symbol; the median time
    from its first symbol to its last, where it first ends (float64, NaN unless `timed`); the
    three least identities of sequences that have it (int64 [k, 3], -1 for none). With room in
    `kept` (int64) the times go there, pattern by pattern, and no median is told.
    """
    (count, longest), n_kept = patterns.shape, 0
    first_words = _first_words(starts)
    events = _bits(starts, symbols, first_words, size)
    bases = _bases(starts, first_words)
    always = np.full(first_words[-1], _ALL, dtype=np.uint64)
    owner_of = np.empty(first_words[-1], dtype=np.int32)
    for owner in range(len(starts) - 1):
        owner_of[first_words[owner] : first_words[owner + 1]] = owner
    words, masks = _root(first_words, longest + 1)
    filled = np.zeros(longest + 1, dtype=np.int64)
    filled[0] = len(starts) - 1
    began = np.zeros(len(starts) - 1, dtype=np.int64)
    whole = np.zeros(count, dtype=np.int64)
    prefix = np.zeros(count, dtype=np.int64)
    medians = np.full(count, np.nan)
    examples = np.full((count, 3), -1, dtype=np.int64)
    for row in range(count):
        length = np.sum(patterns[row] >= 0)
        shared = 0
        if row > 0:
            while shared < length and patterns[row, shared] == patterns[row - 1, shared]:
                shared += 1
        for depth in range(shared, length):
            filled[depth + 1] = _project(
                events,
                (words[depth], masks[depth]),
                filled[depth],
                patterns[row, depth],
                always,
                (words[depth + 1], masks[depth + 1]),
            )
            if depth == 0 and timed:
                for entry in range(filled[1]):
                    word = words[1, entry]
                    began[owner_of[word]] = times[bases[word] + _number(masks[1, entry])]
        n_entries = filled[length]
        whole[row] = n_entries
        prefix[row] = filled[length - 1]
        for entry in range(n_entries):
            _keep_least(examples[row], identities[owner_of[words[length, entry]]])
        if timed and n_entries:
            spans = np.empty(n_entries, dtype=np.int64)
            for entry in range(n_entries):
                word = words[length, entry]
                place = bases[word] + _number(masks[length, entry])
                spans[entry] = times[place] - began[owner_of[word]]
            if len(kept):
                kept[n_kept : n_kept + n_entries] = spans
                n_kept += n_entries
            else:
                medians[row] = np.median(spans)
    return whole, prefix, medians, examples


@njit(cache=True)
def _first_words(starts):
    """Return the first word of each sequence, and the number of words; each has at least one."""
    first_words = np.zeros(len(starts), dtype=np.int64)
    for owner in range(len(starts) - 1):
        length = starts[owner + 1] - starts[owner]
        first_words[owner + 1] = first_words[owner] + max(1, -(-length // _PER_WORD))
    return first_words


@njit(cache=True)
def _bits(starts, symbols, first_words, size):
    """Return where each symbol is, and whether in later words: uint64 [symbols, words]."""
    events = np.zeros((size, first_words[-1]), dtype=np.uint64)
    for owner in range(len(starts) - 1):
        for number in range(starts[owner + 1] - starts[owner]):
            word = first_words[owner] + number // _PER_WORD
            bit = _ONE << np.uint64(number % _PER_WORD)
            events[symbols[starts[owner] + number], word] |= bit
    for symbol in range(size):
        for owner in range(len(starts) - 1):
            for word in range(first_words[owner + 1] - 2, first_words[owner] - 1, -1):
                if events[symbol, word + 1]:
                    events[symbol, word] |= _LATER
    return events


@njit(cache=True)
def _bases(starts, first_words):
    """Return the event of each word's first bit, int64."""
    bases = np.empty(first_words[-1], dtype=np.int64)
    for owner in range(len(starts) - 1):
        for word in range(first_words[owner], first_words[owner + 1]):
            bases[word] = starts[owner] + (word - first_words[owner]) * _PER_WORD
    return bases


@njit(cache=True)
def _root(first_words, levels):
    """Return room for projections (words, masks), and in the first level the empty pattern's."""
    words = np.empty((levels, len(first_words) - 1), dtype=np.int32)
    masks = np.empty((levels, len(first_words) - 1), dtype=np.uint64)
    words[0], masks[0] = first_words[:-1], _ALL
    return words, masks


@njit(cache=True)
def _in_time(starts, symbols, first_words, parts):
    """Return, per number of parts had, after which events the others can follow: bits, by word."""
    in_time = np.zeros((len(parts) + 1, first_words[-1]), dtype=np.uint64)
    in_time[len(parts)] = _ALL
    for owner in range(len(starts) - 1):
        missing = len(parts) - 1
        for number in range(starts[owner + 1] - starts[owner] - 1, -1, -1):
            if missing < 0:
                break
            if parts[missing, symbols[starts[owner] + number]]:
                last = first_words[owner] + number // _PER_WORD
                in_time[missing, first_words[owner] : last] = _ALL
                in_time[missing, last] = (_ONE << np.uint64(number % _PER_WORD)) - _ONE
                missing -= 1
    return in_time


@njit(cache=True)
def _project(events, projection, n_entries, symbol, in_time, into):
    """Fill in where `symbol` next follows each entry, if in time; return how often."""
    words, masks = projection
    next_words, next_masks = into
    here = events[symbol]
    count = 0
    for entry in range(n_entries):
        word = np.uint32(words[entry])  # unsigned: no test for places from the end
        bits = here[word] & masks[entry]
        if bits == _LATER:
            word += np.uint32(1)
            while here[word] & ~_LATER == 0:
                word += np.uint32(1)
            bits = here[word]
        # Ones up to the lowest bit. Without one, the entry is overwritten.
        until = bits ^ (bits - _ONE)
        next_words[count] = word
        next_masks[count] = ~until
        count += (until & bits & in_time[word]) != 0
    return count


@njit(cache=True)
def _count_next(events, words, masks, n_entries, candidates, threshold):
    """Return how many entries each candidate comes after; 0 if fewer than the threshold."""
    totals = np.zeros(len(candidates), dtype=np.int64)
    for number in range(len(candidates)):
        here = events[candidates[number]]
        total, rest = 0, n_entries
        # From the end, where the shortest sequences are: too rare a symbol soon misses too many.
        while rest > 0 and total + rest >= threshold:
            start = max(0, rest - _CHUNK)
            for entry in range(start, rest):
                total += (here[np.uint32(words[entry])] & masks[entry]) != 0
            rest = start
        totals[number] = total if rest == 0 and total >= threshold else 0
    return totals


@njit(cache=True)
def _keep_least(least, identity):
    """Put a number in its place among the least, in order; -1 stands for none."""
    for place in range(len(least) - 1, -1, -1):
        if least[place] != -1 and least[place] <= identity:
            break
        if place + 1 < len(least):
            least[place + 1] = least[place]
        least[place] = identity


@njit(cache=True)
def _number(mask):
    """Return the number in its word of the event that `mask` has the events after of."""
    # The bits up to the event are one: their number, counted in parallel (Hacker's Delight, 5-1).
    bits = ~mask
    bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    bits = (bits & pairs) + ((bits >> np.uint64(2)) & pairs)
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56)) - 1


@njit(cache=True)
def _standing(pattern, parts, lengths, without, has_without):
    """Return whether a pattern, and all that goes on from it, is left to others."""
    standing = _FREE
    for rule in range(len(lengths)):
        had = 0
        clean = True
        for symbol in pattern:
            if without[rule, symbol]:
                clean = False
                break
            if had < lengths[rule] and parts[rule, had, symbol]:
                had += 1
        if clean and had == lengths[rule]:
            if not has_without[rule]:
                return _NEVER
            standing = _NOT_COUNTED
    return standing


@njit(cache=True)
def _is_core(pattern, own, most):
    """Return whether all symbols are among `own`, and at most so many are different."""
    different = 0
    for place in range(len(pattern)):
        if not own[pattern[place]]:
            return False
        is_new = True
        for before in range(place):
            if pattern[before] == pattern[place]:
                is_new = False
        different += is_new
    return different <= most
