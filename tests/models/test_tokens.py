import math

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.models.tokens import flatten_mask, position_encoding, to_tokens


def test_corrected_encoding_in_closed_form() -> None:
    encoding = position_encoding(5, 7, 8)
    x, y = 7, 3  # column 6, row 2: positions count from 1
    slow = 10000.0 ** (-2 / 4)
    expected = [f(v * s) for s in (1.0, slow) for v in (x, y) for f in (math.sin, math.cos)]
    np.testing.assert_allclose(encoding[2, 6], expected, atol=1e-6)


def test_encoding_of_the_released_weights_in_closed_form() -> None:
    # Their exponent -log(10000) / d // 2 floors to -1: frequencies 1, e^-2, e^-4, ...
    encoding = position_encoding(5, 7, 8, temp_bug_fix=False)
    expected = [f(v * s) for s in (1.0, math.exp(-2)) for v in (7, 3) for f in (math.sin, math.cos)]
    np.testing.assert_allclose(encoding[2, 6], expected, atol=1e-6)


def test_tokens_run_along_rows() -> None:
    cells = jnp.arange(6.0).reshape(1, 2, 3, 1) * jnp.ones(4)
    tokens = to_tokens(cells, True) - position_encoding(2, 3, 4).reshape(1, 6, 4)
    np.testing.assert_allclose(tokens[0, :, 0], np.arange(6.0), atol=1e-6)
    mask = jnp.zeros((1, 2, 3), bool).at[0, 1, 0].set(True)
    assert flatten_mask(mask, cells)[0].tolist() == [False, False, False, True, False, False]


def test_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="one value per coarse cell"):
        flatten_mask(jnp.ones((1, 3, 2), bool), jnp.zeros((1, 2, 3, 4)))
    assert flatten_mask(None, jnp.zeros((1, 2, 3, 4))) is None
