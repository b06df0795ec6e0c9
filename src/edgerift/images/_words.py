"""The split of a file or a folder, by its name."""

from __future__ import annotations

import re

WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev", "eval", "evaluation"),
}
HELD_OUT = ("test", "validation")
"""The splits usable for testing; the first existing one is taken."""

_FILLERS = ("set", "data", "dataset", "images", "image", "img", "imgs", "split", "samples")
_SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
_SPLIT_OF |= {word + filler: split for word, split in _SPLIT_OF.items() for filler in _FILLERS}
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def split_words(name: str) -> dict[str, str]:
    """Find the splits that are named in a name, in any case and usual spelling, each with the word that names it.

    >>> split_words("Train-00000-of-00002"), split_words("cifarTesting"), split_words("strain")
    ({'train': 'train'}, {'test': 'testing'}, {})
    """
    return {_SPLIT_OF[token]: token for token in _tokens(name) if token in _SPLIT_OF}


def split_name(name: str) -> str | None:
    """Return which split a whole name means, such as `Training set`, or none where it says more than that.

    >>> split_name("Training set"), split_name("train_station"), split_name("VAL2017")
    ('train', None, 'validation')
    """
    tokens = [token for token in _tokens(name) if token not in _FILLERS]
    return _SPLIT_OF.get(tokens[0]) if len(tokens) == 1 else None


def _tokens(name: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(name)]
