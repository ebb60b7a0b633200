"""Prints drawn on an accelerator are those that are drawn in use."""

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.transforms import similarity
from ifvit.geometry.warp import warp
from ifvit.sources.batch_warp import warp_affine_batch


@pytest.mark.parametrize("side", [None, 30])
@pytest.mark.heavy
def test_each_print_is_drawn_as_by_itself(side) -> None:
    rng = np.random.default_rng(0)
    images, masks = rng.random((3, 40, 40)).astype(np.float32), rng.random((3, 40, 40)) > 0.3
    H = np.stack([similarity(angle, (20.0, 16.0), 1.1) for angle in (10.0, 95.0, -160.0)])
    found = warp_affine_batch(*map(jnp.asarray, (images, masks)), jnp.asarray(H, jnp.float32), side)
    shape = None if side is None else (side, side)
    for index in range(3):
        image, mask = warp(images[index], masks[index], H[index][None], shape=shape)
        np.testing.assert_allclose(found[0][index], image[0], atol=2e-3)
        assert (np.asarray(found[1][index]) != mask[0]).mean() < 0.01
