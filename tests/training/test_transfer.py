"""Stage 2 keeps the patients of stage 1 where they were, whichever data sets the two are of."""

import pytest
from tiny_run import tiny_config

from cxr_jax.training.config_json import to_json
from cxr_jax.training.mask_config import StagesConfig
from cxr_jax.training.transfer import inherited_splits

ALONE = {"1": "test", "a/2": "train"}
BESIDE = {"siim/1": "test", "siim/a/2": "train"}


@pytest.mark.parametrize(
    ("theirs", "patients", "ours", "expected"),
    [
        ("siim", ("1", "a/2"), "siim", ALONE),
        ("siim", ("1", "a/2"), "siim,folder", BESIDE),
        ("siim,csv", ("siim/1", "siim/a/2", "csv/3"), "siim", ALONE),
        ("siim,csv", ("siim/1", "siim/a/2", "csv/3"), "folder,siim", BESIDE),
        ("csv", ("1", "a/2"), "siim", {}),
    ],
)
def test_splits_are_inherited_by_data_set_and_patient(tmp_path, theirs, patients, ours, expected):
    def config(dataset, **changes):
        return tiny_config(tmp_path, tmp_path, dataset=dataset, data_dir=dataset, **changes)

    (tmp_path / "config.json").write_text(to_json(config(theirs)))
    lines = zip("abc", patients, ("test", "unused", "train"), strict=False)
    rows = "".join(f"{image},{patient},{split},1\n" for image, patient, split in lines)
    (tmp_path / "split.csv").write_text(f"image,patient,split,label\n{rows}")
    stages = StagesConfig(stage="2", source=str(tmp_path))
    assert inherited_splits(config(ours, stages=stages)) == expected


def test_the_same_films_in_one_of_several_data_sets_are_told(tmp_path):
    here = {"dataset": "siim", "data_dir": "a"}
    (tmp_path / "config.json").write_text(to_json(tiny_config(tmp_path, tmp_path, **here)))
    (tmp_path / "split.csv").write_text("image,patient,split,label\na,1,test,1\n")
    stages = StagesConfig(stage="2", source=str(tmp_path))
    both = {"dataset": "siim,nih", "data_dir": "a,b", "stages": stages}
    with pytest.warns(UserWarning, match="siim and siim,nih show the same films"):
        assert inherited_splits(tiny_config(tmp_path, tmp_path, **both)) == {"siim/1": "test"}
