import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.comparison.score import Fusion, pair_score, scores
from ifvit.models.embedding import MatcherOutput
from ifvit.registration.evidence import Evidence, block_share

E1, E2 = jnp.array([[1.0, 0.0]]), jnp.array([[0.6, 0.8]])
OUTPUT = MatcherOutput(E1, E2, E1, -E1, jnp.zeros((1, 4, 4)))


def test_scores_by_hand() -> None:
    found = scores(OUTPUT, 0.6)
    np.testing.assert_allclose(found.global_score, [0.6], rtol=1e-6)
    np.testing.assert_allclose(found.local_score, [-1.0], rtol=1e-6)
    np.testing.assert_allclose(found.fused, [0.6 * 0.6 - 0.4], rtol=1e-5)
    assert float(scores(OUTPUT, 1.0).fused[0]) == pytest.approx(0.6)


def test_weight_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="global_share"):
        scores(OUTPUT, 1.5)


def test_the_score_of_a_pair_by_hand() -> None:
    fusion, evidence = Fusion(0.5, 0.1, 0.3, 0.6), Evidence(0.8, 0.9, 0.4)
    assert pair_score(0.5, evidence, fusion) == pytest.approx(0.1 * 0.5 + 0.4 + 0.09 + 0.12)
    assert pair_score(0.5, None, fusion) == 0.5
    with pytest.raises(ValueError, match=r"fusion_ridge \+ fusion_block \+ fusion_match"):
        pair_score(0.5, evidence, Fusion(0.8, 0.1, 0.3, 0.6))
    with pytest.raises(ValueError, match="fusion_block must lie"):
        pair_score(0.5, evidence, Fusion(0.3, -0.1, 0.3, 0.6))


def test_blocks_that_say_nothing_have_no_say() -> None:
    blocks = np.array([[0.0, 0.0, 0.0], [0.6, 0.4, 0.9], [0.0, 0.1, 0.0]])
    assert block_share(blocks) == pytest.approx(2 / 4)
    assert block_share(np.zeros((3, 3))) == 0.0
