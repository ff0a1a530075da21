"""How a person or thing may be named: case, accents, initials, nicknames, parts of a name, typing errors. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

_NICKNAMES = (
    "alex alexander alexandra alexandre alejandro aleksander|andy andrew andreas|ann anna anne anna|barb barbara|"
    "ben benjamin|bern bernard|bert albert robert|beth elizabeth|bill william|billy william|bob robert|bobby robert|"
    "cathy catherine|charlie charles|chris christopher christian christine christina|chuck charles|cindy cynthia|"
    "dan daniel|danny daniel|dave david|deb deborah debra|dick richard|don donald|doug douglas|ed edward edwin|"
    "ellie eleanor|frank francis|fred frederick alfred|gabe gabriel|gene eugene|gerry gerald|greg gregory|"
    "hank henry|hans johannes johann|harry harold henry|jack john|jake jacob|jeff jeffrey geoffrey|jen jennifer|"
    "jenny jennifer|jerry gerald jerome jeremy|jim james|jimmy james|joe joseph|joey joseph|johnny john|jon jonathan|"
    "josh joshua|kate katherine catherine|kathy katherine kathleen|ken kenneth|kim kimberly|larry lawrence laurence|"
    "len leonard|leo leonard leonardo|liz elizabeth|lou louis|maggie margaret|mandy amanda|manny manuel|marc marcus|"
    "matt matthew matthias|max maximilian maxwell|meg margaret|mel melanie|mike michael|mick michael|nat nathaniel|"
    "nate nathaniel nathan|ned edward|nick nicholas nicolas nikolas|pam pamela|pat patrick patricia|peg margaret|"
    "pete peter|phil philip phillip philippe|rafa rafael|ray raymond|reg reginald|rich richard|rick richard|"
    "rob robert|robbie robert|ron ronald|russ russell|sam samuel samantha|sandy sandra alexander|sasha alexander|"
    "seb sebastian|stan stanley|steph stephanie|steve steven stephen|sue susan|ted theodore edward|terry terence|"
    "theo theodore|tim timothy|toby tobias|tom thomas|tommy thomas|tony anthony|vic victor|vicky victoria|"
    "vince vincent|walt walter|wes wesley|zach zachary"
)
NICKNAMES = {line.split()[0]: frozenset(line.split()[1:]) for line in _NICKNAMES.split("|")}
"""Short form → the given names that it is of. From the English hypocoristics that Wikipedia lists."""


def same_given(said: str, given: str) -> bool:
    """Whether `said` can stand for a given name: itself, its initial, or a nickname of it."""
    return (
        said == given
        or (len(said) == 1 and given.startswith(said))
        or (len(given) == 1 and said.startswith(given))
        or given in NICKNAMES.get(said, ())
        or said in NICKNAMES.get(given, ())
    )


def is_whole_name(said: Sequence[str], name: Sequence[str]) -> bool:
    """Whether `said` is a full name for `name`: in any order, squeezed together, or without what is in the middle."""
    if sorted(said) == sorted(name) or "".join(said) == "".join(name):
        return True
    if len(said) < 2 or len(name) < 2 or said[-1] != name[-1]:
        return False
    between = name[1:-1]
    return same_given(said[0], name[0]) and all(any(same_given(one, two) for two in between) for one in said[1:-1])


def is_part_of_name(said: Sequence[str], name: Sequence[str]) -> bool:
    """Whether `said` is the given or family name alone ("Ana", "van Rossum", "Bob" for Robert), or all initials."""
    if len(name) < 2 or not said:
        return False
    if len(said) > 1:
        return tuple(said) in (tuple(name[-len(said) :]), tuple(name[: len(said)]))
    word = said[0]
    if len(word) < 2:
        return False
    return word in (name[0], name[-1]) or name[0] in NICKNAMES.get(word, ()) or word == "".join(w[0] for w in name)


def is_misspelt_name(said: Sequence[str], name: Sequence[str]) -> bool:
    """Whether `said` is a full name with typing errors in one of its words."""
    if len(said) < 2 or len(said) != len(name) or list(said) == list(name):
        return False
    wrong = [(one, two) for one, two in zip(said, name, strict=True) if one != two and not same_given(one, two)]
    return len(wrong) == 1 and is_misspelt(*wrong[0])


@lru_cache(maxsize=16_384)
def is_misspelt(said: str, word: str) -> bool:
    """Whether `said` is `word` with one typing error, or two in a long word; an ending more or less is none."""
    longest = max(len(said), len(word))
    if longest < 4 or said == word or said[0] != word[0] or not (said.isalpha() and word.isalpha()):
        return False
    if longest < 12 and (said.startswith(word) or word.startswith(said)) and len(word) != longest:
        return False
    return edits(said, word, most=1 if longest < 9 else 2) is not None


def edits(first: str, second: str, *, most: int) -> int | None:
    """Return how many insertions, deletions, replacements and swaps part two words (optimal string alignment,
    Damerau 1964), or None if more than `most`."""
    if abs(len(first) - len(second)) > most:
        return None
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, start=1):
        after = [i]
        for j, two in enumerate(second, start=1):
            best = min(row[j] + 1, after[-1] + 1, row[j - 1] + (one != two))
            if i > 1 and j > 1 and one == second[j - 2] and first[i - 2] == two:
                best = min(best, before[j - 2] + 1)
            after.append(best)
        before, row = row, after
    return row[-1] if row[-1] <= most else None


def is_abbreviated(raw: str) -> bool:
    """Whether a word is written like initials: "GvR", "ABC"."""
    return 2 <= len(raw) <= 4 and sum(character.isupper() for character in raw) >= 2


def joined(words: Sequence[str], gaps: Sequence[str]) -> bool:
    """Whether nothing but what stands inside names is between the words; `gaps` are those before each of them."""
    return all(gap.strip(" ") in ("", ".", "-", "'", "’", "‐") and len(gap) <= 3 for _, gap in pairwise(gaps)) and bool(
        words
    )
