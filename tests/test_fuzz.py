"""Every reader on some hundred damaged files; ``make fuzz`` does it on a hundred thousand."""

from __future__ import annotations

import pytest
from fuzz_readers import fuzz


@pytest.mark.parametrize("seed", [0, 1])
def test_damaged_files_are_refused_by_name(seed):
    counts, wrong = fuzz(1700, seed)
    assert wrong == []
    assert all(found["refused"] for found in counts.values())
