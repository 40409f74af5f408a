"""What a user may decide about how a data set's labels are read."""

import dataclasses

from cxr_jax.settings import check_fields, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """Options of readers. A reader takes those that its `read` has as arguments.

    Raises:
      ValueError: a value is none of its choices, or outside of its range.
    """

    readers: str = setting(
        "majority",
        "vindr_cxr: a finding is present if any, the majority, or --reader_count of an image's "
        "three radiologists marked it",
        choices=("any", "majority", "count"),
    )
    reader_count: int = setting(3, "vindr_cxr: see --readers=count", unit="radiologists")
    labeller: str = setting(
        "chexpert", "mimic_cxr: the program that read the reports", choices=("chexpert", "negbio")
    )
    nih_labels: str = setting(
        "mined",
        "nih: labels mined from reports; or the four findings of the radiologists of Google's "
        "relabelling, and only the images that they saw",
        choices=("mined", "expert"),
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.reader_count <= 3:
            raise ValueError(f"reader_count must be in [1, 3], got {self.reader_count}")
