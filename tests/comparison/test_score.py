import numpy as np
import pytest

from ifvit.comparison.score import FUSION, NOT_ALIGNED, Fusion, pair_score
from ifvit.registration.evidence import Evidence, block_share


def test_the_score_of_a_pair_by_hand() -> None:
    fusion, evidence = Fusion(0.5, 0.1, 0.3), Evidence(0.8, 0.9, 0.4)
    assert pair_score(0.5, evidence, fusion) == pytest.approx(0.1 * 0.5 + 0.4 + 0.09 + 0.12)
    assert pair_score(0.5, None, fusion) == 0.5
    with pytest.raises(ValueError, match=r"fusion_ridge \+ fusion_block \+ fusion_match"):
        pair_score(0.5, evidence, Fusion(0.8, 0.1, 0.3))
    with pytest.raises(ValueError, match="fusion_block must lie"):
        pair_score(0.5, evidence, Fusion(0.3, -0.1, 0.3))


@pytest.mark.parametrize("part", range(3))
def test_one_part_may_have_the_whole_say(part: int) -> None:
    evidence = Evidence(0.8, 0.9, 0.4)
    whole = Fusion(*(float(part == other) for other in range(3)))
    assert pair_score(0.5, evidence, whole) == evidence[part]


def test_the_weights_in_use_are_shares_and_a_score_stays_in_its_range() -> None:
    assert all(0 < weight < 1 for weight in FUSION) and sum(FUSION) < 1
    assert pair_score(1.0, Evidence(1.0, 1.0, 1.0), FUSION) == pytest.approx(1.0)
    # Prints that cannot be aligned come last, with two maps that are each other's opposite.
    assert NOT_ALIGNED == -1.0 <= pair_score(-1.0, Evidence(-1.0, 0.0, 0.0), FUSION)


def test_blocks_that_say_nothing_have_no_say() -> None:
    blocks = np.array([[0.0, 0.0, 0.0], [0.6, 0.4, 0.9], [0.0, 0.1, 0.0]])
    assert block_share(blocks) == pytest.approx(2 / 4)
    assert block_share(np.zeros((3, 3))) == 0.0
