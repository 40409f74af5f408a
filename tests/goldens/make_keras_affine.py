"""Write keras_affine.npz: what three generations of Keras' ImageDataGenerator make of two images.

pip install keras==3.15.1 jax keras-preprocessing==1.1.2 scipy pillow six
pip download --no-deps --no-binary :all: keras==2.1.2 && tar xzf Keras-2.1.2.tar.gz
KERAS_BACKEND=numpy python tests/goldens/make_keras_affine.py Keras-2.1.2

Of Keras 2.1.2 one file is read, because the whole wants a TensorFlow of its time.
"""

import importlib.util
import sys
import types
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import PIL
import scipy.ndimage
from keras.src.legacy.preprocessing import image as keras3
from keras_preprocessing.image import affine_transformations as keras2
from keras_preprocessing.image import image_data_generator as generator2

FILLS = ("nearest", "reflect", "constant")
AXES = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
# rotation (degrees), shift (fractions: down, across), shear (degrees), zoom (rows, columns), flip.
# No point but the identity's lies on the edge itself, or half way between two pixels, where double
# precision decides by its rounding.
PARAMETERS = np.array(
    [
        [0, 0, 0, 0, 1, 1, 0],
        [20, 0.011, -0.007, 0, 1, 1, 0],
        [0, 0.123, -0.211, 0, 1, 1, 0],
        [0, 0.011, 0.013, 8, 1, 1, 0],
        [0, 0.011, 0.013, 0, 0.83, 1.27, 1],
        [-17, -0.1, 0.15, 5.7, 1.1, 0.9, 1],
    ]
)
FACTORS = np.array([0.0, 0.63, 1.0, 1.37])


def load_keras1(path):
    """The module of that file, with empty stand-ins for the two of Keras that it imports."""
    for name in ("keras1", "keras1.preprocessing", "keras1.backend", "keras1.utils"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["keras1.utils.data_utils"] = types.SimpleNamespace(Sequence=object)
    spec = importlib.util.spec_from_file_location("keras1.preprocessing.image", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_keras1(image, row, fill):
    """random_transform of 2.1.2, whose random numbers are the parameters."""
    theta, down, across, shear, rows, columns, flip = row
    uniform = [theta, down, across, np.radians(shear), (rows, columns)]
    generator = keras1.ImageDataGenerator(
        rotation_range=90,
        height_shift_range=1.0,
        width_shift_range=1.0,
        shear_range=1.0,
        zoom_range=0.5,
        fill_mode=fill,
        horizontal_flip=True,
        data_format="channels_last",
    )
    with (
        mock.patch("numpy.random.uniform", side_effect=uniform),
        mock.patch("numpy.random.random", return_value=0.0 if flip else 1.0),
    ):
        return generator.random_transform(image)


def with_module(module, image, row, fill):
    """apply_transform of ImageDataGenerator, without the brightness."""
    theta, down, across, shear, rows, columns, flip = row
    height, width, _ = image.shape
    moved = module.apply_affine_transform(
        image,
        theta=theta,
        tx=down * height,
        ty=across * width,
        shear=shear,
        zx=rows,
        zy=columns,
        fill_mode=fill,
        order=1,
        **AXES,
    )
    return module.flip_axis(moved, 1) if flip else moved


keras1 = load_keras1(Path(sys.argv[1]) / "keras/preprocessing/image.py")
keras2.flip_axis = generator2.flip_axis
noise = np.random.default_rng(0).random((14, 20)) * 255
smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(1).random((14, 20)) * 255, 2)
images = {"noise": noise.astype(np.float32), "smooth": smooth.astype(np.float32)}
found = dict(images)
for name, image in images.items():
    image = image[..., None]
    made = {
        "2.1.2": [[with_keras1(image, row, fill) for row in PARAMETERS] for fill in FILLS],
        "2.8": [[with_module(keras2, image, row, fill) for row in PARAMETERS] for fill in FILLS],
        "3": [[with_module(keras3, image, row, fill) for row in PARAMETERS] for fill in FILLS],
    }
    for keras_version, outputs in made.items():
        found[f"{name} {keras_version}"] = np.stack(outputs)[..., 0].astype(np.float32)
    found[f"{name} brightness 2.8"] = np.stack(
        [keras2.apply_brightness_shift(image, factor) for factor in FACTORS]
    )[..., 0]
    found[f"{name} brightness 3"] = np.stack(
        [keras3.apply_brightness_shift(image, factor, False) for factor in FACTORS]
    )[..., 0]

np.savez_compressed(
    Path(__file__).with_name("keras_affine.npz"),
    parameters=PARAMETERS,
    factors=FACTORS,
    fills=FILLS,
    versions=f"Keras 2.1.2, keras-preprocessing 1.1.2, Keras {keras.__version__}, "
    f"SciPy {scipy.__version__}, Pillow {PIL.__version__}, NumPy {np.__version__}",
    **found,
)
