import numpy as np
import pytest

from ifvit.comparison.score import Fusion, pair_score
from ifvit.registration.evidence import Evidence, block_share


def test_the_score_of_a_pair_by_hand() -> None:
    fusion, evidence = Fusion(0.5, 0.1, 0.3), Evidence(0.8, 0.9, 0.4)
    assert pair_score(0.5, evidence, fusion) == pytest.approx(0.1 * 0.5 + 0.4 + 0.09 + 0.12)
    assert pair_score(0.5, None, fusion) == 0.5
    with pytest.raises(ValueError, match=r"fusion_ridge \+ fusion_block \+ fusion_match"):
        pair_score(0.5, evidence, Fusion(0.8, 0.1, 0.3))
    with pytest.raises(ValueError, match="fusion_block must lie"):
        pair_score(0.5, evidence, Fusion(0.3, -0.1, 0.3))


def test_blocks_that_say_nothing_have_no_say() -> None:
    blocks = np.array([[0.0, 0.0, 0.0], [0.6, 0.4, 0.9], [0.0, 0.1, 0.0]])
    assert block_share(blocks) == pytest.approx(2 / 4)
    assert block_share(np.zeros((3, 3))) == 0.0
