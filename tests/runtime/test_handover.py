"""The place between two threads: nothing put there is lost, and nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from edgecnn.runtime.handover import Handover


def test_what_was_put_before_the_end_can_still_be_taken() -> None:
    place = Handover[int]()
    assert place.put(1) is None
    assert place.put(2) == 1
    place.end(ValueError("over"))
    assert place.put(3) == 3
    assert not place.over
    assert place.take() == 2
    assert place.over
    with pytest.raises(ValueError, match="over"):
        place.take()


def test_nothing_is_lost_between_threads_where_that_is_asked() -> None:
    place = Handover[int](lossless=True)

    def give() -> None:
        for number in range(1, 500):
            place.put(number)
        place.end()

    thread = threading.Thread(target=give)
    thread.start()
    assert list(iter(place.take, None)) == list(range(1, 500))
    thread.join()


def test_a_giver_that_waits_is_released_by_the_end() -> None:
    place = Handover[int](lossless=True)
    place.put(1)
    thread = threading.Thread(target=place.put, args=(2,))
    thread.start()
    place.clear()
    thread.join()
    assert place.take() is None
