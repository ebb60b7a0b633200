"""What one print gives is made once, whatever it is compared with; at each factor once more."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.features.extractor import Extractor
from ifvit.features.features import features_of
from ifvit.features.network_view import network_view
from ifvit.geometry.grid import cell_mask
from ifvit.models.dense_reg import DenseRegModel


@pytest.fixture
def dense(small: ModelConfig) -> DenseRegModel:
    return DenseRegModel(small, rngs=nnx.Rngs(0))


def test_a_factor_is_made_once_and_another_beside_it(dense, ridge_print) -> None:
    extractor, item = Extractor(dense), features_of(ridge_print)
    fit = extractor.fit(item)
    first, map0 = extractor.at(item, fit), extractor.map_at(item, fit)
    assert extractor.at(item, fit) is first and extractor.map_at(item, fit) is map0
    larger = fit._replace(scale=1.2)
    assert np.abs(extractor.at(item, larger).image - first.image).max() > 0.1
    assert (len(item.frames), len(item.maps)) == (2, 1)


def test_the_map_is_the_backbones(dense, small: ModelConfig, ridge_print) -> None:
    extractor, item = Extractor(dense), features_of(ridge_print)
    fit = extractor.fit(item)
    found, frame = extractor.map_at(item, fit), extractor.at(item, fit)
    dense.eval()
    view, mask = network_view(frame.image[None], frame.mask[None], small)
    np.testing.assert_allclose(found.values, dense.ResNet18(view)[0][0], atol=1e-4)
    np.testing.assert_array_equal(found.cells, cell_mask(mask)[0])


def test_other_weights_make_a_map_of_their_own(dense, small: ModelConfig, ridge_print) -> None:
    """Two Modules 1 look at one print: neither may get what the other saw."""
    other = DenseRegModel(small, rngs=nnx.Rngs(1))
    item = features_of(ridge_print)
    made = [Extractor(one) for one in (dense, other, dense)]
    fit = made[0].fit(item)
    first, second, again = (one.map_at(item, fit) for one in made)
    assert again is first and len(item.maps) == 2
    assert float(jax.numpy.abs(first.values - second.values).max()) > 1e-3
    named = Extractor(dense, dense_sha256="ab" * 32)
    named.map_at(item, fit)
    assert ("ab" * 32, fit) in item.maps


def test_features_stay_as_they_are(dense, ridge_print) -> None:
    item = features_of(ridge_print, name="a")
    extractor = Extractor(dense)
    assert extractor.extract(item) is item
    assert extractor.extract((255 * ridge_print).astype(np.uint8), name="b").name == "b"
