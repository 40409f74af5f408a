"""Miniatures of data sets in their exact layouts, quirks included, with drawn pictures."""

import csv

import cv2
import numpy as np
from dicom_files import write_dicom
from pydicom.uid import JPEGBaseline8Bit

from cxr_jax.pipeline.rle import encode_rle


def film(rng, shape, *, lesions=()):
    """A grey picture in [0, 1]: a smooth background, and the lesions brighter."""
    height, width = shape
    down, across = np.mgrid[0:height, 0:width] / max(shape)
    waves = np.sin(6 * down + rng.uniform(0, 6)) * np.cos(5 * across + rng.uniform(0, 6))
    picture = 0.35 + 0.1 * waves + 0.02 * cv2.resize(rng.normal(size=(32, 32)), (width, height))
    for lesion in lesions:
        picture += 0.35 * lesion
    return np.clip(picture, 0, 1)


def lesion(rng, shape):
    """An ellipse somewhere in the picture: bool [height, width]."""
    height, width = shape
    centre = (int(rng.uniform(0.25, 0.75) * width), int(rng.uniform(0.25, 0.75) * height))
    axes = (int(rng.uniform(0.06, 0.15) * width), int(rng.uniform(0.06, 0.15) * height))
    drawn = cv2.ellipse(np.zeros(shape, np.uint8), centre, axes, 0, 0, 360, 1, cv2.FILLED)
    return drawn == 1


