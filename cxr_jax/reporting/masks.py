"""The report's section on masks: how well they are drawn, and some of them to look at."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from cxr_jax.evaluation import Estimate, MaskPredictions
from cxr_jax.mask_rule import MaskRule
from cxr_jax.reporting.page import Section

_TRUE, _DRAWN = "#2ecc71", "#e4572e"
_SHOWN = 8


def masks_section(
    estimates: Mapping[str, Estimate],
    masks: MaskPredictions,
    example: Callable[[int], Mapping[str, np.ndarray]],
    names: Sequence[str],
    rule: MaskRule,
) -> Section:
    """Dice in a table, and a figure of images from the worst to the best.

    Args:
      estimates: by what they are of.
      masks: predictions of the test split, probabilities kept.
      example: position in the test split → "image" [height, width, 1] and "mask" [height, width,
        mask]; asked for those alone that are shown.
      names: of the test images.
      rule: decides the masks.
    """
    return Section(
        title="Masks",
        text=[
            "Dice is 2 |A ∩ B| / (|A| + |B|), 1 where both masks are empty, as SIIM-ACR scores it; "
            "of the masks as the network sees them, cropped and resized with their images.",
            f"An image has a mask where a pixel, and at least {rule.area:.4g} of all, reach "
            f"{rule.top:g}; it takes all pixels that reach {rule.floor:g}.",
        ],
        table=[("mean Dice", "test"), *((name, str(value)) for name, value in estimates.items())],
        figure=("masks", _sheet(masks, example, names, rule)),
        caption="Test images with a mask, from the worst drawn to the best. Green: the true "
        "outline; red: the drawn one.",
    )


def _sheet(
    masks: MaskPredictions,
    example: Callable[[int], Mapping[str, np.ndarray]],
    names: Sequence[str],
    rule: MaskRule,
) -> Figure:
    assert masks.probabilities is not None
    there = np.flatnonzero(masks.present.any(-1))
    worst_first = there[np.argsort(masks.dice[there].mean(-1))]
    shown = worst_first[np.linspace(0, max(len(there) - 1, 0), min(_SHOWN, len(there)), dtype=int)]
    rows = max(1, -(-len(shown) // 4))
    figure = Figure(figsize=(11, 2.9 * rows), layout="constrained")
    for axes in figure.subplots(rows, 4, squeeze=False).flat:
        axes.set_axis_off()
    for axes, at in zip(figure.axes, shown, strict=False):
        film = example(at)
        image = film["image"][..., 0]
        axes.imshow(image, cmap="gray", vmin=0, vmax=np.iinfo(image.dtype).max)
        decided = rule.decide(np.moveaxis(masks.probabilities[at], -1, 0) / 255.0)
        for channel, drawn in enumerate(decided):
            for mask, colour in ((film["mask"][..., channel], _TRUE), (drawn, _DRAWN)):
                if mask.any():
                    axes.contour(mask, [0.5], colors=colour, linewidths=1)
        axes.set_title(f"{masks.dice[at].mean():.2f}  {_short(names[at])}", fontsize=8)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"…{name[-23:]}"
