"""What torchxrayvision's seven DenseNet-121 know beside their weights: labels, operating points.

Cohen et al.: TorchXRayVision: A library of chest X-ray datasets and models, MIDL 2022
(https://github.com/mlmed/torchxrayvision). The tables are those of its version 1.5.7 (Apache-2.0),
which the published files themselves do not hold.
"""

import dataclasses
import math
from pathlib import Path

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

# Its images are within [-1024, 1024]: (2 x - 1) 1024 of x in [0, 1].
MEAN, STD = 0.5, 1 / 2048

_PATHOLOGIES = (
    "Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema",
    "Fibrosis", "Effusion", "Pneumonia", "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass",
    "Hernia", "Lung Lesion", "Fracture", "Lung Opacity", "Enlarged Cardiomediastinum",
)  # fmt: skip
_FILE = "-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
_NAN = math.nan

# What stands before _FILE in the name of a published file -> its operating points, NaN where the
# output was not trained.
_THRESHOLDS = {
    "nih-pc-chex-mimic_ch-google-openi-kaggle": (
        0.07422872, 0.038290843, 0.09814756, 0.0098118475, 0.023601074, 0.0022490358, 0.010060724,
        0.103246614, 0.056810737, 0.026791653, 0.050318155, 0.023985857, 0.01939503, 0.042889766,
        0.053369623, 0.035975814, 0.20204692, 0.05015312,
    ),
    "nih": (
        0.039117552, 0.0034529066, 0.11396341, 0.0057298196, 0.00045666535, 0.0018880932,
        0.012037827, 0.038744126, 0.0037213727, 0.014730946, 0.016149804, 0.054241467, 0.037198864,
        0.0004403434, _NAN, _NAN, _NAN, _NAN,
    ),
    "pc": (
        0.031012505, 0.013347598, 0.081435576, 0.001262615, 0.002587246, 0.0035944257, 0.0023071,
        0.055412333, 0.044385884, 0.042766232, 0.043258056, 0.037629247, 0.005658899, 0.0091741895,
        _NAN, 0.026507627, _NAN, _NAN,
    ),
    "chex": (
        0.1988969, 0.05710573, _NAN, 0.0531293, 0.1435217, _NAN, _NAN, 0.27212676, 0.07749717,
        _NAN, 0.19712369, _NAN, _NAN, _NAN, 0.09932402, 0.09273402, 0.3270967, 0.10888247,
    ),
    "kaggle": (
        _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, 0.13486601, _NAN, _NAN, _NAN, _NAN, _NAN,
        _NAN, _NAN, 0.13511065, _NAN,
    ),
    "mimic_nb": (
        0.08558747, 0.011884617, _NAN, 0.0040595434, 0.010733786, _NAN, _NAN, 0.118761964,
        0.022924708, _NAN, 0.06358637, _NAN, _NAN, _NAN, 0.022143636, 0.017476924, 0.1258702,
        0.014020768,
    ),
    "mimic_ch": (
        0.09121389, 0.010573786, _NAN, 0.005023008, 0.003698257, _NAN, _NAN, 0.08001232,
        0.037242252, _NAN, 0.05006329, _NAN, _NAN, _NAN, 0.019866971, 0.03823637, 0.11303808,
        0.0069147074,
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the outputs of published weights mean.

    Attributes:
      labels: findings, "" for an output that was not trained.
      thresholds: operating points, probabilities; NaN for such an output.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]


def published(path: Path) -> Outputs | None:
    """Tell the outputs of one of the seven files by its name; None of any other."""
    thresholds = _THRESHOLDS.get(path.name.removesuffix(_FILE))
    if thresholds is None or not path.name.endswith(_FILE):
        return None
    labels = tuple(
        "" if math.isnan(threshold) else name
        for name, threshold in zip(_PATHOLOGIES, thresholds, strict=True)
    )
    return Outputs(labels=labels, thresholds=thresholds)


def normalise_by_threshold(
    probabilities: Float[Array, "*batch class"], thresholds: Float[ArrayLike, "class"]
) -> Float[Array, "*batch class"]:
    """Rescale probabilities so that each finding's operating point becomes 0.5.

    Linear from 0 to the threshold and from there to 1. Equals torchxrayvision's `op_norm`.

    Args:
      probabilities: sigmoids of the logits.
      thresholds: in (0, 1); NaN where there is none, which gives 0.5.
    """
    given = jnp.asarray(thresholds)
    known = ~jnp.isnan(given)
    t = jnp.where(known, given, 0.5)  # no NaN in any branch, so that gradients are finite
    below, above = probabilities / (2 * t), 1 - (1 - probabilities) / (2 * (1 - t))
    return jnp.where(known, jnp.where(probabilities < t, below, above), 0.5)
