"""Makes pretrained.npz: small files of weights as the libraries write them, and what they compute.

    python -m venv /path/of/a/venv
    /path/of/a/venv/bin/pip install torch==2.14.1 torchvision==0.29.1 timm==1.0.31 \
        torchxrayvision==1.5.7 safetensors==0.8.0
    /path/of/a/venv/bin/python tests/goldens/make_pretrained.py

Each case is a file's bytes, its name, and the logits of the library's network for grey images in
[0, 1], prepared as the library's own documentation wants them. The networks have the libraries'
classes and names, but narrow layers. At the end the table of operating points in
cxr_jax/models/torchxrayvision.py is compared with torchxrayvision's.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GOLDENS = Path(__file__).with_name("pretrained.npz")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = {"growth_rate": 2, "block_config": (1, 2, 1, 1)}
LABELS = ["Cardiomegaly", "Effusion", "", "Pleural_Thickening"]
THRESHOLDS = [0.05, 0.6, math.nan, 0.5]


def random_images() -> np.ndarray:
    """Make grey images, channels last; the sides are odd somewhere on the way down."""
    return np.random.RandomState(0).uniform(size=(2, 43, 56, 1)).astype(np.float32)


def main() -> None:
    import safetensors.torch
    import timm
    import torch
    import torchvision
    import torchxrayvision

    from cxr_jax.models import torchxrayvision as ours

    torch.manual_seed(0)
    grey = torch.from_numpy(random_images().transpose(0, 3, 1, 2).copy())
    mean, std = (torch.tensor(value)[:, None, None] for value in (IMAGENET_MEAN, IMAGENET_STD))
    imagenet = (grey.expand(-1, 3, -1, -1) - mean) / std
    goldens: dict[str, Any] = {
        "versions": f"torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"timm {timm.__version__}, torchxrayvision {torchxrayvision.__version__}, "
        f"safetensors {safetensors.__version__}, numpy {np.__version__}"
    }

    def random(model: Any) -> Any:
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.ndim == 1 and not name.endswith("op_threshs"):
                tensor.uniform_(0.8, 1.2)
        return model.eval()

    def add(case: str, name: str, model: Any, images: Any, write: Callable[[Any], None]) -> None:
        file = io.BytesIO()
        write(file)
        with torch.no_grad():
            goldens[f"{case}/logits"] = model(images).numpy()
        goldens[f"{case}/file"] = np.frombuffer(file.getvalue(), np.uint8)
        goldens[f"{case}/name"] = name

    def vision(**fields: Any) -> Any:
        return random(torchvision.models.DenseNet(num_init_features=4, **SMALL, **fields))

    model = vision(num_classes=5)
    add("torchvision", "densenet.pth", model, imagenet, lambda f: torch.save(model.state_dict(), f))
    with torch.no_grad():  # what a stem that is summed must equal
        goldens["torchvision/summed"] = model(((grey - 0.45) / 0.225).expand(-1, 3, -1, -1)).numpy()
    old = {
        name.replace(".norm1", ".norm.1").replace(".norm2", ".norm.2")
        .replace(".conv1", ".conv.1").replace(".conv2", ".conv.2"): tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    add(
        "torchvision_old", "densenet.pth", model, imagenet,
        lambda f: torch.save(old, f, _use_new_zipfile_serialization=False),
    )  # fmt: skip

    timms = random(timm.models.densenet.DenseNet(num_classes=5, **SMALL))
    add("timm", "model.safetensors", timms, imagenet,
        lambda f: f.write(safetensors.torch.save(timms.state_dict())))  # fmt: skip
    half = {name: tensor.to(torch.bfloat16) for name, tensor in timms.state_dict().items()}
    timms.load_state_dict(half)
    add("timm_bfloat16", "model.safetensors", timms, imagenet,
        lambda f: f.write(safetensors.torch.save(half)))  # fmt: skip

    # As the two CheXNet reproductions save theirs, whose outputs are sigmoids.
    class CheXNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.densenet121 = vision(num_classes=5)
            linear = self.densenet121.classifier
            self.densenet121.classifier = torch.nn.Sequential(linear, torch.nn.Sigmoid())

        def forward(self, images: Any) -> Any:
            return torch.logit(self.densenet121(images))

    chexnet = torch.nn.DataParallel(CheXNet()).eval()
    optimizer = torch.optim.Adam(chexnet.module.densenet121.classifier.parameters())
    chexnet(imagenet).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "state_dict": chexnet.state_dict(),
        "best_loss": np.float64(0.2),
        "optimizer": optimizer.state_dict(),
    }
    add("chexnet", "model.pth.tar", chexnet, imagenet,
        lambda f: torch.save(checkpoint, f, _use_new_zipfile_serialization=False))  # fmt: skip

    # A whole module. Its legacy format would hold the library's source code, which is left out.
    torch.serialization.get_source_lines_and_file = None
    xray = torchxrayvision.models.DenseNet(
        num_classes=len(LABELS), num_init_features=4, **SMALL, op_threshs=torch.tensor(THRESHOLDS)
    )
    random(xray).pathologies = LABELS
    images = torchxrayvision.utils.normalize(grey.numpy(), maxval=1)
    for case, zipped in (("xrayvision", True), ("xrayvision_legacy", False)):
        add(case, "renamed.pt", xray, torch.from_numpy(images),
            lambda f, z=zipped: torch.save(xray, f, _use_new_zipfile_serialization=z))  # fmt: skip
        goldens[f"{case}/normalised"] = goldens[f"{case}/logits"]
        del xray.op_threshs
        with torch.no_grad():
            goldens[f"{case}/logits"] = xray(torch.from_numpy(images)).numpy()
        xray.register_buffer("op_threshs", torch.tensor(THRESHOLDS))

    np.savez_compressed(GOLDENS, **goldens)
    print(GOLDENS, GOLDENS.stat().st_size, "bytes;", goldens["versions"])
    for name, value in goldens.items():
        if name.endswith("logits"):
            print(name, value[0])
    for name, facts in torchxrayvision.models.model_urls.items():
        if name.startswith("densenet121"):
            outputs = ours.published(Path(facts["weights_url"].rsplit("/", 1)[1]))
            assert list(outputs.labels) == facts["labels"], name
            np.testing.assert_array_equal(outputs.thresholds, facts["op_threshs"], err_msg=name)


if __name__ == "__main__":
    main()
