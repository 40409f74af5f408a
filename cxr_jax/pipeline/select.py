"""Choose the images that take part in a question, and label them.

Labels are 1 (present), 0 (absent), UNCERTAIN, which `uncertain.settle` makes one of the others, or
NaN (unknown).
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import NO_FINDING, UNCERTAIN, Record

NEGATIVES = ("no_finding", "others")
BLANKS = ("ignore", "zeros")

ALL = ("all",)
"""In the place of findings: all that the data set tells both ways."""

_BESIDE_NO_FINDING = ("Support Devices",)  # what an image without finding may have all the same


def select(
    records: Sequence[Record],
    *,
    finding: str,
    negatives: str = "no_finding",
    views: Sequence[str] = (),
    blanks: str = "ignore",
    keep_uncertain: bool = False,
) -> tuple[list[Record], Float32[np.ndarray, "image 1"]]:
    """Keep the images of two classes: those with a finding, and those to tell them from.

    An image of which it is not known to which class it belongs is left out, and so is one of a data
    set that has no labels of the finding.

    Args:
      records: all images.
      finding: the positive class.
      negatives: "no_finding" takes the images labelled "No Finding" as the negative class and
        leaves those with other findings out; "others" takes all known to be without the finding.
      views: keep only these ("PA", "AP", …); all where empty.
      blanks: as for `label_of`.
      keep_uncertain: whether to keep images whose label is UNCERTAIN too.

    Returns:
      The images kept, in their order, and their labels: 1, 0, and UNCERTAIN where those are kept.

    Raises:
      ValueError: negatives or blanks is another word.
      DataError: a class has no images; the message says what there is.
    """
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, got {negatives!r}")
    _check_known(records, (finding,))
    in_view = _in_view(records, views)
    negative, value = (NO_FINDING, 1) if negatives == "no_finding" else (finding, 0)
    kept, labels = [], []
    for record in in_view:
        label = label_of(record, finding, blanks=blanks)
        if finding not in record.labels or (label == UNCERTAIN and not keep_uncertain):
            continue
        if label not in (1, UNCERTAIN):
            label = 0.0 if label_of(record, negative, blanks=blanks) == value else math.nan
        if not math.isnan(label):
            kept.append(record)
            labels.append(label)
    positives, others = labels.count(1), labels.count(0)
    if not (positives and others):
        raise DataError(
            f"of {len(in_view):,} images, {positives:,} have {finding} and "
            f"{others:,} are its negatives ({negatives}); both classes are needed"
        )
    return kept, np.array(labels, np.float32)[:, None]


def select_findings(
    records: Sequence[Record],
    *,
    findings: Sequence[str],
    views: Sequence[str] = (),
    blanks: str = "ignore",
) -> tuple[list[Record], Float32[np.ndarray, "image finding"]]:
    """Keep the images of which something is known, with a label of each finding.

    Args:
      records, views, blanks: as for `select`.
      findings: what is asked of each image.

    Returns:
      The images with a label that is not NaN, in their order, and a column of labels a finding.

    Raises:
      ValueError: blanks is another word.
      DataError: a finding or all views are not there; the message says what there is.
    """
    _check_known(records, findings)
    in_view = _in_view(records, views)
    labels = np.array(
        [[label_of(record, finding, blanks=blanks) for finding in findings] for record in in_view],
        np.float32,
    )
    known = np.flatnonzero(~np.isnan(labels).all(1))
    return [in_view[at] for at in known], labels[known]


def findings_of(
    records: Sequence[Record], *, views: Sequence[str] = (), blanks: str = "ignore"
) -> tuple[str, ...]:
    """The findings that some image has and some has not, for `select_findings`; in their order.

    Args:
      records, views, blanks: as for `select`.

    Raises:
      ValueError: blanks is another word.
      DataError: there is none.
    """
    in_view = _in_view(records, views)
    values: dict[str, set[float]] = {}
    for record in in_view:
        for name in record.labels:
            values.setdefault(name, set()).add(label_of(record, name, blanks=blanks))
    found = tuple(name for name in values if name != NO_FINDING and {0.0, 1.0} <= values[name])
    if not found:
        raise DataError(
            f"of {len(in_view):,} images, none has a finding that another is known to be without"
        )
    return found


def label_of(record: Record, finding: str, *, blanks: str = "ignore") -> float:
    """The label of a finding: 1, 0, UNCERTAIN or NaN.

    Args:
      blanks: what a finding is that the data set labels but left blank here: "ignore" takes it as
        unknown, unless the image is labelled "No Finding"; "zeros" as absent, as Irvin et al.
        (CheXpert, AAAI 2019) do with what a report does not mention.

    Raises:
      ValueError: blanks is another word.
    """
    if blanks not in BLANKS:
        raise ValueError(f"blanks must be one of {', '.join(BLANKS)}, got {blanks!r}")
    label = record.labels.get(finding)
    if label is None:
        return math.nan
    if math.isnan(label):
        is_clear = record.labels.get(NO_FINDING) == 1 and finding not in _BESIDE_NO_FINDING
        return 0.0 if blanks == "zeros" or is_clear else math.nan
    return label


def _check_known(records: Sequence[Record], findings: Sequence[str]) -> None:
    known = {name for record in records for name in record.labels}
    for finding in findings:
        if finding not in known:
            raise DataError(
                f"no image is labelled for {finding!r}; this data set knows "
                f"{', '.join(sorted(known - {NO_FINDING})) or 'no findings'}"
            )


def _in_view(records: Sequence[Record], views: Sequence[str]) -> list[Record]:
    in_view = [record for record in records if not views or record.view in views]
    if not in_view:
        found = Counter(record.view or "(none)" for record in records)
        raise DataError(
            f"no image has the view {' or '.join(views)}; this data set has "
            f"{', '.join(f'{view}: {count:,}' for view, count in found.most_common())}"
        )
    return in_view
