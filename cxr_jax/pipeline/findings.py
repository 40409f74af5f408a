"""One vocabulary of findings, so that data sets of different words can be asked the same.

The names of chest findings are those of torchxrayvision, which are the NIH's where it has one:
https://github.com/mlmed/torchxrayvision. A data set's own name that is in no table stays as it is.
"""

import re

from cxr_jax.pipeline.record import NO_FINDING

CHEST: dict[str, tuple[str, ...]] = {
    "Atelectasis": (),
    "Cardiomegaly": (),
    "Consolidation": (),
    "Edema": ("pulmonary edema",),
    "Effusion": ("pleural effusion",),
    "Emphysema": (),
    "Enlarged Cardiomediastinum": (),
    "Fibrosis": ("pulmonary fibrosis",),
    "Fracture": (),
    "Hernia": (),
    "Infiltration": ("infiltrate", "infiltrates"),
    "Lung Lesion": (),
    "Lung Opacity": ("airspace opacity",),
    "Mass": (),
    "Nodule": (),
    "Nodule/Mass": ("nodule or mass",),
    "Pleural Other": (),
    "Pleural_Thickening": (),
    "Pneumonia": (),
    "Pneumothorax": (),
    "Support Devices": (),
}
"""Finding of a chest radiograph -> other names of the same."""

BREAST: dict[str, tuple[str, ...]] = {
    # Of the breast: it has cancer, or it has not.
    "Cancer": (),
    # Of its lesions: one is malignant, or all are benign; unknown where there is none.
    "Malignant": (),
    # Of what a reader says without a biopsy: BI-RADS 4, 5 or 6; and 5 or 6.
    "Suspicious": (),
    "Highly Suspicious": (),
    "Mass": (),
    "Calcification": (),
    "Suspicious Calcification": (),
    "Asymmetry": (),
    "Focal Asymmetry": (),
    "Global Asymmetry": (),
    "Architectural Distortion": ("distortion",),
    "Skin Thickening": (),
    "Skin Retraction": (),
    "Nipple Retraction": (),
    "Suspicious Lymph Node": (),
}
"""Finding of a mammogram -> other names of the same."""

PADCHEST: dict[str, tuple[str, ...]] = {
    "Atelectasis": (
        "total atelectasis",
        "lobar atelectasis",
        "segmental atelectasis",
        "laminar atelectasis",
        "round atelectasis",
        "atelectasis basal",
    ),
    "Effusion": (
        "loculated pleural effusion",
        "loculated fissural effusion",
        "hydropneumothorax",
        "empyema",
    ),
    "Fracture": (
        "rib fracture",
        "callus rib fracture",
        "vertebral fracture",
        "clavicle fracture",
        "humeral fracture",
    ),
    "Hernia": ("hiatal hernia",),
    "Mass": ("pulmonary mass",),
    "Nodule": ("multiple nodules",),
    "Pleural_Thickening": ("apical pleural thickening", "calcified pleural thickening"),
    "Pneumonia": ("atypical pneumonia",),
    "Pneumothorax": ("hydropneumothorax",),
    "Support Devices": (
        "electrical device",
        "pacemaker",
        "single chamber device",
        "dual chamber device",
        "nsg tube",
        "endotracheal tube",
        "tracheostomy tube",
        "chest drain tube",
        "central venous catheter",
        "central venous catheter via jugular vein",
        "central venous catheter via subclavian vein",
        "central venous catheter via umbilical vein",
        "reservoir central venous catheter",
        "catheter",
        "ventriculoperitoneal drain tube",
        "gastrostomy tube",
        "nephrostomy tube",
        # CheXpert's labeller counts valves among the devices.
        "artificial heart valve",
        "artificial mitral heart valve",
        "artificial aortic heart valve",
    ),
}
"""Finding -> kinds of it, or what implies it, that PadChest has as labels of their own."""

_NONE = {NO_FINDING: ("normal", "healthy", "negative")}


def canonical(name: str) -> str:
    """Name a finding as the vocabulary does; one that is not in it keeps its name.

    Its spelling does not matter, see `spelling`.

    >>> canonical("Pleural Effusion"), canonical("lung_opacity"), canonical("scoliosis")
    ('Effusion', 'Lung Opacity', 'scoliosis')
    """
    return _CANONICAL.get(spelling(name), name)


def spelling(name: str) -> str:
    """What two ways to write a name have in common: no case, one blank for any of `_`, `-`, ` `."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


_CANONICAL = {
    spelling(other): finding
    for table in (_NONE, CHEST, BREAST)
    for finding, others in table.items()
    for other in (finding, *others)
}
