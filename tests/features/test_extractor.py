"""What one print gives is made once, whatever it is compared with; at each factor once more."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.config import ModelConfig
from ifvit.features.extractor import Extractor
from ifvit.features.features import features_of
from ifvit.features.frame_features import upright_transform
from ifvit.features.network_view import network_view
from ifvit.geometry.grid import cell_mask
from ifvit.runtime.calls import Engine


@pytest.fixture
def engine(engine_of) -> Engine:
    return engine_of(0)


def test_a_factor_is_made_once_and_another_beside_it(engine, ridge_print) -> None:
    extractor, item = Extractor(engine), features_of(ridge_print)
    fit = extractor.fit(item)
    first, map0 = extractor.at(item, fit), extractor.map_at(item, fit)
    assert extractor.at(item, fit) is first and extractor.map_at(item, fit) is map0
    pose = extractor.upright_at(item, fit)
    assert extractor.upright_at(item, fit) is pose
    np.testing.assert_array_equal(pose, upright_transform(first, engine.config))
    larger = fit._replace(scale=1.2)
    assert np.abs(extractor.at(item, larger).image - first.image).max() > 0.1
    assert (len(item.frames), len(item.maps)) == (2, 1)


def test_the_map_is_the_backbones(engine, small: ModelConfig, ridge_print) -> None:
    extractor, item = Extractor(engine), features_of(ridge_print)
    fit = extractor.fit(item)
    found, frame = extractor.map_at(item, fit), extractor.at(item, fit)
    view, mask = network_view(frame.image[None], frame.mask[None], small)
    np.testing.assert_allclose(found.values, engine.backbone(view)[0], atol=1e-6)
    np.testing.assert_array_equal(found.cells, cell_mask(mask)[0])


def test_other_weights_make_a_map_of_their_own(engine, engine_of, ridge_print) -> None:
    """Two Modules 1 look at one print: neither may get what the other saw."""
    other = engine_of(1)
    item = features_of(ridge_print)
    made = [Extractor(one) for one in (engine, other, engine)]
    fit = made[0].fit(item)
    first, second, again = (one.map_at(item, fit) for one in made)
    assert again is first and len(item.maps) == 2
    assert np.abs(first.values - second.values).max() > 1e-3
    assert {key for key, _ in item.maps} == {engine.dense_sha256, other.dense_sha256}


def test_features_stay_as_they_are(engine, ridge_print) -> None:
    item = features_of(ridge_print, name="a")
    extractor = Extractor(engine)
    assert extractor.extract(item) is item
    assert extractor.extract((255 * ridge_print).astype(np.uint8), name="b").name == "b"
