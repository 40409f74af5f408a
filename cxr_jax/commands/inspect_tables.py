"""Counts of a data set's records, as tables: rows of text, the first is the head."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cxr_jax.pipeline.facts import ImageFacts
from cxr_jax.pipeline.record import UNCERTAIN, Record

Table = list[tuple[str, ...]]

MOST_FINDINGS = 15  # beside each other in the table of co-occurrence


def overview(records: Sequence[Record]) -> Table:
    """Images, patients, and how many images a patient has."""
    images = np.array(list(Counter(record.patient for record in records).values()))
    spread = f"{images.min()} to {images.max():,}, median {np.median(images):g}"
    return [
        ("images", "patients", "images a patient"),
        (f"{len(records):,}", f"{len(images):,}", spread),
    ]


def labels(records: Sequence[Record]) -> Table:
    """Of each finding how many images have it, are without it, are uncertain, or not labelled."""
    patients = np.array([record.patient for record in records])
    rows = []
    for finding in findings(records):
        values = np.array([record.labels.get(finding, np.nan) for record in records])
        counts = (
            np.sum(values == 1),
            len(np.unique(patients[values == 1])),
            np.sum(values == 0),
            np.sum(values == UNCERTAIN),
            np.sum(np.isnan(values)),
        )
        rows.append((finding, *(f"{count:,}" for count in counts)))
    head = ("finding", "present", "in patients", "absent", "uncertain", "unknown")
    return [head, *rows]


def by(records: Sequence[Record], what: str) -> Table:
    """Images and patients for each value of a record's field, such as "view"."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(getattr(record, what) or "(none)", []).append(record)
    rows = [
        (value, f"{len(group):,}", f"{len({record.patient for record in group}):,}")
        for value, group in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    return [(what, "images", "patients"), *rows]


def co_occurrence(records: Sequence[Record]) -> Table:
    """How many images have both of two findings; on the diagonal, how many have the one.

    Findings that no image has are left out.
    """
    most = findings(records)[:MOST_FINDINGS]
    most = [f for f in most if any(record.labels.get(f) == 1 for record in records)]
    present = np.array([[r.labels.get(finding) == 1 for finding in most] for r in records], int)
    together = present.T @ present
    rows = [
        (f"{number} {finding}", *(f"{count:,}" for count in counts))
        for number, (finding, counts) in enumerate(zip(most, together, strict=True), 1)
    ]
    return [("", *(str(number) for number in range(1, len(most) + 1))), *rows]


def findings(records: Sequence[Record]) -> list[str]:
    """All findings, the most frequent first."""
    present: Counter[str] = Counter()
    for record in records:
        present.update({name: int(value == 1) for name, value in record.labels.items()})
    return [name for name, _ in present.most_common()]


def files(facts: Sequence[ImageFacts]) -> Table:
    """How many files there are of each size, depth and photometric interpretation."""
    kinds = Counter(
        (f"{fact.width} x {fact.height}", str(fact.bits), fact.photometric or "-")
        for fact in facts
        if not fact.error
    )
    rows = [(*kind, f"{count:,}") for kind, count in kinds.most_common(MOST_FINDINGS)]
    others = sum(count for _, count in kinds.most_common()[MOST_FINDINGS:])
    rows += [(f"{len(kinds) - MOST_FINDINGS:,} others", "", "", f"{others:,}")] if others else []
    return [("width x height", "bits", "photometric interpretation", "files"), *rows]


def duplicates(records: Sequence[Record], facts: Sequence[ImageFacts]) -> list[list[Record]]:
    """Groups of images with the same pixels."""
    groups: dict[str, list[Record]] = {}
    for record, fact in zip(records, facts, strict=True):
        if not fact.error:
            groups.setdefault(fact.fingerprint, []).append(record)
    return [group for group in groups.values() if len(group) > 1]
