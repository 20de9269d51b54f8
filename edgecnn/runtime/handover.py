"""One place between two threads: the newest wins, or each waits for the other."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """Holds one item at most.

    `lossless` makes the giver wait until the place is free; else what nobody has taken yet is
    replaced by what is newer.
    """

    def __init__(self, *, lossless: bool = False) -> None:
        self._lossless = lossless
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> Item | None:
        """Give an item; returns one that nobody will see: the replaced one, or this if all is over.

        Waits where it is lossless.
        """
        with self._changed:
            while self._lossless and self._item is not None and not self._ended:
                self._changed.wait()
            if self._ended:
                return item
            replaced, self._item = self._item, item
            self._changed.notify_all()
            return replaced

    def take(self, timeout_s: float | None = None) -> Item | None:
        """The item, waited for; None when the time is over or nothing will come any more.

        Raises the error that `end` was given, after the last item.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._ended, timeout_s)
            item, self._item = self._item, None
            self._changed.notify_all()
            if item is None and self._error is not None:
                raise self._error
            return item

    @property
    def over(self) -> bool:
        """Whether nothing will come any more and nothing lies here."""
        with self._changed:
            return self._ended and self._item is None

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will be given, because of `error` or because it is all."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()

    def clear(self) -> None:
        """End, and forget what nobody has taken."""
        with self._changed:
            self._ended, self._error, self._item = True, None, None
            self._changed.notify_all()
