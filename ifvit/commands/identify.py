"""``ifvit identify``: a data set searched for every other print."""

from __future__ import annotations

from ifvit.evaluation.identification import RANKS, IdentifyConfig, identify
from ifvit.files import check_output
from ifvit.weights.pretrained import module_files

Settings = IdentifyConfig


def run(config: IdentifyConfig) -> None:
    """Search a gallery, and print the rates."""
    module_files(config.dense_ckpt, config.matcher_ckpt)
    check_output(config.out)
    found = identify(config)
    print(f"{found.probes} probes, gallery of {found.gallery}")
    for rank in RANKS:
        if rank <= found.gallery:
            print(f"rank {rank:<3} {100 * found.cmc[rank - 1]:.2f} %")
    print(f"The whole curve is in {config.out}")
