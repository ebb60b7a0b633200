"""Module 1: dense registration of two prints (Qiu et al., IFViT, IEEE TIFS 2024)."""

from __future__ import annotations

from typing import NamedTuple

from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ifvit.config import ModelConfig
from ifvit.models.backbone import ResNet18
from ifvit.models.coarse_matching import DenseMatchingHead, cell_matches
from ifvit.models.fine_matching import FineMatchingHead, FinePlaces
from ifvit.models.tokens import flatten_mask, to_tokens
from ifvit.models.transformer import (
    LocalFeatureTransformer,
    SiameseTransformer,
    build_transformer,
)


class DenseOutput(NamedTuple):
    """Module 1's output for B pairs with N and M coarse cells."""

    log_p: Float[Array, "B N M"]
    """Log dual-softmax confidence, float32; ``MASKED_LOG_P`` where a cell is masked."""
    feat0: Float[Array, "B N D"]
    feat1: Float[Array, "B M D"]


class DenseRegModel(nnx.Module):
    """ResNet-18, sine position encoding, transformer, dual softmax."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        """Make the networks in the shapes of ``config``, with random weights."""
        self.config = config
        self.ResNet18 = ResNet18(config.backbone_widths, config.d_model, rngs=rngs)
        self.loftr_transformer = build_transformer(config, rngs=rngs)
        self.DenseMatchingHead = DenseMatchingHead(config.d_model, config.temperature, rngs=rngs)
        self.FineMatchingHead = FineMatchingHead(config.d_model, rngs=rngs)

    def __call__(
        self,
        image0: Float[Array, "B H0 W0"],
        image1: Float[Array, "B H1 W1"],
        mask0: Bool[Array, "B h0 w0"] | None = None,
        mask1: Bool[Array, "B h1 w1"] | None = None,
    ) -> DenseOutput:
        """Match the coarse cells of two normalised prints.

        Images have zero mean, about unit variance and 0 outside the foreground; H and W are
        multiples of 8, and may differ between the two. Masks are the foreground cells.
        Raises ValueError for other shapes.
        """
        map0, map1 = self.ResNet18(image0, image1)
        return self.match_maps(map0, map1, mask0, mask1)

    def match_maps(
        self,
        map0: Float[Array, "B h0 w0 D"],
        map1: Float[Array, "B h1 w1 D"],
        mask0: Bool[Array, "B h0 w0"] | None = None,
        mask1: Bool[Array, "B h1 w1"] | None = None,
    ) -> DenseOutput:
        """Match two prints by the backbone's feature maps, each of which serves for many pairs."""
        fix = self.config.temp_bug_fix
        modules = self.loftr_transformer, self.DenseMatchingHead
        return matched_maps(*modules, (map0, map1), (mask0, mask1), fix)

    def refine(
        self,
        maps: tuple[Float[Array, "B h0 w0 D"], Float[Array, "B h1 w1 D"]],
        output: DenseOutput,
        partner0: Int[Array, "B N"],
    ) -> FinePlaces:
        """Return where cells lie relative to their partners, from the maps that gave
        ``output``."""
        rows = maps[0].reshape(output.feat0.shape), maps[1].reshape(output.feat1.shape)
        return self.FineMatchingHead(rows, (output.feat0, output.feat1), partner0)

    def cell_matches(
        self,
        map0: Float[Array, "B h0 w0 D"],
        map1: Float[Array, "B h1 w1 D"],
        mask0: Bool[Array, "B h0 w0"] | None = None,
        mask1: Bool[Array, "B h1 w1"] | None = None,
    ) -> tuple[Array, ...]:
        """Match two prints' maps, and reduce the result to what registration needs.

        Returns partners, confidences, positions and partners of image 1 as
        :func:`ifvit.models.coarse_matching.cell_matches`, the positions refined, and their spread
        in cells.
        """
        output = self.match_maps(map0, map1, mask0, mask1)
        partner0, confidence, position, partner1 = cell_matches(output.log_p, map1.shape[2])
        fine = self.refine((map0, map1), output, partner0)
        return partner0, confidence, position + fine.correction, partner1, fine.spread


def matched_maps(
    transformer: LocalFeatureTransformer | SiameseTransformer,
    head: DenseMatchingHead,
    maps: tuple[Float[Array, "B h0 w0 D"], Float[Array, "B h1 w1 D"]],
    masks: tuple[Bool[Array, "B h0 w0"] | None, Bool[Array, "B h1 w1"] | None],
    temp_bug_fix: bool,
) -> DenseOutput:
    """Match two feature maps by a transformer and a head: those of Module 1, or of Module 2.

    ``temp_bug_fix`` says which position encoding the transformer knows.
    """
    kept0, kept1 = map(flatten_mask, masks, maps)
    tokens0, tokens1 = (to_tokens(one, temp_bug_fix) for one in maps)
    feat0, feat1 = transformer(tokens0, tokens1, kept0, kept1)
    return DenseOutput(head(feat0, feat1, kept0, kept1), feat0, feat1)
