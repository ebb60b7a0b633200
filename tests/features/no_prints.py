"""Images that are no prints, made from nothing: grey values at 500 ppi, by kind and name."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
LETTERS = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO0123456789")

KINDS = ("noise", "gratings", "patterns", "cloth", "text", "gradients", "textures", "sensors")


class Maker:
    """Makes the images of one size and seed."""

    def __init__(self, height: int = 250, width: int = 250, seed: int = 0) -> None:
        self.shape = self.height, self.width = height, width
        self.rng = np.random.default_rng(seed)
        self.y, self.x = np.mgrid[:height, :width].astype(float)

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape or self.shape)

    def smooth(self, sigma: float) -> np.ndarray:
        return unit(cv2.GaussianBlur(self.normal(), (0, 0), sigma))

    def filtered(self, gain) -> np.ndarray:
        """White noise whose spectrum is multiplied by ``gain`` of the frequency."""
        fy, fx = np.fft.fftfreq(self.height)[:, None], np.fft.rfftfreq(self.width)
        shaped = np.fft.rfft2(self.normal()) * gain(np.maximum(np.hypot(fy, fx), 1e-3))
        return unit(np.fft.irfft2(shaped, self.shape))

    def fractal(self, power: float) -> np.ndarray:
        return self.filtered(lambda f: f**-power)

    def noise(self) -> dict[str, np.ndarray]:
        made = {"white": self.rng.random(self.shape)}
        made |= {f"blurred by {s}": self.smooth(s) for s in (0.7, 1, 1.5, 2, 3, 4, 6, 9)}
        for period in (5, 7, 9, 12, 15):
            for width in (0.05, 0.2, 0.5):
                made[f"of period {period} ± {width}"] = self.filtered(
                    lambda f, p=period, w=width: np.exp(-0.5 * ((f * p - 1) / w) ** 2)
                )
        return made

    def gratings(self) -> dict[str, np.ndarray]:
        made = {}
        for period in (5, 6, 7, 8, 9, 10, 12, 15, 20):
            for angle in (0, 17, 45, 90, 133):
                t = np.deg2rad(angle)
                across = self.x * np.cos(t) + self.y * np.sin(t)
                phase = 2 * np.pi * across / period
                name = f"{period} px, {angle}°"
                made[name] = 0.5 + 0.45 * np.cos(phase)
                made[f"square, {name}"] = 0.9 * (np.cos(phase) > 0) + 0.05
                made[f"finer to one side, {name}"] = 0.5 + 0.45 * np.cos(
                    phase * (1 + 0.0006 * self.x)
                )
                noisy = 0.5 + 0.3 * np.cos(phase) + 0.15 * self.normal()
                made[f"noisy, {name}"] = np.clip(noisy, 0, 1)
        return made

    def patterns(self) -> dict[str, np.ndarray]:
        made, turn = {}, 2 * np.pi
        for p in (6, 9, 13, 20, 40):
            made[f"checks {p}"] = 0.9 * ((self.x // p + self.y // p) % 2) + 0.05
            made[f"dots {p}"] = unit(np.cos(turn * self.x / p) * np.cos(turn * self.y / p))
            waves = [
                np.cos(turn * (self.x * np.cos(t) + self.y * np.sin(t)) / p)
                for t in (0, np.pi / 3, 2 * np.pi / 3)
            ]
            made[f"hexagons {p}"] = unit(sum(waves))
            waved = self.x + 10 * np.sin(turn * self.y / 120)
            made[f"waves {p}"] = 0.5 + 0.45 * np.cos(turn * waved / p)
        for p in (6, 8, 10, 13, 18, 26):
            for name, middle in (("around", (0.5, 0.5)), ("beside", (-0.25, 0.3))):
                apart = self.x - middle[0] * self.width, self.y - middle[1] * self.height
                made[f"rings {name} {p}"] = 0.5 + 0.45 * np.cos(turn * np.hypot(*apart) / p)
        bars = np.repeat(self.rng.random(self.width // 3 + 1) > 0.5, 3)[: self.width]
        made["barcode"] = 0.9 * np.broadcast_to(bars, self.shape)
        blocks = self.rng.random((self.height // 16 + 1, self.width // 16 + 1))
        made["blocks"] = np.kron(blocks, np.ones((16, 16)))[: self.height, : self.width]
        return made

    def cloth(self) -> dict[str, np.ndarray]:
        made, turn = {}, 2 * np.pi
        for p in (6, 9, 13, 20, 40):
            over = (self.x // p + self.y // p) % 2 > 0
            threads = np.cos(3 * turn * self.x / p), np.cos(3 * turn * self.y / p)
            made[f"woven {p}"] = 0.5 + 0.4 * np.where(over, *threads)
            warp = turn * self.x / p + 0.3 * self.normal(1, self.width)
            weft = turn * self.y / p + 0.3 * self.normal(self.height, 1)
            linen = 0.5 + 0.25 * np.cos(warp) + 0.25 * np.cos(weft) + 0.08 * self.normal()
            made[f"linen {p}"] = np.clip(linen, 0, 1)
            twill = np.cos(turn * (self.x - 0.7 * self.y) / p + 2 * self.smooth(2))
            made[f"denim {p}"] = 0.7 * unit(twill) + 0.3 * self.rng.random(self.shape)
        return made

    def text(self) -> dict[str, np.ndarray]:
        sizes = (8, 12, 16, 24, 36, 60, 90)
        return {f"of {s} px, turned by {t}°": self.page(s, t) for s in sizes for t in (0, 31)}

    def page(self, size: int, turned: float) -> np.ndarray:
        height, width = self.shape
        page = Image.new("L", (2 * width, 2 * height), 255)
        font, pen = ImageFont.truetype(FONT, size), ImageDraw.Draw(page)
        for y in range(0, 2 * height, round(1.25 * size)):
            words = ["".join(self.rng.choice(LETTERS, self.rng.integers(2, 10))) for _ in range(60)]
            pen.text((0, y), " ".join(words), 0, font)
        page = page.rotate(turned, Image.Resampling.BICUBIC, fillcolor=255)
        top, left = height // 2, width // 2
        return np.asarray(page.crop((left, top, left + width, top + height)), float) / 255

    def gradients(self) -> dict[str, np.ndarray]:
        ramp = self.x / self.width
        around = np.hypot(self.x - self.width / 2, self.y - self.height / 2)
        noisy = np.clip(ramp + 0.08 * self.normal(), 0, 1)
        return {"even": ramp, "around": unit(around), "noisy": noisy}

    def textures(self) -> dict[str, np.ndarray]:
        made, turn = {f"fractal {p}": self.fractal(p) for p in (0.5, 1, 1.5, 2, 3)}, 2 * np.pi
        for count in (3, 6, 12, 25):
            across = count * (self.x / self.width + self.y / self.height) / 2
            made[f"marble {count}"] = unit(np.sin(turn * across + 8 * self.fractal(1.5)))
        for p in (6, 8, 10, 13, 18, 26):
            for name, middle in (("around", (0.5, 0.5)), ("beside", (-0.25, 0.3))):
                apart = self.x - middle[0] * self.width, 1.15 * (self.y - middle[1] * self.height)
                rings = np.hypot(*apart) + 14 * self.fractal(2)
                wood = np.cos(turn * rings / p) + 0.15 * self.normal()
                made[f"wood {name} {p}"] = unit(wood)
        points = self.rng.random((300, 2)) * self.shape[::-1]
        far = np.hypot(self.x[..., None] - points[:, 0], self.y[..., None] - points[:, 1])
        nearest = np.sort(far, axis=-1)
        made["pebbles"] = unit(nearest[..., 0])
        made["cells"] = unit(np.clip(nearest[..., 1] - nearest[..., 0], 0, 6))
        grass = Image.new("L", self.shape[::-1], 255)
        pen = ImageDraw.Draw(grass)
        for _ in range(self.height * self.width // 50):
            root = self.rng.random(2) * self.shape[::-1]
            tip = root[0] + self.rng.normal(0, 8), root[1] - self.rng.uniform(15, 45)
            pen.line([*root, *tip], int(self.rng.integers(0, 160)), 2)
        return made | {"grass": np.asarray(grass, float) / 255}

    def sensors(self) -> dict[str, np.ndarray]:
        """What a sensor shows that nobody touches, its contrast turned up."""
        lines = 0.06 * self.normal(self.height, 1) + 0.06 * self.normal(1, self.width)
        columns = 0.15 * self.normal(1, self.width) + 0.03 * self.normal()
        made = {
            "lines": 0.6 + lines + 0.05 * self.normal(),
            "columns": 0.6 + columns,
            "pixels": 0.6 + 0.1 * self.normal(),
            "soft pixels": 0.6 + 0.6 * (self.smooth(1) - 0.5),
        }
        return {name: np.clip(image, 0, 1) for name, image in made.items()}

    def all_of(self, kind: str) -> dict[str, np.ndarray]:
        """Return the images of a kind, float32 in [0, 1]."""
        return {k: np.asarray(v, np.float32) for k, v in getattr(self, kind)().items()}


def unit(values: np.ndarray) -> np.ndarray:
    """Return values stretched to [0, 1], the outermost cut off."""
    low, high = np.percentile(values, [0.5, 99.5])
    return np.clip((values - low) / (high - low), 0, 1)