def siim(folder, *, count=8, table="train-rle.csv", kind="dicom", seed=0):
    """SIIM-ACR: half of the images have masks, the first of them two, far apart in the table.

    Args:
      folder: is made.
      count: images, of count - 1 patients: the last two are one's.
      table: "train-rle.csv" has a blank in its second header, "stage_2_train.csv" has not.
      kind: "dicom" (8-bit JPEG, as in the original) or "png".
      seed: of the pictures.

    Returns:
      Image -> its mask, bool [1024, 1024].
    """
    rng = np.random.default_rng(seed)
    shape = (1024, 1024)
    masks, rows, later = {}, [], []
    for at in range(count):
        image = f"1.2.276.0.7230010.3.1.4.8323329.{1000 + at}.1517875163.{seed:06}"
        lesions = [lesion(rng, shape) for _ in range((at % 2) * (2 if at == 1 else 1))]
        masks[image] = np.any([np.zeros(shape, bool), *lesions], axis=0)
        pixels = (film(rng, shape, lesions=lesions) * 255).astype(np.uint8)
        if kind == "png":
            (folder / "train").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "train" / f"{image}.png"), pixels)
        else:
            study = image.replace(".4.", ".2.", 1)
            write_dicom(
                folder / "dicom-images-train" / study / f"{study}.1" / f"{image}.dcm",
                pixels,
                syntax=JPEGBaseline8Bit,
                frame=cv2.imencode(".jpg", pixels)[1].tobytes(),
                patient=f"patient-{min(at, count - 2)}",
                ViewPosition="AP" if at % 3 else "PA",
            )
        texts = [encode_rle(mask) for mask in lesions] or [["-1", " -1"][at % 4 // 2]]
        rows.append((image, texts[0]))
        later += [(image, text) for text in texts[1:]]
    header = "ImageId, EncodedPixels" if table == "train-rle.csv" else "ImageId,EncodedPixels"
    lines = [header, *(f"{image},{text}" for image, text in rows + later)]
    (folder / table).write_text("\n".join(lines) + "\n")
    return masks


CBIS_COLUMNS = {
    "mass": "patient_id,breast_density,left or right breast,image view,abnormality id,"
    "abnormality type,mass shape,mass margins,assessment,pathology,subtlety,image file path,"
    "cropped image file path,ROI mask file path",
    "calc": "patient_id,breast density,left or right breast,image view,abnormality id,"
    "abnormality type,calc type,calc distribution,assessment,pathology,subtlety,image file path,"
    "cropped image file path,ROI mask file path",
}


def cbis_ddsm(folder, *, layout="tcia", patients=8, seed=0):
    """CBIS-DDSM: CC and MLO of each patient; every other patient has a malignant mass.

    The last patient is in the test set of masses; the one before in the training set of masses and
    in the test set of calcifications. The first film has two abnormalities, one of them malignant,
    and is in the calcifications' training set as benign too. Crop and mask columns are exchanged in
    every other line; the third image's mask is of twice its size; cells of masks end with a line
    end.

    Args:
      folder: is made.
      layout: "tcia" (files as the tables name them), "classic" (folders named by the newer
        downloader) or "jpeg" (Kaggle).
      patients: with a mass, at least 4.
      seed: of the pictures.

    Returns:
      Image -> (1 if malignant else 0, mask as bool [height, width]).
    """
    rng = np.random.default_rng(seed)
    writer = _CbisWriter(folder, layout)
    truth = {}
    films = {}
    for at in range(patients):
        split = "Test" if at == patients - 1 else "Training"
        for view in ("CC", "MLO"):
            side = ("LEFT", "RIGHT")[at % 3 // 2]
            shape = (128 + 8 * (at % 2), 96)
            count = 2 if (at, view) == (0, "CC") else 1
            lesions = [lesion(rng, shape) for _ in range(count)]
            picture = film(rng, shape, lesions=lesions)
            name = f"Mass-{split}_P_{at + 1:05}_{side}_{view}"
            labels = ["MALIGNANT" if at % 2 else "BENIGN"] * count
            if count == 2:
                labels = ["BENIGN_WITHOUT_CALLBACK", "MALIGNANT"]
            scale = 2 if (at, view) == (1, "CC") else 1
            writer.add(name, picture, lesions, labels, scale=scale)
            truth[name] = (float("MALIGNANT" in labels), np.any(lesions, axis=0))
            films[at, view] = (picture, side)
    for at, split in ((0, "Training"), (patients - 2, "Test")):
        picture, side = films[at, "CC"]
        name = f"Calc-{split}_P_{at + 1:05}_{side}_CC"
        found = lesion(rng, picture.shape)
        writer.add(name, picture, [found], ["BENIGN"])
        truth[name] = (truth[f"Mass-Training_P_{at + 1:05}_{side}_CC"][0], found)
    writer.write_tables()
    return truth


class _CbisWriter:
    """Writes images as they are added, and the tables at last."""

    def __init__(self, folder, layout):
        self.folder, self.layout = folder, layout
        self.rows = {(kind, split): [] for kind in CBIS_COLUMNS for split in ("train", "test")}
        self.info = []
        self.files = 0
        self.numbers = {}

    def add(self, name, picture, lesions, labels, *, scale=1):
        kind, split = name.split("-")[0].lower(), "test" if "-Test" in name else "train"
        _, letter, number, side, view = name.split("_")
        image = self._save(name, picture, "full mammogram images")
        for at, (found, label) in enumerate(zip(lesions, labels, strict=True), 1):
            down, across = np.nonzero(found)
            crop = picture[down.min() : down.max() + 1, across.min() : across.max() + 1]
            crop = cv2.resize(crop, (64, 56))
            mask = np.kron(found, np.ones((scale, scale)))
            series = f"{name}_{at}"
            paths = [
                self._save(series, crop, "cropped images", file=1),
                self._save(series, mask, "ROI mask images", is_mask=True),
            ]
            if (self.files // 3) % 2:  # exchanged
                paths.reverse()
            row = [f"{letter}_{number}", 3, side, view, at, kind.replace("calc", "calcification")]
            row += ["OVAL", "SPICULATED", 4, label, 3, image, paths[0], f"{paths[1]}\n"]
            self.rows[kind, split].append(row)

    def _save(self, name, picture, description, *, file=0, is_mask=False):
        """Write one file; the path that the table has for it comes back."""
        self.files += 1
        number = self.numbers.setdefault(name, len(self.numbers))
        study = f"1.3.6.1.4.1.9590.100.1.2.{number:08}"
        # Kaggle's crop and mask share a series.
        series = f"{study}.{1 if self.layout == 'jpeg' else 1 + file}"
        path = f"{name}/{study}/{series}/{file:06}.dcm"
        if self.layout == "jpeg":
            target = self.folder / "jpeg" / series / f"{file + 1}-{self.files:03}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), (picture * 255).astype(np.uint8))
            shown = "Unknown" if is_mask and self.files % 2 else description
            self.info.append(
                (f"CBIS-DDSM/jpeg/{series}/{target.name}", shown, 8 if is_mask else 16)
            )
            return path
        white = np.uint8(255) if is_mask else np.uint16(65535)
        pixels = (picture * white).astype(white.dtype)
        target = self.folder / "CBIS-DDSM" / path
        if self.layout == "classic":
            inside = f"08-07-2016-DDSM-NA-{self.files:05}/1.000000-{description}-{self.files:05}"
            target = self.folder / "CBIS-DDSM" / name / inside / f"1-{file + 1}.dcm"
        write_dicom(target, pixels, patient=name)
        return path

    def write_tables(self):
        folder = self.folder / "csv" if self.layout == "jpeg" else self.folder
        folder.mkdir(exist_ok=True)
        for (kind, split), rows in self.rows.items():
            path = folder / f"{kind}_case_description_{split}_set.csv"
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([CBIS_COLUMNS[kind].split(","), *rows])
        if self.layout == "jpeg":
            with (folder / "dicom_info.csv").open("w", newline="") as file:
                header = ("image_path", "SeriesDescription", "BitsAllocated")
                csv.writer(file).writerows([header, *self.info])


def own_folder(folder, *, count=4, seed=0):
    """A user's images: PNG, JPEG and DICOM of two classes, masks of one of them, patients.csv.

    Args:
      folder: is made.
      count: images a class; two of each class are one patient's.
      seed: of the pictures.

    Returns:
      Image -> its mask, bool [height, width]; empty for the class without finding.
    """
    rng = np.random.default_rng(seed)
    rows, masks = [("image", "patient", "view", "laterality")], {}
    for name in ("normal", "Nodule"):
        for at in range(count):
            shape = (64, 72 + at)
            lesions = [lesion(rng, shape)] if name == "Nodule" else []
            pixels = (film(rng, shape, lesions=lesions) * 255).astype(np.uint8)
            image = f"{name}/{name[0]}{at}{('.png', '.jpg', '.dcm')[at % 3]}"
            path = folder / image
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".dcm":
                write_dicom(path, pixels, patient=f"{name}-{at // 2}")
            else:
                cv2.imwrite(str(path), pixels)
            masks[image] = np.any([np.zeros(shape, bool), *lesions], axis=0)
            if lesions:
                mask = folder / "masks" / f"{path.stem}.png"
                mask.parent.mkdir(exist_ok=True)
                cv2.imwrite(str(mask), lesions[0].astype(np.uint8) * 255)
            rows.append((image, f"{name}-{at // 2}", "pa", ""))
    with (folder / "patients.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "normal" / ".DS_Store").write_bytes(b"x")
    (folder / "normal" / "Thumbs.db").write_bytes(b"x")
    return masks
