"""Miniatures of mammography data sets in their exact layouts, quirks included."""

import csv
import plistlib

import cv2
import numpy as np
from dicom_files import write_dicom
from miniatures import film, lesion
from pydicom.uid import JPEG2000Lossless

from cxr_jax.pipeline.rle import encode_rle

SHAPE = (96, 72)
CALCIFICATION = (10, 20)
"""Row and column of the single point of an outline."""


def write_rows(path, rows, *, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def _pixels(rng, lesions=()):
    return (film(rng, SHAPE, lesions=lesions) * 4095).astype(np.uint16)


INBREAST_CATEGORIES = ("1", "2", "3", "4a", "4b", "4c", "5", "6")


def inbreast(folder, *, count=8, seed=0):
    """INbreast: semicolons, patients in the files' names alone, blank ACR, outlines from 4a on.

    Images 2k and 2k + 1 are CC and MLO of one patient; the names of files say ML. The last outline
    is one point. Images without lesions have no file of outlines.

    Returns:
      Image -> its mask, bool [height, width].
    """
    rng = np.random.default_rng(seed)
    header = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
    rows, masks = [header.split(";")], {}
    for at in range(count):
        image, side, view = f"{20586908 + 26 * at}", "RL"[at // 2 % 2], ("CC", "MLO")[at % 2]
        category = INBREAST_CATEGORIES[at % 8]
        lesions = [lesion(rng, SHAPE)] if category > "4" else []
        rows.append(
            ("removed", "removed", side, view, 201001, image, ("3", "  ")[at % 2], category)
        )
        name = f"{image}_{at // 2:016x}_MG_{side}_{view.removesuffix('O')}_ANON.dcm"
        write_dicom(folder / "AllDICOMs" / name, _pixels(rng, lesions), bits=12)
        masks[image] = np.any([np.zeros(SHAPE, bool), *lesions], axis=0)
        if lesions:
            outlines = [_outline(found) for found in lesions]
            if at == count - 1:
                outlines.append([CALCIFICATION[::-1]])
                masks[image][CALCIFICATION] = True
            write_outlines(folder / "AllXML" / f"{image}.xml", outlines)
    write_rows(folder / "INbreast.csv", rows, delimiter=";")
    return masks


def _outline(mask):
    (outline,), _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    return outline[:, 0].tolist()


def write_outlines(path, outlines, *, lost=0):
    """A property list as OsiriX writes it; `lost` points are counted but not there."""
    regions = [
        {
            "Area": 1.5,
            "Center": "(0.0, 0.0, 0.0)",
            "IndexInImage": at,
            "Name": "Calcification" if len(outline) == 1 else "Mass",
            "NumberOfPoints": len(outline) + lost,
            "Point_mm": [f"({0.07 * x:f}, {0.07 * y:f}, 0.000000)" for x, y in outline],
            "Point_px": [f"({x:f}, {y:f})" for x, y in outline],
            "Type": 19 if len(outline) == 1 else 15,
        }
        for at, outline in enumerate(outlines)
    ]
    found = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(regions), "ROIs": regions}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(found))


