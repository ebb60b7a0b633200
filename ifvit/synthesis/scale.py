"""How coarse a finger's ridges are: an impression drawn larger or smaller until its period fits.

Periods are in pixels at 500 ppi. A finger whose ridges are 0.7 times as far apart is a smaller
finger: pad, contact region and ridges scale together, the sensor's pixels and grain do not.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ifvit.config import REFERENCE_PPI
from ifvit.synthesis.orientation import draw_flow

PX_PER_MM = REFERENCE_PPI / 25.4

SHARES = (0.4, 0.4, 0.2)
"""Men, women and children of five to twelve years among the people whose fingers are drawn."""

ADULTS_MM = ((0.475, 0.03), (0.42, 0.03))
"""Mean and standard deviation of the ridge breadth, from the middle of one valley to that of the
next, of men and of women: means of 0.46 to 0.48 and of 0.41 to 0.43 mm (Ohler and Cummins, "Sexual
differences in breadths of epidermal ridges on finger tips and palms", American Journal of Physical
Anthropology 29, 1942). The spread is our assumption: a sixth of either lies beyond the
other's mean."""

CHILD_AGES = (5.0, 12.0)

PEOPLE_MM = (0.28, 0.66)
"""Limits of a finger's mean period: 5.5 to 13 px."""


def own_period(key: PRNGKeyArray) -> Float[Array, ""]:
    """Return the mean ridge period that the finger with this key has as it is grown, px.

    It is drawn anew from the key of the master's flow, so that no master is needed.
    """
    flow_key = jax.random.split(jax.random.fold_in(key, 0), 4)[0]
    return draw_flow(flow_key).period * PX_PER_MM


def period_between(key: PRNGKeyArray, limits: tuple[float, float]) -> Float[Array, ""]:
    """Draw the mean ridge period of the finger with this key between two limits, px.

    It is log-uniform: as many fingers have 6 to 7 px as have 9 to 10.5.
    """
    return log_uniform(jax.random.fold_in(key, 4), limits)


def people_period(key: PRNGKeyArray) -> Float[Array, ""]:
    """Draw the mean ridge period of the finger with this key as people have them, px.

    Men, women and children have the shares :data:`SHARES`. A child's breadth follows its age,
    months = 614 · mm - 112 (Kamp et al., "Discovering childhood", American Antiquity 64(2), 1999):
    0.28 mm at five years, 0.42 at twelve. That breadth tells age and sex is the subject of Kralik
    and Novotny, "Epidermal ridge breadth: an indicator of age and sex in paleodermatoglyphics",
    Variability and Evolution 11, 2003.
    """
    k = jax.random.split(jax.random.fold_in(key, 5), 3)
    who = jax.random.choice(k[0], len(SHARES), p=jnp.asarray(SHARES))
    normal = jnp.clip(jax.random.normal(k[1]), -2.5, 2.5)
    adults = [mean + deviation * normal for mean, deviation in ADULTS_MM]
    age = jax.random.uniform(k[2], minval=CHILD_AGES[0], maxval=CHILD_AGES[1])
    child = (12 * age + 112) / 614 + 0.015 * normal
    breadth = jnp.clip(jnp.stack([*adults, child])[who], *PEOPLE_MM)
    return breadth * PX_PER_MM


def log_uniform(key: PRNGKeyArray, limits: tuple[float, float]) -> Float[Array, ""]:
    """Draw a number between two limits whose logarithm is uniform."""
    low, high = jnp.log(limits[0]), jnp.log(limits[1])
    return jnp.exp(jax.random.uniform(key, minval=low, maxval=high))
