"""Miniatures of chest data sets of DICOM files in their exact layouts, with drawn pictures."""

import json

import numpy as np
from chest_miniatures import picture, table

VINDR_COLUMNS = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,"
    "Edema,Emphysema,Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,"
    "Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,Pneumothorax,"
    "Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis"
)
VINDR_MARKS = (
    {"R8": (), "R9": (), "R10": ()},
    {"R8": ("Cardiomegaly",), "R9": ("Cardiomegaly", "Pleural effusion"), "R10": ("Cardiomegaly",)},
    {"R1": ("Cardiomegaly",), "R2": ("Cardiomegaly", "Cardiomegaly"), "R3": ()},
    {"R1": ("Pneumothorax",), "R2": (), "R3": ()},
)
"""Of each image: reader -> what it boxes."""


def vindr_cxr(folder, *, layout="kaggle", times=1, seed=0):
    """VinDr-CXR: four images of three readers each who agree or not; lines of an image apart.

    Args:
      folder: is made.
      layout: "kaggle", or "physionet", with a test image of one consensus reading.
      times: all this again, of other patients.
      seed: of the pictures.

    Returns:
      The images' names; image i has marks i of VINDR_MARKS.
    """
    rng = np.random.default_rng(seed)
    images = [f"{at:032x}" for at in range(len(VINDR_MARKS) * times)]
    boxes, readings = [], []
    for reader in range(3):  # one reader after the other
        for image, marks in zip(images, VINDR_MARKS * times, strict=True):
            name, found = list(marks.items())[reader]
            for at, finding in enumerate(found):
                boxes.append((image, finding, 3, name, 10 + at, 20, 30.5, 44))
            if not found:
                boxes.append((image, "No finding", 14, name, "", "", "", ""))
            cells = [int(column in found) for column in VINDR_COLUMNS.split(",")]
            readings.append((image, name, *cells, 0, int(not found)))
    for image in images:
        picture(rng, folder / "train" / f"{image}.dicom", bits=12, photometric="MONOCHROME1")
    if layout == "kaggle":
        header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
        table(folder / "train.csv", header, boxes)
        return images
    notes = folder / "annotations"
    header = f"image_id,rad_id,{VINDR_COLUMNS},Other diseases,No finding"
    table(notes / "image_labels_train.csv", header, readings)
    marked = [(box[0], box[3], box[1], *box[4:]) for box in boxes]
    header = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"
    table(notes / "annotations_train.csv", header, marked)
    image = f"{9999:032x}"
    picture(rng, folder / "test" / f"{image}.dicom", bits=12)
    cells = [int(column == "Rib fracture") for column in VINDR_COLUMNS.split(",")]
    header = f"image_id,{VINDR_COLUMNS},Other disease,No finding"
    table(notes / "image_labels_test.csv", header, [(image, *cells, 0, 0)])
    return [*images, image]


RSNA_CLASSES = ("Normal", "Lung Opacity", "No Lung Opacity / Not Normal", "Lung Opacity", "Normal")


def rsna_pneumonia(folder, *, extras=True, times=1, seed=0):
    """RSNA pneumonia: five images, the second with two boxes; the last two are one patient's.

    Args:
      folder: is made.
      extras: also the table of classes and the RSNA's list of the NIH's names.
      times: all this again, of other patients.
      seed: of the pictures.

    Returns:
      The images' names; image i is of class i of RSNA_CLASSES.
    """
    rng = np.random.default_rng(seed)
    kinds = RSNA_CLASSES * times
    images = [f"0004cfab-14fd-4e49-80ba-{at:012x}" for at in range(len(kinds))]
    rows, classes, origin = [], [], []
    for at, (image, kind) in enumerate(zip(images, kinds, strict=True)):
        view = ("PA", "AP")[at % 2]
        path = folder / "stage_2_train_images" / f"{image}.dcm"
        picture(rng, path, patient=image, ViewPosition=view)
        count = {1: 2, 3: 1}.get(at % 5, 0)
        boxes = [(264.0 + box, 152.0, 213.0, 379.0, 1) for box in range(count)]
        for box in boxes or [("", "", "", "", 0)]:
            rows.append((image, *box))
            classes.append((image, kind))
        patient = 7 + at - (at % 5 == 4)
        origin.append({"subset_img_id": image, "img_id": f"{patient:08}_{at % 5:03}.png"})
    table(folder / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", rows)
    if extras:
        table(folder / "stage_2_detailed_class_info.csv", "patientId,class", classes)
        mapping = folder / "pneumonia-challenge-dataset-mappings_2018.json"
        mapping.write_text(json.dumps(origin))
    return images
