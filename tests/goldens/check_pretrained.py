"""Compares logits at full size with the libraries', of random weights: files of 30 to 110 MB.

    python tests/goldens/check_pretrained.py

in the virtual environment of make_pretrained.py with this project in it. Every network first sees
noise in training mode, so that its running statistics are those of its activations, as a trained
network's are; with others its logits grow to hundreds, whose rounding alone is over the bound.
torchxrayvision's seven files are its network with the labels and operating points of each, under
the published names, and its images within [-1024, 1024].
"""

import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import timm
import torch
import torchvision
import torchxrayvision

from cxr_jax.models import apply
from cxr_jax.models.pretrained import load
from cxr_jax.models.weights import read_weights

BOUND = 1e-4
SIZE = 224


def networks() -> dict[str, Any]:
    """Makers of the libraries' networks, by the file's name."""
    made: dict[str, Any] = {}
    for depth in (121, 161, 169, 201):
        made[f"torchvision{depth}.pth"] = getattr(torchvision.models, f"densenet{depth}")
        made[f"timm{depth}.pth"] = lambda depth=depth: timm.create_model(f"densenet{depth}")
    for name, facts in torchxrayvision.models.model_urls.items():
        if name.startswith("densenet121"):
            made[facts["weights_url"].rsplit("/", 1)[1]] = lambda facts=facts: xray(facts)
    return made


def xray(facts: dict[str, Any]) -> torch.nn.Module:
    """torchxrayvision's network without weights; its whole module is published."""
    model = torchxrayvision.models.DenseNet(
        num_classes=len(facts["labels"]), in_channels=1,
        **torchxrayvision.models.get_densenet_params("densenet121"),
    )  # fmt: skip
    model.pathologies = facts["labels"]
    return model


def calibrate(model: torch.nn.Module, images: torch.Tensor) -> torch.nn.Module:
    """Draw scales and offsets, and let the running statistics follow from noise like the images."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.8, 1.2)
                module.bias.normal_(0, 0.1)
                module.momentum = None  # the mean of all batches
                module.reset_running_stats()
        model.train()
        for _ in range(2):
            model(torch.randn_like(images) * images.std() + images.mean())
    return model.eval()


def main() -> None:
    """Print the largest error of each file's logits, and fail where one is over the bound."""
    torch.manual_seed(0)
    grey = np.random.default_rng(0).random((4, SIZE, SIZE, 1), np.float32)
    predict = jax.jit(lambda config, *of: apply(config, *of, train=False)[0], static_argnums=0)
    worst = 0.0
    for name, make in networks().items():
        model = make()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            whole = isinstance(model, torchxrayvision.models.DenseNet)
            torch.save(model if whole else model.state_dict(), path)
            config = read_weights(path).config()  # which says how images are standardised
            images = ((grey - np.array(config.mean)) / np.array(config.std)).astype(np.float32)
            theirs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
            calibrate(model, theirs)
            torch.save(model if whole else model.state_dict(), path)
            ours = np.asarray(predict(config, load(path, config), images))
        with torch.inference_mode():
            expected = model(theirs).numpy()
        error = np.abs(ours - expected).max()
        worst = max(worst, error)
        print(f"{name}: {error:.1e} of {np.abs(expected).max():.1f}", flush=True)
    assert worst < BOUND, worst


if __name__ == "__main__":
    main()
