"""A window cut anywhere from a large print matches that print: nothing of it is passed over."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.features.features import features_of
from ifvit.matcher import Matcher
from ifvit.sources.masters import masters_of
from ifvit.synthesis import Master, draw_impression, finger_key, render

SHAPE, WINDOW = (460, 360), 160
FINGERS = 2


def large_print(finger: int) -> np.ndarray:
    """Return an impression whose contact region fills the frame."""
    master = Master(*(jnp.asarray(a[finger]) for a in masters_of(7, 0, FINGERS)))
    params = draw_impression(finger_key(7, finger), 0, 0.0)
    whole = params._replace(
        contact_radii=jnp.array([190.0, 240.0]),
        contact_centre=jnp.zeros(2),
        window_centre=jnp.zeros(2),
        window_half=jnp.array([400.0, 400.0]),
        offset=jnp.zeros(2),
        pressure=jnp.zeros(()),
        wet=jnp.zeros(()),
        dryness=jnp.asarray(0.2),
    )
    return np.asarray(render(master, whole, SHAPE).image)


@pytest.mark.slow
def test_a_window_cut_anywhere_matches_the_print_that_it_is_of() -> None:
    matcher = Matcher.from_pretrained("small")
    calibration = matcher.calibration
    assert calibration is not None
    threshold = calibration.threshold(1e-3)
    prints = [features_of(large_print(finger)) for finger in range(FINGERS)]
    scores: dict[tuple[int, int, int], float] = {}
    for finger, item in enumerate(prints):
        for y in np.linspace(20, SHAPE[0] - WINDOW - 20, 4).astype(int):
            for x in np.linspace(20, SHAPE[1] - WINDOW - 20, 3).astype(int):
                window = features_of(item.image[y : y + WINDOW, x : x + WINDOW])
                found = matcher.match(item, window)
                scores[finger, int(y), int(x)] = found.score
                middle = np.array([[x, y]]) + (WINDOW - 1) / 2
                away = found.alignment.place(middle) - (WINDOW - 1) / 2
                if found.score > threshold:
                    # Half a ridge period: farther off it would lie on the next ridge.
                    assert np.abs(away).max() < 4.5, f"a match that lies {away} px elsewhere"
                assert found.left_out <= 0.2
    listed = "\n".join(f"{key}: {score:.3f}" for key, score in scores.items())
    print(listed)
    assert min(scores.values()) > threshold, listed
