"""The gallery: what a recipe does to a film, one picture after the other, and to its label."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from scipy import stats

from cxr_jax.augment import AugmentConfig, extremes
from cxr_jax.host_image import HostImage
from cxr_jax.labels import smooth_one_hot
from cxr_jax.mixup import mix
from cxr_jax.preprocess import Crop, PreprocessConfig, preprocess
from cxr_jax.reporting.page import Section
from cxr_jax.reporting.sheets import Titled, drawn_pictures, end_pictures, grid, stage_pictures

_AUGMENTATIONS = (
    "Each at both ends of its range. A positive rotation turns clockwise; a positive shift moves "
    "the content up or to the left; a zoom below 1 magnifies."
)
_DRAWS = 8
_MIXES = (1.0, 0.75, 0.5, 0.0)  # λ


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film:
    """A radiograph, and how its sections and figures are called."""

    title: str
    figure: str
    pixels: HostImage


def film_sections(
    key: Key[Array, ""],
    film: Film,
    *,
    preprocessing: PreprocessConfig,
    augmentation: AugmentConfig,
) -> list[Section]:
    """Show the stages of preprocessing, the ends of each augmentation's range, and draws of all.

    Augmentations that are off are shown too, at ranges to try, unless all of them are.

    Raises:
      ValueError: the crop leaves nothing of the film.
    """
    stages = stage_pictures(film.pixels, preprocessing)
    sections = [
        Section(
            title=f"Preprocessing, {film.title}",
            figure=(f"preprocessing_{film.figure}", grid(stages, across=3)),
            caption=_stages_caption(preprocessing),
        )
    ]
    if not augmentation.enabled:
        return sections
    prepared = stages[-1][1]
    drawn = drawn_pictures(key, prepared[..., None], augmentation, count=_DRAWS)
    sections += [
        Section(
            title=f"Augmentations alone, {film.title}",
            figure=(f"augmentations_{film.figure}", grid(_pairs(prepared, augmentation), across=4)),
            caption=_AUGMENTATIONS if not augmentation.keras else "",
        ),
        Section(
            title=f"Augmentations together, {film.title}",
            figure=(f"draws_{film.figure}", grid(drawn, across=4)),
            caption="As training draws them.",
        ),
    ]
    off = _what_is_off(augmentation)
    if extremes(off):
        sections.append(
            Section(
                title=f"Augmentations that are off, {film.title}",
                figure=(f"off_{film.figure}", grid(_pairs(prepared, off), across=4)),
                caption="Training has none of them. These are ranges that one might try.",
            )
        )
    return sections


def target_sections(
    films: Sequence[HostImage],
    targets: Sequence[float],
    *,
    finding: str,
    preprocessing: PreprocessConfig,
    label_smoothing: float,
    mixup_alpha: float,
) -> list[Section]:
    """Show smoothed labels, and mixes of two films with theirs.

    Args:
      films: two.
      targets: theirs, 1 where the finding is present, else 0.
    """
    smoothed = smooth_one_hot(
        jnp.stack([1.0 - jnp.array(targets), jnp.array(targets)], axis=-1),
        smoothing=label_smoothing,
    )
    sections = [
        Section(
            title=f"Label smoothing, ε = {label_smoothing:g}",
            text=["The true class gets 1 − ε, the other ε."],
            table=[
                ("", f"no {finding}", finding),
                *(
                    (f"film {i + 1}", f"{row[0]:.2f}", f"{row[1]:.2f}")
                    for i, row in enumerate(smoothed)
                ),
            ],
        )
    ]
    if mixup_alpha == 0:
        return sections
    prepared = np.stack([preprocess(film, preprocessing) for film in films])
    batch = {"image": jnp.asarray(prepared, jnp.float32) / np.iinfo(prepared.dtype).max}
    batch["target"] = smoothed
    between = stats.beta(mixup_alpha, mixup_alpha)
    share = between.cdf(0.9) - between.cdf(0.1)
    return [
        *sections,
        Section(
            title=f"Mixup, λ ~ Beta({mixup_alpha:g}, {mixup_alpha:g})",
            text=[
                "λ of film 1 and 1 − λ of film 2 are added up, and so are their labels. "
                f"{100 * share:.0f} % of the draws of λ lie between 0.1 and 0.9."
            ],
            figure=("mixup", grid([_mixed(batch, lam, finding) for lam in _MIXES], across=4)),
        ),
    ]


def settings_section(title: str, *configs: Any) -> Section:
    """A table of configs' values, with their flag, help and unit."""
    rows = [
        (
            f"--{field.metadata['flag'] or field.name}",
            field.metadata["help"],
            _show(getattr(config, field.name)),
            field.metadata["unit"] or "",
        )
        for config in configs
        for field in dataclasses.fields(config)
        if "help" in field.metadata
    ]
    return Section(title=title, table=[("flag", "setting", "value", "unit"), *rows])


def _stages_caption(config: PreprocessConfig) -> str:
    across, down = config.clahe_tiles
    crop, limit = config.crop, config.clahe_clip_limit
    mirrored = " Mirrored: breasts that lie on the right." if config.mirror_right else ""
    clahe = f" CLAHE: clip limit {limit:g}, {across} x {down} tiles." if limit else ""
    proportions = "" if config.keep_aspect else ", whatever the film's proportions"
    return (
        f"Crop: {crop.left:g} of the width off the left and {crop.right:g} off the right, "
        f"{crop.top:g} of the height off the top and {crop.bottom:g} off the bottom."
        f"{mirrored}{clahe} The network gets the last picture, a square{proportions}. Sizes are in "
        "pixels, width x height."
    )


def _show(value: Any) -> str:
    if isinstance(value, Crop):
        return ", ".join(f"{cut:g}" for cut in dataclasses.astuple(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _what_is_off(config: AugmentConfig) -> AugmentConfig:
    """Ranges to try of all augmentations that a config leaves out, and none of the others."""
    every = AugmentConfig(
        contrast=0.3, gamma=0.3, noise=0.05, erase=0.5, clahe=0.5, fill=config.fill
    )
    on: dict[str, Any] = dict.fromkeys(extremes(config), 0.0)
    return dataclasses.replace(every, **on)


def _pairs(prepared: HostImage, config: AugmentConfig) -> list[Titled | None]:
    """Both ends beside each other, two pairs a row; first the image, and what has one end only."""
    ends = end_pictures(prepared[..., None], config)
    single = [("prepared", prepared), *(high for low, high in ends if low is None)]
    empty = [None] * (len(single) % 2)
    pairs = [pair for pair in ends if pair[0] is not None]
    return [*single, *empty, *(end for pair in pairs for end in pair)]


def _mixed(batch: dict[str, Array], lam: float, finding: str) -> Titled:
    mixed = mix(batch, lam)
    share = float(mixed["target"][0, 1])
    name = {1.0: "film 1", 0.0: "film 2"}.get(lam, f"λ = {lam:g}")
    return f"{name}: {finding} {share:.2f}", np.asarray(mixed["image"][0])
