"""Direction and phase of a pattern of lines, in NumPy: where it is clear, and where a line ends.

A line ends where the phase of the pattern turns once around a point; the phase is that of the
monogenic signal (Larkin, Bone and Oldfield, "Natural demodulation of two-dimensional fringe
patterns", JOSA A 18(8), 2001).
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Complex, Float, Int


def structure_tensor(
    image: Float[np.ndarray, "H W"], sigma: float = 1.5
) -> Float[np.ndarray, "3 H W"]:
    """Return the structure tensor: energy, and its parts along and across doubled angles."""
    smooth = cv2.GaussianBlur(image, (0, 0), sigma)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.stack([dx * dx + dy * dy, dx * dx - dy * dy, 2 * dx * dy])


def blurred(
    image: Float[np.ndarray, "H W"], sigma: float, wide: float = 8.0, step: int = 4
) -> Float[np.ndarray, "H W"]:
    """Return an image blurred by a Gaussian of ``sigma`` pixels; from ``wide`` on to within 1 %.

    A wide blur is computed on a grid ``step`` times coarser, with a tenth of the work.
    """
    if sigma < wide:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))
    height, width = image.shape
    size = -(-width // step), -(-height // step)
    # Going to that grid and back blurs by half a step.
    own = np.sqrt((sigma / step) ** 2 - 0.25)
    small = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), own)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def smoothed(tensor: Float[np.ndarray, "3 H W"], sigma: float) -> Float[np.ndarray, "3 H W"]:
    """Return a structure tensor, each part blurred by a Gaussian of ``sigma`` pixels."""
    return np.stack([blurred(part, sigma) for part in tensor])


def coherence_of(tensor: Float[np.ndarray, "3 H W"]) -> Float[np.ndarray, "H W"]:
    """Return how far the gradients of a structure tensor have one direction, 0 to 1."""
    return np.asarray(np.hypot(tensor[1], tensor[2]) / (tensor[0] + 1e-6))


def frequencies(shape: tuple[int, ...]) -> Complex[np.ndarray, "H w"]:
    """Return the frequencies of half a spectrum (``rfft2``), cycles per pixel: x + i y."""
    across, along = np.fft.rfftfreq(shape[1]), np.fft.fftfreq(shape[0])
    return (across + 1j * along[:, None]).astype(np.complex64)


def phase_turns(
    image: Float[np.ndarray, "H W"], period_px: float, octaves: float, window_px: float
) -> tuple[Bool[np.ndarray, "h w"], Float[np.ndarray, "H W"]]:
    """Mark the squares of four pixels around which the phase turns; return also the coherence.

    The phase is that of a band of frequencies around ``1 / period_px``: ``octaves`` is the standard
    deviation of the band in the logarithm of the frequency, ``window_px`` that of the window in
    which a direction is found.
    """
    turned, _, coherence = _demodulated(image, period_px, octaves, window_px)
    return turned != 0, coherence


def dislocations(
    image: Float[np.ndarray, "H W"], period_px: float, octaves: float, window_px: float
) -> tuple[Float[np.ndarray, "K 2"], Float[np.ndarray, " K"]]:
    """Return where a line of the pattern begins or ends, to a pixel: (x, y) in pixels, and the
    direction, radians from the x axis towards the y axis, in which there is one line more.

    ``period_px``, ``octaves`` and ``window_px`` are as in :func:`phase_turns`.
    """
    turned, across, _ = _demodulated(image, period_px, octaves, window_px)
    rows, columns = np.nonzero(turned)
    # A turn with θ adds to the phase's slope on one side of the point, and takes from it on the
    # other: lines are denser there, by one.
    side = np.sign(turned[rows, columns]) * np.pi / 2
    return np.stack([columns, rows], axis=1) + 0.5, across[rows, columns] - side


def _demodulated(
    image: Float[np.ndarray, "H W"], period_px: float, octaves: float, window_px: float
) -> tuple[Int[np.ndarray, "h w"], Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return how often the phase turns around squares of four pixels, the direction across the
    lines by which it is counted, and the coherence."""
    frequency = frequencies(image.shape)
    radius = np.maximum(np.abs(frequency), np.float32(1e-6))
    band = np.exp(-0.5 * np.square(np.log(radius * period_px) / octaves))
    passed = np.fft.rfft2(np.asarray(image, np.float32)) * band
    # The Riesz transform: a wave's quadrature, times the direction across the lines.
    riesz = -1j * passed / radius
    parts = np.stack([passed, riesz * frequency.real, riesz * frequency.imag])
    wave, along_x, along_y = np.fft.irfft2(parts, image.shape)
    tensor = smoothed(structure_tensor(wave, 1.0), window_px)
    across = 0.5 * np.arctan2(tensor[2], tensor[1])
    quadrature = np.cos(across) * along_x + np.sin(across) * along_y
    return _turns(np.arctan2(quadrature, wave), across), across, coherence_of(tensor)


def _turns(
    phase: Float[np.ndarray, "H W"], across: Float[np.ndarray, "H W"]
) -> Int[np.ndarray, "h w"]:
    """Return how often the phase turns around squares of four pixels: 1, -1 or 0.

    A turn from the x axis towards the y axis is positive, the direction across the lines being that
    at the first of the four pixels.
    """

    def corner(of: np.ndarray, row: int, column: int) -> np.ndarray:
        height, width = of.shape
        return of[row : height - 1 + row, column : width - 1 + column]

    first, phases = corner(across, 0, 0), [corner(phase, 0, 0)]
    for place in ((0, 1), (1, 1), (1, 0)):
        # A direction across lines has no sign; it takes that of the first of the four pixels.
        apart, own = corner(across, *place) - first, corner(phase, *place)
        phases.append(np.where(np.abs(apart) <= np.pi / 2, own, -own))
    turned = np.zeros(first.shape, np.int8)
    for start, end in zip(phases, [*phases[1:], phases[0]], strict=True):
        # The steps add up to nothing; what is taken the short way round is a turn.
        step = end - start
        turned += (step < -np.pi).view(np.int8)
        turned -= (step > np.pi).view(np.int8)
    return turned
