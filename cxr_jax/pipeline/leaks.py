"""The same pixels under two names: what is learnt from one must not be tested on the other."""

from collections.abc import Sequence

from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Record

ON_LEAK = ("fail", "skip")

_PRECEDENCE = ("test", "validation", "train")


def without_leaks(
    records: Sequence[Record], splits: Sequence[str], fingerprints: Sequence[str], *, on_leak: str
) -> list[str]:
    """Find images that are in two splits under different names.

    Args:
      records: all images.
      splits: of each: "train", "validation", "test", or another word for those that take no part.
      fingerprints: of each image's pixels.
      on_leak: "fail" refuses them; "skip" leaves such images in the test split, or where none of
        them is there in the validation split, and makes the others "unused".

    Returns:
      The splits.

    Raises:
      ValueError: on_leak is another word.
      DataError: there are such images and on_leak is "fail"; the first are listed.
    """
    if on_leak not in ON_LEAK:
        raise ValueError(f"on_leak must be one of {', '.join(ON_LEAK)}, got {on_leak!r}")
    first: dict[str, int] = {}
    for split in _PRECEDENCE:
        for at, (own, fingerprint) in enumerate(zip(splits, fingerprints, strict=True)):
            if own == split:
                first.setdefault(fingerprint, at)
    leaks = [
        (at, first[fingerprint])
        for at, (split, fingerprint) in enumerate(zip(splits, fingerprints, strict=True))
        if split in _PRECEDENCE and split != splits[first[fingerprint]]
    ]
    if leaks and on_leak == "fail":
        examples = "; ".join(
            f"{records[at].image} in {splits[at]} is {records[there].image} in {splits[there]}"
            for at, there in leaks[:3]
        )
        raise DataError(
            f"{len(leaks):,} images have the same pixels as one of another split: {examples}; "
            "remove them, or leave them out with --on_leak=skip"
        )
    leaking = {at for at, _ in leaks}
    return ["unused" if at in leaking else split for at, split in enumerate(splits)]
