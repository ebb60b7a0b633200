"""Work on many threads: results in order, the first error, and one limit of BLAS for all."""

from __future__ import annotations

import threading

import pytest
from threadpoolctl import ThreadpoolController

from ifvit.runtime.blas import by_one_thread
from ifvit.runtime.threads import in_parallel


def test_results_are_in_order_and_the_first_error_is_raised() -> None:
    assert in_parallel(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    assert in_parallel(str, []) == []

    def odd(x: int) -> int:
        if x % 2:
            raise ValueError(f"{x} is odd")
        return x

    with pytest.raises(ValueError, match="1 is odd"):
        in_parallel(odd, range(10))


def threads_of_blas() -> list[int]:
    return [
        one["num_threads"] for one in ThreadpoolController().info() if one["user_api"] == "blas"
    ]


def test_the_limit_holds_until_the_last_thread_leaves_and_no_longer() -> None:
    """Threads that come and go in another order than they came: the process's own stays."""
    inside, leave = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]
    seen: list[list[int]] = []

    @by_one_thread
    def work(number: int) -> None:
        inside[number].set()
        leave[number].wait(30)
        seen.append(threads_of_blas())

    before = threads_of_blas()
    if max(before, default=1) == 1:
        pytest.skip("BLAS has one thread here anyway")
    workers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for number, worker in enumerate(workers):
        worker.start()
        assert inside[number].wait(30)
    for number, worker in enumerate(workers):  # the first that came leaves first
        leave[number].set()
        worker.join(30)
    assert seen == [[1] * len(before)] * 2
    assert threads_of_blas() == before
