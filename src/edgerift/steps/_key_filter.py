"""A filter of keys of 16 bytes, which says of most keys that are not there that they are not."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, final

import numpy as np

#: Bits for each key at least; four of them are set for each, so that 1 new key in 400 is taken for a known one.
_BITS: Final = 16
_SMALLEST: Final = 4096
_WORDS: Final = struct.Struct("<4I").unpack


@final
class KeyFilter:
    """A Bloom filter over keys that are hashes already: four words of a key are its four places."""

    def __init__(self, capacity: int = 0) -> None:
        """Begin empty, with room for so many keys: two to four bytes for each."""
        self.capacity = max(_SMALLEST, 1 << max(0, capacity - 1).bit_length())
        self._mask = self.capacity * _BITS - 1
        self._bits = bytearray(self.capacity * _BITS // 8)

    def add(self, keys: Sequence[bytes]) -> None:
        """Add keys."""
        places = np.frombuffer(b"".join(keys), "<u4") & np.uint32(self._mask)
        bits = np.left_shift(np.uint8(1), (places & np.uint32(7)).astype(np.uint8))
        np.bitwise_or.at(np.frombuffer(self._bits, np.uint8), places >> np.uint32(3), bits)

    def possible(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return those keys that may be there: all that are, and very few others."""
        bits, mask = self._bits, self._mask
        found = []
        for key in keys:
            for word in _WORDS(key):
                place = word & mask
                if not bits[place >> 3] >> (place & 7) & 1:
                    break
            else:
                found.append(key)
        return found
