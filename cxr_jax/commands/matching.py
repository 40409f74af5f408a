"""What a data set knows of the findings that a run was trained for."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from cxr_jax.errors import DataError
from cxr_jax.pipeline.findings import canonical, spelling
from cxr_jax.pipeline.record import NO_FINDING, Record
from cxr_jax.pipeline.select import select, select_findings
from cxr_jax.pipeline.uncertain import settle
from cxr_jax.training.config import Config


def match_findings(
    config: Config, records: Sequence[Record], *, named: str | None
) -> tuple[dict[str, str], list[str]]:
    """The data set's names of a run's findings.

    Args:
      config: the run's.
      records: of the data set.
      named: what to take instead of one finding's name; None to go by the names.

    Returns:
      Finding → its name there; and why others are missing, which several may be.

    Raises:
      DataError: as of `match_finding`, where the run has one finding or none is there.
    """
    if not config.findings:
        return {config.finding: match_finding(config.finding, records, named=named)}, []
    if named is not None:
        raise DataError("--finding goes with a run of one finding; this one's go by their names")
    matched: dict[str, str] = {}
    missing: list[DataError] = []
    for finding in config.findings:
        try:
            matched[finding] = match_finding(finding, records, named=None)
        except DataError as error:
            missing.append(error)
    if not matched:
        raise missing[0]
    return matched, [str(error).split(";")[0] for error in missing]


def match_finding(finding: str, records: Sequence[Record], *, named: str | None) -> str:
    """The data set's name of a finding.

    Args:
      finding: the run's.
      records: of the data set.
      named: what to take instead; None to go by the name.

    Raises:
      DataError: the data set has no such finding, or several.
    """
    known = sorted({name for record in records for name in record.labels} - {NO_FINDING})
    if named is not None and named in known:
        return named
    wanted = spelling(canonical(named or finding))
    alike = [name for name in known if spelling(canonical(name)) == wanted]
    if len(alike) == 1:
        return alike[0]
    raise DataError(
        f"{named or finding}: {'several' if alike else 'none'} of the data set's findings "
        f"{'have' if alike else 'has'} this name; the run was trained for {finding}, the data set "
        f"knows {', '.join(known) or 'no findings'}; name the one that means the same by --finding"
    )


def label(
    config: Config,
    records: Sequence[Record],
    matched: Mapping[str, str],
    *,
    negatives: str,
    views: Sequence[str],
) -> tuple[list[Record], Float32[np.ndarray, "image finding"]]:
    """Select the images of a run's question, and label them in the order of its findings.

    Args:
      config: the run's.
      records: of the data set.
      matched: finding → its name there; those that are missing are unknown in all images.
      negatives, views: as for `select`.

    Raises:
      DataError: there are no such images, or of one finding not both classes.
    """
    if not config.findings:
        (name,) = matched.values()
        return select(records, finding=name, negatives=negatives, views=views, blanks=config.blanks)
    kept, known = select_findings(
        records, findings=tuple(matched.values()), views=views, blanks=config.blanks
    )
    labels = np.full((len(kept), len(config.findings)), np.nan, np.float32)
    labels[:, [config.findings.index(finding) for finding in matched]] = known
    return kept, settle(labels, policy="ignore", seed=0)