def vindr_mammo(folder, *, studies=6, seed=0):
    """VinDr-Mammo: four images a study, BI-RADS 1 to 5, the last study in the test split.

    The first finding has two categories, and the first image two findings.
    """
    rng = np.random.default_rng(seed)
    common = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads"
    breasts = [f"{common},breast_density,split".split(",")]
    marked = f"{common},breast_density,finding_categories,finding_birads,xmin,ymin,xmax,ymax,split"
    findings = [marked.split(",")]
    for at in range(studies):
        study = f"{at:032x}"
        for number, (side, view) in enumerate((s, v) for s in "LR" for v in ("CC", "MLO")):
            image = f"{16 * (at + 1) + number:032x}"
            category = 1 + (at + (side == "R")) % 5
            split = "test" if at == studies - 1 else "training"
            line = (study, f"{at:031x}a", image, side, view, *SHAPE, f"BI-RADS {category}")
            density = f"DENSITY {'ABCD'[at % 4]}"
            breasts.append((*line, density, split))
            boxes = [("['Mass']", 10.5, 20, 30, 45.25)] if category > 3 else []
            if not at and not number:
                boxes = [("['Mass', 'Skin Thickening']", 1, 2, 3, 4), ("['Asymmetry']", 0, 0, 9, 9)]
            for categories, *corners in boxes:
                findings.append(
                    (*line, density, categories, f"BI-RADS {category}", *corners, split)
                )
            if not boxes:
                findings.append((*line, density, "['No Finding']", *[""] * 5, split))
            path = folder / "images" / study / f"{image}.dicom"
            write_dicom(
                path, _pixels(rng), bits=12, photometric=("MONOCHROME1", "MONOCHROME2")[at % 2]
            )
    write_rows(folder / "breast-level_annotations.csv", breasts)
    write_rows(folder / "finding_annotations.csv", findings)


RSNA_VIEWS = ("CC", "MLO", "AT", "LM", "ML", "LMO")


def rsna_breast(folder, *, patients=6, seed=0):
    """RSNA breast: two views of both breasts and one rare view; every third left breast a cancer.

    Density and BIRADS have blanks; files are JPEG 2000, windows are lists.
    """
    rng = np.random.default_rng(seed)
    header = (
        "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,"
        "density,machine_id,difficult_negative_case"
    )
    rows = [header.split(",")]
    for at in range(patients):
        patient, cancer = 10006 + at, int(at % 3 == 0)
        films = [(side, view) for side in "LR" for view in ("CC", "MLO")]
        for number, (side, view) in enumerate([*films, ("R", RSNA_VIEWS[at % 6])]):
            image = 462822612 + 10 * at + number
            positive = cancer * (side == "L")
            tail = (positive, positive, 0, ("", 1)[at % 2], 0, ("", "B")[at % 2], 29, "False")
            rows.append((2, patient, image, side, view, 61.0, *tail))
            write_dicom(
                folder / "train_images" / f"{patient}" / f"{image}.dcm",
                _pixels(rng),
                bits=12,
                syntax=JPEG2000Lossless,
                WindowCenter=[2000, 1500],
                WindowWidth=[4000, 2500],
            )
    write_rows(folder / "train.csv", rows)


def own_csv(folder, *, count=6, seed=0):
    """A user's table: PNG and DICOM, two findings, masks as files and as run lengths.

    Every third image has an Effusion, with a mask as a file and a Nodule with run lengths; labels
    are blank and -1 too; two images are one patient's.

    Returns:
      Image -> (its labels as text, its mask as bool [height, width]).
    """
    rng = np.random.default_rng(seed)
    header = "path,patient,view,laterality,split,Pleural Effusion,Nodule,mask_Pleural Effusion"
    rows, truth = [[*header.split(","), "rle_Nodule"]], {}
    for at in range(count):
        image, positive = f"images/{at}{('.png', '.dcm')[at % 2]}", at % 3 == 0
        lesions = [lesion(rng, SHAPE)] if positive else []
        path = folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        if at % 2:
            write_dicom(path, _pixels(rng, lesions), bits=12)
        else:
            cv2.imwrite(str(path), (film(rng, SHAPE, lesions=lesions) * 255).astype(np.uint8))
        mask = np.any([np.zeros(SHAPE, bool), *lesions], axis=0)
        if positive:
            (folder / "masks").mkdir(exist_ok=True)
            cv2.imwrite(str(folder / "masks" / f"{at}.png"), mask.astype(np.uint8) * 255)
        labels = (("0", "1.0")[positive], ("", "-1", "1")[at % 3] if not positive else "1")
        files = f"masks/{at}.png" if positive else ""
        split = ("train", "val", "test")[at // 2 % 3]
        rows.append((image, f"p{at // 2}", "pa", "", split, *labels, files, encode_rle(mask)))
        truth[image] = (labels, mask)
    write_rows(folder / "images.csv", rows)
    return truth
