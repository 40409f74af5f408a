import doctest

import pytest

from cxr_jax.datasets import nih
from cxr_jax.pipeline import findings
from cxr_jax.pipeline.findings import BREAST, CHEST, PADCHEST, canonical
from cxr_jax.pipeline.record import NO_FINDING

CHEXPERT = [
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
]


def test_nih_and_chexpert_are_in_the_vocabulary():
    assert set(nih.FINDINGS) <= CHEST.keys()
    assert {canonical(name) for name in CHEXPERT} <= CHEST.keys()
    assert [name for name in CHEXPERT if canonical(name) != name] == ["Pleural Effusion"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Pleural effusion", "Effusion"),
        ("pleural thickening", "Pleural_Thickening"),
        ("Infiltrate", "Infiltration"),
        (" cardiomegaly ", "Cardiomegaly"),
        ("No finding", NO_FINDING),
        ("normal", NO_FINDING),
        ("aortic elongation", "aortic elongation"),
    ],
)
def test_names_of_data_sets_become_the_vocabularys(name, expected):
    assert canonical(name) == expected


def test_a_name_means_one_finding():
    for finding in (*CHEST, *BREAST, *PADCHEST):
        assert canonical(finding) == finding
    for finding, kinds in PADCHEST.items():
        assert finding in CHEST
        assert all(canonical(kind) == kind for kind in kinds)


def test_docstring_examples_hold():
    results = doctest.testmod(findings)
    assert results.attempted
    assert not results.failed
