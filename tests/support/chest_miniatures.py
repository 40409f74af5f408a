"""Miniatures of chest data sets in their exact layouts, quirks included, with drawn pictures."""

import csv
import gzip
import io

import cv2
import numpy as np
from dicom_files import write_dicom
from miniatures import film

SHAPE = (48, 40)


def picture(rng, path, *, bits=8, rgba=False, **elements):
    """Write a drawn film, PNG, JPEG or DICOM, and return its pixels."""
    white = 2**bits - 1
    pixels = (film(rng, SHAPE) * white).astype(np.uint8 if bits <= 8 else np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".dcm", ".dicom"):
        write_dicom(path, pixels, bits=bits, **elements)
    else:
        shown = cv2.merge([pixels, pixels, pixels, np.full_like(pixels, white)]) if rgba else pixels
        cv2.imwrite(str(path), shown)
    return pixels


def table(path, header, rows, *, end="\n", bom=b"", delimiter=","):
    """Write a CSV, compressed if its name ends with .gz; header is a line as it stands."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end, delimiter=delimiter).writerows(rows)
    data = bom + f"{header}{end}{text.getvalue()}".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def nih(folder, *, old=False, archives=True, times=1, seed=0):
    """NIH ChestX-ray14: six images of four patients, one RGBA, boxes, lists, experts' labels.

    Args:
      folder: is made.
      old: the file of 2017 ends with an extra empty column.
      archives: images lie in images_001/images and so on; else in one folder.
      times: all this again, of other patients.
      seed: of the pictures.

    Returns:
      Image -> its findings.
    """
    rng = np.random.default_rng(seed)
    found = [
        ((1, 0), ("Cardiomegaly",)),
        ((1, 1), ("Cardiomegaly", "Pleural_Thickening")),
        ((2, 0), ()),
        ((3, 0), ("Pneumothorax", "Mass")),
        ((3, 1), ("Infiltration",)),
        ((13, 5), ()),
    ]
    truth = {
        f"{patient + 20 * time:08}_{follow_up:03}.png": findings
        for time in range(times)
        for (patient, follow_up), findings in found
    }
    rows = []
    for at, (image, found) in enumerate(truth.items()):
        place = f"images_{at // 3 + 1:03}/images" if archives else "images"
        picture(rng, folder / place / image, rgba=at == 1)
        labels = "|".join(found) or "No Finding"
        patient, follow_up = (int(part) for part in image.removesuffix(".png").split("_"))
        view = ("PA", "AP")[at % 2]
        row = (image, labels, follow_up, patient, 58, "M", view, 2682, 2749, 0.143, 0.143)
        rows.append((*row, "") if old else row)
    name = "Data_Entry_2017.csv" if old else "Data_Entry_2017_v2020.csv"
    table(folder / name, NIH_HEADER + ("," if old else ""), rows)
    train = [image for at, image in enumerate(truth) if at % 6 < 3]
    test = [image for at, image in enumerate(truth) if at % 6 >= 3]
    (folder / "train_val_list.txt").write_text("\n".join(train) + "\n")
    (folder / "test_list.txt").write_text("\n".join(test))
    boxes = [
        ("00000001_000.png", "Cardiomegaly", 329.413756613757, 399.8, 456.2, 382.5),
        ("00000003_001.png", "Infiltrate", 1, 2, 3, 4),
    ]
    table(folder / "BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h],,,", boxes)
    experts = NIH_HEADER + ",Fracture,Pneumothorax,Airspace opacity,Nodule or mass,Set Id"
    read = [
        (*rows[2][:11], "NO", "NO", "YES", "NO", "val"),
        (*rows[3][:11], "YES", "NO", "NO", "YES", "test"),
    ]
    table(folder / "google2019_nih-chest-xray-labels.csv.gz", experts, read)
    return truth


CHEXPERT_HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def chexpert(folder, *, layout="small", times=1, seed=0):
    """CheXpert: five lines of training, two of validation.

    Args:
      folder: is made, the parent of the data set's own.
      layout: "small", or "batches" as the full data set unpacks.
      times: all this again, of other patients.
      seed: of the pictures.

    Returns:
      Image -> (view, cells of its line from "No Finding" on).
    """
    rng = np.random.default_rng(seed)
    prefix = "CheXpert-v1.0-small" if layout == "small" else "CheXpert-v1.0"
    home = folder / (prefix if layout == "small" else f"{prefix} batch 1 (validate & csv)")
    no, yes, maybe = "0.0", "1.0", "-1.0"
    lines = {
        "train": [
            (
                "patient00001/study1/view1_frontal.jpg",
                "Female",
                68,
                "Frontal",
                "AP",
                {0: yes, 13: yes},
            ),
            ("patient00001/study1/view2_lateral.jpg", "Female", 68, "Lateral", "", {2: maybe}),
            (
                "patient00002/study1/view1_frontal.jpg",
                "Unknown",
                0,
                "Frontal",
                "PA",
                {2: yes, 9: no},
            ),
            ("patient00002/study2/view1_frontal.jpg", "Male", 87, "Frontal", "LL", {10: maybe}),
            ("patient30000/study1/view1_frontal.jpg", "Male", 87, "Frontal", "RL", {2: no}),
        ],
        "valid": [
            (
                "patient64541/study1/view1_frontal.jpg",
                "Male",
                73,
                "Frontal",
                "AP",
                dict.fromkeys(range(14), no),
            ),
            (
                "patient64542/study1/view1_frontal.jpg",
                "Male",
                70,
                "Frontal",
                "PA",
                dict.fromkeys(range(14), yes),
            ),
        ],
    }
    truth = {}
    for name, of_table in lines.items():
        rows = []
        for at, (path, sex, age, direction, view, cells) in enumerate(of_table * times):
            number = int(path[7:12]) + 10 * (at // len(of_table))
            path = f"patient{number:05}{path[12:]}"
            place = home / name
            if layout == "batches" and name == "train":
                batch = "2 (train 1)" if path < "patient21514" else "3 (train 2)"
                place = folder / f"{prefix} batch {batch}"
            picture(rng, place / path)
            labels = [cells.get(at, "") for at in range(14)]
            rows.append((f"{prefix}/{name}/{path}", sex, age, direction, view, *labels))
            truth[f"{name}/{path}"] = ("LATERAL" if direction == "Lateral" else view, labels)
        table(home / f"{name}.csv", CHEXPERT_HEADER, rows)
    return truth


MIMIC_LABELS = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,"
    "Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,"
    "Pneumothorax,Support Devices"
)
MIMIC_METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
    "StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
    "PatientOrientationCodeSequence_CodeMeaning"
)


def mimic_cxr(folder, *, compressed=True, times=1, seed=0):
    """MIMIC-CXR-JPG: five images of four studies of three patients; a study without labels.

    Args:
      folder: is made.
      compressed: tables end with .gz, as they come.
      times: all this again, of other patients; in every other time hearts are enlarged, and all
        studies have labels.
      seed: of the pictures.

    Returns:
      Image -> (patient, view, split of the table).
    """
    rng = np.random.default_rng(seed)
    end = ".csv.gz" if compressed else ".csv"
    images = [
        ("02aa804e-bde0afdd-112c0b34-7bc16630-4e384014", 10000032, 50414267, "PA", "train"),
        ("174413ec-4ec4c1f7-34ea26b7-c5f994f8-79ef1962", 10000032, 50414267, "LATERAL", "train"),
        ("2a2277a9-b0ded155-c0de8eb9-c124d10e-82c5caab", 10000032, 53189527, "AP", "train"),
        ("e084de3b-be89b11e-20fe3f9f-9c8d8dfe-4cfd202c", 11000764, 57375967, "", "validate"),
        ("68b5c4b1-227d0485-9cc38c3f-7b84ab51-4b472714", 19999442, 50705954, "LL", "test"),
    ]
    images = [
        (f"{time:08x}{image[8:]}" if time else image, patient + time, study + time, view, split)
        for time in range(times)
        for image, patient, study, view, split in images
    ]
    metadata, splits = [], []
    for image, patient, study, view, split in images:
        picture(rng, folder / f"files/p{str(patient)[:2]}/p{patient}/s{study}/{image}.jpg")
        size = ("CHEST (PA AND LAT)", view, *SHAPE, 21800506, 213014.531, "CHEST (PA AND LAT)")
        metadata.append((image, patient, study, *size, "postero-anterior", "Erect"))
        splits.append((image, study, patient, split))
    blank = [""] * 14
    atelectasis, normal = list(blank), list(blank)
    atelectasis[0], atelectasis[9], atelectasis[1] = "1.0", "-1.0", "0.0"
    normal[8] = "1.0"
    enlarged = ["", "1.0", *blank[2:]]
    labels = []
    for time in range(times):
        labels += [
            (10000032 + time, 50414267 + time, *(enlarged if time % 2 else atelectasis)),
            (10000032 + time, 53189527 + time, *normal),
            (19999442 + time, 50705954 + time, *(enlarged if time % 2 else blank)),
            *([(11000764 + time, 57375967 + time, *enlarged)] if time % 2 else []),
        ]
    other = [(10000032, 50414267, *normal), *labels[1:]]
    start = folder / "mimic-cxr-2.0.0-"
    table(start.with_name(f"{start.name}metadata{end}"), MIMIC_METADATA, metadata)
    table(start.with_name(f"{start.name}split{end}"), "dicom_id,study_id,subject_id,split", splits)
    table(start.with_name(f"{start.name}chexpert{end}"), MIMIC_LABELS, labels)
    table(start.with_name(f"{start.name}negbio{end}"), MIMIC_LABELS, other)
    return {image: (str(patient), view, split) for image, patient, _, view, split in images}


PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
PADCHEST_HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
    "ViewPosition_DICOM,Projection,MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,"
    "PhotometricInterpretation_DICOM,PixelRepresentation_DICOM,PixelAspectRatio_DICOM,"
    "SpatialResolution_DICOM,BitsStored_DICOM,WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,"
    "Columns_DICOM,XRayTubeCurrent_DICOM,Exposure_DICOM,ExposureInuAs_DICOM,ExposureTime,"
    "RelativeXRayExposure_DICOM,ReportID,Report,MethodLabel,Labels,Localizations,"
    "LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
)
PADCHEST_LABELS = (
    "['normal']",
    "['cardiomegaly', ' pleural effusion', 'rib fracture', 'unchanged']",
    "['pulmonary mass', ' cardiomegaly ']",
    "['unchanged']",
    "['exclude', 'cardiomegaly']",
    "",
    "['normal', 'scoliosis']",
    "[]",
    "nan",
    """['laminar atelectasis', "chilaiditi's sign", nan]""",
)


def padchest(folder, *, flat=False, compressed=False, times=1, seed=0):
    """PadChest: ten images of nine patients, 16 bits; the third is not there, the fourth truncated.

    Args:
      folder: is made.
      flat: all images in one folder.
      compressed: the table ends with .gz, as it comes.
      times: all this again, of other patients.
      seed: of the pictures.

    Returns:
      The images' names; image i has label i of PADCHEST_LABELS.
    """
    rng = np.random.default_rng(seed)
    views = ("PA", "AP", "AP_horizontal", "L", "COSTAL", "PA", "PA", "PA", "PA", "L")
    images, rows = [], []
    lines = list(zip(PADCHEST_LABELS, views, strict=True)) * times
    for at, (labels, view) in enumerate(lines):
        image = f"21684011136696401281920706111201030714{at:06}_04-014-084.png"
        place = (0, 11, 54)[at % 3]
        path = folder / ("" if flat else str(place)) / image
        picture(rng, path, bits=16)
        if at == 2:
            path.unlink()
        if at == 3:
            path.write_bytes(path.read_bytes()[:-40])
        patient = 839860488694292331637988235681460987 + at - (at % 10 == 9)
        row = [at, image, place, 20140915, 20536686640136348236148679891455886468, patient, 1930.0]
        row += [
            "F",
            "POSTEROANTERIOR",
            view,
            "Manual review of DICOM fields",
            "No",
            "CR",
            "ImagingD",
        ]
        row += [
            "MONOCHROME2",
            0,
            "",
            "0.15",
            12,
            2048,
            4095,
            *SHAPE,
            200,
            5,
            "",
            25,
            1420.16,
            4765777,
        ]
        row += [
            "sin hallazg patolog edad pacient . ",
            "Physician",
            labels,
            "[]",
            "[['normal', []]]",
        ]
        images.append(image)
        rows.append([*row, "[]", "[]"])
    table(folder / (PADCHEST + (".gz" if compressed else "")), PADCHEST_HEADER, rows)
    return images
