"""Quality: more of everything is better, and between 0 and 100."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.features.print_rule import RidgeEvidence
from ifvit.features.quality import QUALITY_MODEL, print_quality

GOOD = RidgeEvidence(0.75, 0.95, 0.85, 0.3, 1.0, 220.0, 9.0)


def test_it_lies_between_0_and_100_and_good_prints_are_good():
    assert print_quality(GOOD, 250) > 90
    poor = print_quality(GOOD._replace(coherence=0.25, share=0.4), 40)
    assert 0 <= poor < 10 and 0 <= print_quality(GOOD, 0) < print_quality(GOOD, 400) <= 100


@pytest.mark.parametrize("term", ["coherence", "share"])
def test_more_of_a_term_is_never_worse(term):
    found = [
        print_quality(GOOD._replace(**{term: value}), 200) for value in np.linspace(0.2, 0.95, 12)
    ]
    assert found == sorted(found) and found[0] < found[-1]
    assert min(QUALITY_MODEL[1:]) >= 0
