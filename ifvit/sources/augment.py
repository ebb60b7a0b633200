"""Corruption pairs: a real print and its own noisy, turned, stretched copy.

The map to the copy is known exactly, so that Module 1 trains on any folder of prints without a
single annotation (Qiu et al., IFViT, Fig. 4: one of sensor noise, dryness and over-pressure, then a
rotation). The geometry is that of synthetic impressions, with the print in place of the master.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray

from ifvit.config import ModelConfig
from ifvit.features.network_view import prepare
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, similarity_at
from ifvit.geometry.warp import sample
from ifvit.sources.truth import PairBatch, cell_matches, places_of
from ifvit.sources.truth import impostor_matches as no_matches
from ifvit.synthesis.draw import ImpressionParams, draw_impression
from ifvit.synthesis.impression import from_master, to_master
from ifvit.synthesis.master import MASTER_SHAPE
from ifvit.synthesis.noise import smooth_noise
from ifvit.synthesis.sensor import frame_points

MASTER_CENTRE = ((MASTER_SHAPE[1] - 1) / 2, (MASTER_SHAPE[0] - 1) / 2)


def source_side(model: ModelConfig) -> int:
    """Return the side of the canvas to which real prints are cut, at 500 ppi: it has room for a
    turned frame."""
    return frame_side(model) * 3 // 2


def corrupt_look(key: PRNGKeyArray, frame: Float[Array, "S S"]) -> Float[Array, "S S"]:
    """Give a frame in [0, 1], ridges dark, one of the method's three noises."""
    pick, strength, coarse, fine, grain = jax.random.split(key, 5)
    amount = jax.random.uniform(strength, minval=0.3, maxval=1.0)
    shape = (frame.shape[0], frame.shape[1])
    # Sensor noise in several octaves, as Perlin's.
    octaves = smooth_noise(coarse, shape, 24.0) + 0.7 * smooth_noise(fine, shape, 7.0)
    speckle = smooth_noise(grain, shape, 2.3)
    noisy = frame + amount * (0.06 * octaves + 0.05 * speckle)
    # Dry skin thins ridges and breaks them; pressure thickens and merges them. Ridges are dark.
    patches = jax.nn.sigmoid(octaves * 2)
    broken = jnp.maximum(frame, jax.nn.sigmoid((speckle - 0.6) * 6) * patches)
    dry = frame + amount * (0.5 * (_neighbours(frame, jnp.max) - frame) + (broken - frame))
    pressed = frame + amount * patches * (_neighbours(frame, jnp.min) - frame)
    stack = jnp.stack([noisy, dry, pressed])
    return jnp.clip(stack[jax.random.randint(pick, (), 0, 3)], 0.0, 1.0)


def _neighbours(frame: Float[Array, "S S"], reduce) -> Float[Array, "S S"]:
    """Return the maximum or minimum over each pixel's 3×3 neighbourhood."""
    padded = jnp.pad(frame, 1, mode="edge")
    height, width = frame.shape
    shifts = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return reduce(jnp.stack(shifts), axis=0)


def corrupt(
    key: PRNGKeyArray,
    source: Float[Array, "R R"],
    model: ModelConfig,
    max_rotation: float,
    turn: float = 0.0,
) -> tuple[Float[Array, "S S"], Float[Array, "S S"], ImpressionParams]:
    """Return a print's middle as frame 0, its corrupted copy as frame 1, and the geometry.

    ``source`` is a canvas of :func:`source_side`; rotation is uniform in ± ``max_rotation``
    degrees, and both frames are turned together by up to ± ``turn``. Frames are in [0, 1] at
    500 ppi.
    """
    if turn:
        source = _turned(jax.random.fold_in(key, 0), source, turn)
    side = frame_side(model)
    margin = (source.shape[0] - side) // 2
    frame0 = source[margin : margin + side, margin : margin + side]
    shape_key, look_key = jax.random.split(key)
    params = draw_impression(shape_key, 0, max_rotation)
    params = params._replace(offset=0.5 * params.offset)
    points = to_master(params, frame_points((side, side)), (side, side))
    centre = (source.shape[0] - 1) / 2
    frame1 = sample(source, points - jnp.array(MASTER_CENTRE) + centre)
    return frame0, corrupt_look(look_key, frame1), params


def _turned(key: PRNGKeyArray, source: Float[Array, "R R"], turn: float) -> Float[Array, "R R"]:
    angle = jnp.deg2rad(jax.random.uniform(key, minval=-turn, maxval=turn))
    centre = (source.shape[0] - 1) / 2
    about = frame_points((source.shape[0], source.shape[1])) - centre
    H = similarity_at(jnp.cos(angle), jnp.sin(angle), jnp.zeros(2), jnp.full(2, centre))
    return sample(source, apply(H, about))


def corruption_correspondence(
    params: ImpressionParams, model: ModelConfig
) -> tuple[Float[Array, "N 2"], Bool[Array, " N"], Float[Array, "N 2"]]:
    """Map a corruption pair's cell centres to frame 1, with validity there, and back to frame 0."""
    side = frame_side(model)
    centres = jnp.asarray(cell_centres(model))
    shift = jnp.array(MASTER_CENTRE) - (side - 1) / 2
    points1 = from_master(params, centres + shift, (side, side))
    points0 = to_master(params, centres, (side, side)) - shift
    return points1, ((points1 >= 0) & (points1 <= side - 1)).all(-1), points0


@partial(jax.jit, static_argnames=("model", "max_rotation", "turn"))
def corruption_batch(
    sources0: Float[Array, "B R R"],
    sources1: Float[Array, "B R R"],
    genuine: Bool[Array, " B"],
    keys: Key[Array, " B"],
    *,
    model: ModelConfig,
    max_rotation: float,
    turn: float = 0.0,
) -> PairBatch:
    """Make a batch for Module 1 from real prints; in impostor pairs the copy is of another
    print."""
    copy = partial(corrupt, model=model, max_rotation=max_rotation, turn=turn)
    frame0, own_copy, params = jax.vmap(copy)(keys, sources0)
    _, other_copy, _ = jax.vmap(copy)(keys, sources1)
    frame1 = jnp.where(genuine[:, None, None], own_copy, other_copy)
    image0, mask0 = prepare(frame0, model)
    image1, mask1 = prepare(frame1, model)
    points1, valid, points0 = jax.vmap(partial(corruption_correspondence, model=model))(params)
    truth = partial(cell_matches, model=model)
    matches0 = jax.vmap(truth)(points1, valid, points0, mask0, mask1)
    matches0 = jnp.where(genuine[:, None], matches0, no_matches(matches0, mask0))
    places1 = places_of(points1, model)
    return PairBatch(image0, image1, mask0, mask1, matches0, places1, genuine)
