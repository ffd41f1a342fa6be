"""The ids of texts that were tokenised, kept so that a task's rows are tokenised once for all adapters."""

import hashlib
from array import array
from collections.abc import Callable

KEPT = 50_000_000  # ids, of four bytes each


class KeptIds:
    """Ids by the hash of their text: until `forget`, or until others need the room. No text is kept."""

    def __init__(self, most: int = KEPT) -> None:
        self._most, self._held = most, 0
        self._ids: dict[tuple[bytes, object], array[int]] = {}

    def of(self, text: str, how: object, encode: Callable[[], list[int]]) -> list[int]:
        """Return a text's ids, encoded in the way that `how` names, by `encode` the first time."""
        key = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), how)
        if key not in self._ids:
            if self._held > self._most:
                self.forget()
            self._ids[key] = array("i", encode())
            self._held += len(self._ids[key])
        return self._ids[key].tolist()

    def __len__(self) -> int:
        """Return how many texts' ids are kept."""
        return len(self._ids)

    def forget(self) -> None:
        """Drop them all."""
        self._ids.clear()
        self._held = 0
