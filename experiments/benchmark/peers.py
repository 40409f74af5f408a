"""Other libraries' augmentation and CLAHE beside ours, each as its documentation says for a batch.

All flip, rotate, shift, shear, zoom and change the brightness in the ranges of AugmentConfig's
defaults, bilinearly, with parameters drawn for each image. They differ where a library offers
nothing else: torchvision zooms both axes alike and fills with 0, dm_pix and kornia add their
brightness, Keras rounds to 8 bits for it. dm_pix has no random transform, so that its matrix is
ours; augmax draws no shift, shear and zoom, which are added to its chain of coordinates.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import augment, geometry
from cxr_jax.augment import AugmentConfig
from experiments.benchmark.turns import THREADS, Contestant, Way, by_image, compile_jax

RANGES = AugmentConfig()
CLIP_LIMIT, TILES = 2.0, (8, 8)


def ours(config: AugmentConfig, images: np.ndarray) -> Mapping[str, Way]:
    """cxr_jax.augment with these ranges."""

    def run(step: jax.Array, batch: jax.Array) -> jax.Array:
        return augment.augment(jax.random.key(step), batch, config)

    return compile_jax(run, images[..., None])


def _albumentations(images: np.ndarray) -> Mapping[str, Way]:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A
    import cv2

    def make() -> Callable[[np.ndarray], Any]:
        chain = A.Compose(
            [
                A.HorizontalFlip(p=RANGES.flip),
                A.Affine(
                    rotate=_either(RANGES.rotation),
                    translate_percent={
                        "x": _either(RANGES.width_shift),
                        "y": _either(RANGES.height_shift),
                    },
                    shear={"x": _either(RANGES.shear), "y": (0.0, 0.0)},
                    scale={"x": _about_one(RANGES.zoom), "y": _about_one(RANGES.zoom)},
                    interpolation=cv2.INTER_LINEAR,
                    border_mode=cv2.BORDER_REPLICATE,
                    p=1.0,
                ),
                A.RandomBrightnessContrast(
                    brightness_limit=RANGES.brightness, contrast_limit=0.0, p=1.0
                ),
            ]
        )
        return lambda image: chain(image=image)["image"]

    return by_image(make, images[..., None], cv2.setNumThreads)


def _keras(images: np.ndarray) -> Mapping[str, Way]:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rotation_range=RANGES.rotation,
        width_shift_range=RANGES.width_shift,
        height_shift_range=RANGES.height_shift,
        shear_range=RANGES.shear,
        zoom_range=RANGES.zoom,
        brightness_range=_about_one(RANGES.brightness),
        horizontal_flip=True,
    )
    return by_image(lambda: generator.random_transform, images[..., None] * np.float32(255))


def _kornia(images: np.ndarray) -> Mapping[str, Way]:
    import kornia.augmentation as K
    import torch

    batch = torch.from_numpy(images[:, None])
    chain = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=RANGES.flip),
        K.RandomAffine(
            degrees=RANGES.rotation,
            translate=(RANGES.width_shift, RANGES.height_shift),
            scale=2 * _about_one(RANGES.zoom),
            shear=RANGES.shear,
            padding_mode="border",
            p=1.0,
        ),
        K.RandomBrightness(_about_one(RANGES.brightness), p=1.0),
        data_keys=["input"],
    )
    return _torch_batch(lambda: chain(batch))


def _torch_batch(run: Callable[[], object]) -> Mapping[str, Way]:
    import torch

    def batch(step: int) -> object:
        torch.set_num_threads(THREADS)
        with torch.inference_mode():
            return run()

    return {"batch": batch}


def _torchvision(images: np.ndarray) -> Mapping[str, Way]:
    import torch
    from torchvision.transforms import v2

    chain = v2.Compose(
        [
            v2.RandomHorizontalFlip(RANGES.flip),
            v2.RandomAffine(
                degrees=RANGES.rotation,
                translate=(RANGES.width_shift, RANGES.height_shift),
                scale=_about_one(RANGES.zoom),
                shear=RANGES.shear,
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(brightness=RANGES.brightness),
        ]
    )
    return by_image(
        lambda: lambda image: chain(torch.from_numpy(image)), images[:, None], torch.set_num_threads
    )


def _dm_pix(images: np.ndarray) -> Mapping[str, Way]:
    import dm_pix

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        drawn = augment.draw(key, RANGES)
        matrix = geometry.affine(
            shape=image.shape[:2],
            rotation=drawn.rotation,
            shift=drawn.shift,
            shear=drawn.shear,
            zoom=drawn.zoom,
            flip=drawn.flip,
        )
        linear = jnp.zeros((3, 3)).at[:2, :2].set(matrix[:2, :2]).at[2, 2].set(1.0)
        offset = jnp.append(matrix[:2, 2], 0.0)
        warped = dm_pix.affine_transform(image, linear, offset=offset, order=1, mode="nearest")
        bright = dm_pix.random_brightness(key, warped, RANGES.brightness)
        return jnp.clip(bright, 0.0, 1.0)

    return compile_jax(_each(one), images[..., None])


def _augmax(images: np.ndarray) -> Mapping[str, Way]:
    import augmax
    from augmax.geometric import GeometricTransformation

    class ShiftShearZoom(GeometricTransformation):
        def transform_coordinates(self, rng: Any, coordinates: Any, invert: bool = False) -> None:
            height, width = coordinates.current_shape
            drawn = augment.draw(rng, RANGES)
            skew = jnp.radians(drawn.shear)
            (a, b), (down, across) = drawn.zoom, drawn.shift
            matrix = [
                [a, -b * jnp.sin(skew), down * height],
                [0.0, b * jnp.cos(skew), across * width],
                [0.0, 0.0, 1.0],
            ]
            coordinates.push_transform(jnp.array(matrix))

    change = RANGES.brightness
    chain = augmax.Chain(
        augmax.HorizontalFlip(p=RANGES.flip),
        augmax.Rotate(RANGES.rotation),
        ShiftShearZoom(),
        augmax.RandomBrightness((-2 * change, 2 * change), p=1.0),  # it takes the half
    )
    return compile_jax(_each(chain), images[..., None])


def _each(one: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    def run(step: jax.Array, batch: jax.Array) -> jax.Array:
        return jax.vmap(one)(jax.random.split(jax.random.key(step), len(batch)), batch)

    return run


def _our_clahe(images: np.ndarray) -> Mapping[str, Way]:
    from cxr_jax.clahe import clahe

    def run(step: jax.Array, batch: jax.Array) -> jax.Array:
        return jax.vmap(lambda image: clahe(image, clip_limit=CLIP_LIMIT, tiles=TILES))(batch)

    return compile_jax(run, images)


def _kornia_clahe(images: np.ndarray) -> Mapping[str, Way]:
    import torch
    from kornia.enhance import equalize_clahe

    batch = torch.from_numpy(images[:, None]).float() / 255
    return _torch_batch(lambda: equalize_clahe(batch, clip_limit=CLIP_LIMIT, grid_size=TILES))


def _opencv_clahe(images: np.ndarray) -> Mapping[str, Way]:
    import cv2

    def make() -> Callable[[np.ndarray], Any]:
        return cv2.createCLAHE(clipLimit=CLIP_LIMIT, tileGridSize=TILES).apply

    return by_image(make, images, cv2.setNumThreads)


def _either(most: float) -> tuple[float, float]:
    return -most, most


def _about_one(most: float) -> tuple[float, float]:
    return 1 - most, 1 + most


JAX = ("jax",)
CHAIN = (
    Contestant(name="cxr_jax", packages=JAX, ways=lambda images: ours(RANGES, images)),
    Contestant(
        name="albumentations",
        packages=("albumentations", "opencv-python-headless"),
        ways=_albumentations,
        goal=1.0,
    ),
    Contestant(name="Keras", packages=("keras", "scipy"), ways=_keras, goal=1.5),
    Contestant(name="kornia", packages=("kornia", "torch"), ways=_kornia, goal=1.5),
    Contestant(name="dm_pix", packages=("dm-pix",), ways=_dm_pix, goal=1.5),
    Contestant(name="augmax", packages=("augmax",), ways=_augmax, goal=1.5),
    Contestant(
        name="torchvision v2", packages=("torchvision", "torch"), ways=_torchvision, goal=1.5
    ),
)
CLAHE = (
    Contestant(name="cxr_jax", packages=JAX, ways=_our_clahe),
    Contestant(name="kornia", packages=("kornia", "torch"), ways=_kornia_clahe, goal=3.0),
    Contestant(name="OpenCV", packages=("opencv-python-headless",), ways=_opencv_clahe, goal=1 / 3),
)
