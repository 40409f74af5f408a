"""Choose the images that take part in a binary question, and label them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import NO_FINDING, Record

NEGATIVES = ("no_finding", "others")


def select(
    records: Sequence[Record],
    *,
    finding: str,
    negatives: str = "no_finding",
    views: Sequence[str] = (),
) -> tuple[list[Record], Float32[np.ndarray, "image 1"]]:
    """Keep the images of two classes: those with a finding, and those to tell them from.

    An image of which it is not known to which class it belongs is left out.

    Args:
      records: all images.
      finding: the positive class.
      negatives: "no_finding" takes the images labelled "No Finding" as the negative class and
        leaves those with other findings out; "others" takes all known to be without the finding.
      views: keep only these ("PA", "AP", …); all where empty.

    Returns:
      The images kept, in their order, and their labels, 1 or 0.

    Raises:
      ValueError: negatives is another word.
      DataError: a class has no images; the message says what there is.
    """
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, got {negatives!r}")
    known = {name for record in records for name in record.labels}
    if finding not in known:
        raise DataError(
            f"no image is labelled for {finding!r}; this data set knows "
            f"{', '.join(sorted(known - {NO_FINDING})) or 'no findings'}"
        )
    in_view = [record for record in records if not views or record.view in views]
    if not in_view:
        found = Counter(record.view or "(none)" for record in records)
        raise DataError(
            f"no image has the view {' or '.join(views)}; this data set has "
            f"{', '.join(f'{view}: {count:,}' for view, count in found.most_common())}"
        )
    negative, value = (NO_FINDING, 1) if negatives == "no_finding" else (finding, 0)
    kept, labels = [], []
    for record in in_view:
        is_positive = record.labels.get(finding) == 1
        if is_positive or record.labels.get(negative) == value:
            kept.append(record)
            labels.append(is_positive)
    positives = sum(labels)
    if positives in (0, len(labels)):
        raise DataError(
            f"of {len(in_view):,} images, {positives:,} have {finding} and "
            f"{len(labels) - positives:,} are its negatives ({negatives}); both classes are needed"
        )
    return kept, np.array(labels, np.float32)[:, None]
