"""Direction and phase of a pattern of lines, in NumPy: where it is clear, and where a line ends.

A line ends where the phase of the pattern turns once around a point; the phase is that of the
monogenic signal (Larkin, Bone and Oldfield, "Natural demodulation of two-dimensional fringe
patterns", JOSA A 18(8), 2001).
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Complex, Float


def structure_tensor(
    image: Float[np.ndarray, "H W"], sigma: float = 1.5
) -> Float[np.ndarray, "3 H W"]:
    """Return the structure tensor: energy, and its parts along and across doubled angles."""
    smooth = cv2.GaussianBlur(image, (0, 0), sigma)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.stack([dx * dx + dy * dy, dx * dx - dy * dy, 2 * dx * dy])


def smoothed(tensor: Float[np.ndarray, "3 H W"], sigma: float) -> Float[np.ndarray, "3 H W"]:
    """Return a structure tensor, each part blurred by a Gaussian of ``sigma`` pixels."""
    return np.stack([cv2.GaussianBlur(part, (0, 0), sigma) for part in tensor])


def coherence_of(tensor: Float[np.ndarray, "3 H W"]) -> Float[np.ndarray, "H W"]:
    """Return how far the gradients of a structure tensor run one way, 0 to 1."""
    return np.asarray(np.hypot(tensor[1], tensor[2]) / (tensor[0] + 1e-6))


def frequencies(shape: tuple[int, ...]) -> Complex[np.ndarray, "H W"]:
    """Return the frequencies of a spectrum, cycles per pixel: x + i y."""
    return np.fft.fftfreq(shape[1])[None] + 1j * np.fft.fftfreq(shape[0])[:, None]


def phase_turns(
    spectrum: Complex[np.ndarray, "H W"], period_px: float, octaves: float, window_px: float
) -> tuple[Bool[np.ndarray, "h w"], Float[np.ndarray, "H W"]]:
    """Mark the squares of four pixels around which the phase turns; how clear the pattern is there.

    Of the spectrum of an image, about the frequency of a period in pixels: ``octaves`` is the
    standard deviation of the logarithm of what passes, ``window_px`` that of the window in which a
    direction is found.
    """
    turned, _, coherence = _demodulated(spectrum, period_px, octaves, window_px)
    return np.abs(turned) > np.pi, coherence


def dislocations(
    image: Float[np.ndarray, "H W"], period_px: float, octaves: float, window_px: float
) -> tuple[Float[np.ndarray, "K 2"], Float[np.ndarray, " K"]]:
    """Return where lines of an image begin, to a pixel: (x, y) in pixels, and in which
    direction, radians from the x axis towards the y axis, there is one more of them.

    ``period_px``, ``octaves`` and ``window_px`` are as in :func:`phase_turns`.
    """
    found = _demodulated(np.fft.fft2(image), period_px, octaves, window_px)
    turned, across, _ = found
    rows, columns = np.nonzero(np.abs(turned) > np.pi)
    # A turn with θ adds to the phase's slope on one side of the point, and takes from it on the
    # other: lines are denser there, by one.
    side = np.sign(turned[rows, columns]) * np.pi / 2
    return np.stack([columns, rows], axis=1) + 0.5, across[rows, columns] - side


def _demodulated(
    spectrum: Complex[np.ndarray, "H W"], period_px: float, octaves: float, window_px: float
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return how far the phase turns around squares of four pixels, the direction across the lines
    by which it is counted, and the coherence."""
    frequency = frequencies(spectrum.shape)
    radius = np.maximum(np.abs(frequency), 1e-6)
    band = np.exp(-0.5 * np.square(np.log(radius * period_px) / octaves))
    wave = np.fft.ifft2(spectrum * band).real
    # The Riesz transform: a wave's quadrature, times the direction across the lines.
    vector = np.fft.ifft2(spectrum * band * frequency / radius)
    tensor = smoothed(structure_tensor(wave.astype(np.float32), 1.0), window_px)
    across = 0.5 * np.arctan2(tensor[2], tensor[1])
    quadrature = np.imag(np.exp(-1j * across) * vector)
    return _turns(wave, quadrature, across), across, coherence_of(tensor)


def _turns(
    wave: Float[np.ndarray, "H W"],
    quadrature: Float[np.ndarray, "H W"],
    across: Float[np.ndarray, "H W"],
) -> Float[np.ndarray, "h w"]:
    """Return how far the phase turns around squares of four pixels: 2π, -2π or nothing.

    Positive is from the x axis towards the y axis, the direction across being that of the first.
    """

    def corner(of: np.ndarray, row: int, column: int) -> np.ndarray:
        height, width = of.shape
        return of[row : height - 1 + row, column : width - 1 + column]

    phases = []
    for place in ((0, 0), (0, 1), (1, 1), (1, 0)):
        # A direction across lines has no sign: here that of the first of the four.
        same = np.cos(corner(across, *place) - corner(across, 0, 0)) >= 0
        sign = np.where(same, 1, -1)
        phases.append(np.arctan2(sign * corner(quadrature, *place), corner(wave, *place)))
    steps = np.diff(np.stack([*phases, phases[0]]), axis=0)
    return np.asarray((np.mod(steps + np.pi, 2 * np.pi) - np.pi).sum(axis=0))
