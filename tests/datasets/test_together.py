"""Several data sets as one: nobody is taken for another, nothing is invented."""

import numpy as np
import pytest
from miniatures import own_folder, siim
from tiny_run import tiny_config

from cxr_jax.commands.overlap import seen
from cxr_jax.datasets import read, shares_films
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.datasets.together import read_together
from cxr_jax.errors import DataError
from cxr_jax.training import data as data_module
from cxr_jax.training.config_json import to_json
from cxr_jax.training.data import load_data, write_records
from cxr_jax.training.recipe import make_recipe
from cxr_jax.training.saved import SavedRun


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in ("siim", "folder")}
    siim(folders["siim"], count=12)
    own_folder(folders["folder"], count=8)
    return list(folders.items())


def together(sources, tmp_path, **changes):
    config = tiny_config(
        tmp_path / "run",
        tmp_path / "cache",
        dataset=",".join(name for name, _ in sources),
        data_dir=",".join(str(folder) for _, folder in sources),
        **changes,
    )
    return config, load_data(config, tmp_path / "cache")


def test_images_and_patients_bear_their_data_sets_name(sources, tmp_path):
    records = read_together(sources, ReaderConfig(), cache_dir=tmp_path)
    alone = [record for name, folder in sources for record in read(name, folder)]
    assert len(records) == len(alone) == len({record.image for record in records})
    for record, own in zip(records, alone, strict=True):
        assert record.image == f"{record.dataset}/{own.image}"
        assert record.patient == f"{record.dataset}/{own.patient}"
        assert (record.path, record.labels, record.split) == (own.path, own.labels, own.split)


def test_what_a_data_set_does_not_label_is_unknown(sources, tmp_path):
    config, data = together(sources, tmp_path, findings=("Nodule", "Pneumothorax"))
    assert config.asked == data.findings
    for record, row in zip(data.prepared.records, data.labels, strict=True):
        unknown = {"siim": [True, False], "folder": [False, True]}[record.dataset]
        assert np.isnan(row).tolist() == unknown
    for split in ("train", "validation", "test"):
        assert {record.dataset for record in data.records(split)} == {"siim", "folder"}


def test_prescribed_splits_of_one_are_kept_beside_another_without(sources, monkeypatch, tmp_path):
    def prescribing(sources, config, *, cache_dir):
        records = read_together(sources, config, cache_dir=cache_dir)
        for at, record in enumerate(r for r in records if r.dataset == "siim"):
            object.__setattr__(record, "split", ("test", "train_validation")[at % 3 > 0])
        prescribed.update({r.image: r.split for r in records if r.split})
        return records

    prescribed: dict[str, str] = {}
    monkeypatch.setattr(data_module, "read_together", prescribing)
    _, data = together(sources, tmp_path, findings=("Nodule", "Pneumothorax"))
    for record, split in zip(data.prepared.records, data.splits, strict=True):
        if record.dataset == "siim":
            assert (split == "test") == (prescribed[record.image] == "test")


def test_one_finding_is_asked_of_those_that_label_it(sources, tmp_path):
    with pytest.warns(UserWarning, match="no image of folder has a label of Pneumothorax, so"):
        _, data = together(sources, tmp_path, finding="Pneumothorax", negatives="others")
    assert {record.dataset for record in data.prepared.records} == {"siim"}


def test_a_run_of_several_knows_whom_it_learnt_from(sources, tmp_path):
    config, data = together(sources, tmp_path, findings=("Nodule", "Pneumothorax"))
    folder = tmp_path / "run"
    folder.mkdir()
    write_records(folder, data, resume=False)
    (folder / "config.json").write_text(to_json(config))
    saved = SavedRun(
        folder=folder, config=config, recipe=make_recipe(config), variables={}, points={}
    )
    records = read("siim", dict(sources)["siim"])
    found, told = seen(saved, records, dataset="siim", cache_dir=tmp_path / "cache")
    learnt = {
        record.image.removeprefix("siim/")
        for split in ("train", "validation")
        for record in data.records(split)
    }
    assert {records[at].image for at in found} == {r.image for r in records} & learnt
    assert not told


def test_data_sets_of_the_same_films_are_told(sources, tmp_path):
    assert shares_films("nih", "siim,chexpert")
    assert shares_films("nih,chexpert", "nih")
    assert not shares_films("nih,siim", "nih,siim")
    assert not shares_films("nih", "chexpert,padchest")
    with (
        pytest.warns(UserWarning, match="siim and nih show the same films under other names"),
        pytest.raises(DataError, match="Data_Entry"),  # there is no NIH there
    ):
        read_together([sources[0], ("nih", tmp_path)], ReaderConfig(), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "nih,cxr8", "data_dir": "a,b"}, "dataset must be one of .*, got 'cxr8'"),
        ({"dataset": "nih,nih", "data_dir": "a,b"}, "dataset must name different data sets"),
        ({"dataset": "nih,siim", "data_dir": "a"}, "a folder of each of the 2 data sets"),
        ({"dataset": "nih,siim"}, "needs data_dir.*--data_dir=FOLDER,FOLDER"),
    ],
)
def test_sources_that_make_no_sense_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        tiny_config(tmp_path, tmp_path, **changes)


def test_a_comma_in_the_folder_of_one_data_set_is_part_of_its_name(tmp_path):
    config = tiny_config(tmp_path, tmp_path, dataset="csv", data_dir=str(tmp_path / "a,b"))
    assert config.sources == [("csv", tmp_path / "a,b")]
