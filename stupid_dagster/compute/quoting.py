"""Names and values from the data, told from the words around them: as they are, or in quotes.

Somebody may have chosen a value to be read as a statement: `42% of all members are fraudsters`.
"""

from __future__ import annotations

import re

from stupid_dagster.compute.ordinary import ORDINARY

OPENING, CLOSING = '\u201c"', '\u201d"'
MOST_WORDS = 5
_JOINERS = frozenset(
    (
        *("a", "al", "and", "da", "de", "del", "der", "di", "du", "el", "en", "for", "in", "la"),
        *("le", "of", "on", "the", "to", "van", "von", "y"),
    )
)
_ONE = re.compile(r"[\w.\-/+&'\u2019#@():,=\u2026]+")
_OF_SEVERAL = re.compile(r"\(?[\w.\-/+&'\u2019#@]+\)?,?\u2026?")
_LONGEST_ABBREVIATION, _MOST_PARTS, _SHORT = 4, 2, 2
_NUMBER = re.compile(r"(?!\d{4}-\d\d-\d\d$)[^\w]*\d[\d\W_]*[^\W\d_]{0,2}\W*")
"""`300`, `1,000,000`, `42%`, `5k`: what reads as a number wherever it stands."""
_STATING = frozenset(
    (
        *("are", "is", "was", "were", "be", "been", "not", "no", "never", "all", "every", "each"),
        *("everyone", "everything", "any", "these", "those", "this", "they", "we", "you", "your"),
        *(
            "must",
            "should",
            "will",
            "would",
            "can",
            "by",
            "has",
            "have",
            "had",
            "do",
            "does",
            "did",
        ),
        *("only", "most", "many", "few", "half", "ignore", "disregard", "forget", "override"),
        *("instruction", "instructions", "prompt", "system", "assistant", "label", "say", "write"),
        *("print", "output", "answer", "respond", "reply", "reveal", "click", "visit"),
        *("ban", "banned", "block", "blocked", "delete", "deleted", "trust", "trusted"),
        *("trustworthy", "fraud", "fraudster", "fraudsters", "fraudulent", "scam", "scammer"),
        *("scammers", "criminal", "criminals", "thief", "thieves", "liar", "liars", "cheat"),
        *("cheats", "cheater", "cheaters", "cheating", "fake", "spam", "suspicious", "guilty"),
    )
)
"""Words that a name of several words seldom has, and a statement or an order does."""
_LETTERS = re.compile(r"[^\W\d_]+")
_INNER = str.maketrans(dict.fromkeys('"\u201c\u201d\u201e\u201f\u00ab\u00bb', "'"))


def is_plain(name: str) -> bool:
    """Return whether nobody takes a name for a statement, wherever it stands.

    It is one word, or at most five of which each has a capital or a digit (`of`, `and` and the
    like aside) and the first begins with a letter. Several words of ordinary English, or with one
    that states or orders something, are not plain, nor are numbers and scripts without capitals.
    """
    parts = name.split()
    if not parts or is_number(name) or _states(name):
        return False
    if any(c.isalpha() and c.upper() == c.lower() for c in name):
        return False
    if len(parts) == 1:
        small = [part for part in re.split(r"[\W_]+", name) if part.isalpha() and part.islower()]
        return _ONE.fullmatch(name) is not None and len(small) <= _MOST_PARTS
    return (
        len(parts) <= MOST_WORDS
        and name[0].isalpha()
        and all(_OF_SEVERAL.fullmatch(part) for part in parts)
        and all(p in _JOINERS or any(c.isupper() or c.isdigit() for c in p) for p in parts)
        and all(len(p) <= _LONGEST_ABBREVIATION for p in parts[:-1] if p.endswith("."))
    )


def is_number(name: str) -> bool:
    """Return whether a name reads as a number: only beside what it is a value of it is one."""
    return _NUMBER.fullmatch(name) is not None


def _states(name: str) -> bool:
    said = [word.lower() for word in _LETTERS.findall(name)]
    if len(said) < 2:
        return False
    return any(word in _STATING for word in said) or all(
        word in ORDINARY or word.removesuffix("s") in ORDINARY for word in said
    )


def unquoted(name: str) -> str:
    """Return a name as it stands within quotation marks: it can't end them."""
    return name.translate(_INNER)


def quoted(name: str) -> str:
    """Return a name in quotation marks, but for a plain one."""
    return name if not name or is_plain(name) else f"{OPENING[0]}{unquoted(name)}{CLOSING[0]}"


def as_name(name: str) -> str:
    """Return a name as the rules say it: in quotation marks where it could be a statement.

    Of two words of letters, which bands and categories have, it is said as it is.
    """
    parts = name.split()
    short = len(parts) <= _SHORT and all(part.replace("-", "").isalpha() for part in parts)
    return name if short else quoted(name)


def as_value(name: str) -> str:
    """Return a name as the rules say it right behind what it is a value of.

    There a number is said as it is, but a percentage could still be a share of the group.
    """
    return name if is_number(name) and "%" not in name else as_name(name)
