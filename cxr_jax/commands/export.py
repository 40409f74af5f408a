"""Write a run's weights for torch.

cxr export --run=RUN --out=FILE

FILE ends in .safetensors, which also tells the input that the weights expect and the labels, or in
.pth or .pt, a state dict for torch.load(FILE, weights_only=True). The names are those of
torchvision's DenseNet, whose load_state_dict takes them where its stem has as many channels.
--pretrained=FILE of an experiment reads either. Of a network that draws masks too, the classifier
is written.
"""

import argparse

from cxr_jax.commands.output import add_run, file_path
from cxr_jax.errors import WorkspaceError
from cxr_jax.models import pretrained
from cxr_jax.pipeline.once import writing
from cxr_jax.training.saved import load_run
from cxr_jax.training.start import classifier_of, labels_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_run(parser)
    parser.add_argument(
        "--out", type=file_path, required=True, metavar="FILE", help="where to write"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file."""
    out = arguments.out
    if out.suffix not in pretrained.ENDINGS:
        raise WorkspaceError(f"{out}: must end in {', '.join(pretrained.ENDINGS)}")
    if out.exists():
        raise WorkspaceError(f"{out}: is there already; choose another --out, or remove it")
    saved = load_run(arguments.run)
    labels = labels_of(saved.config)
    with writing(out.parent):
        pretrained.save(out, classifier_of(saved.recipe), saved.variables, labels=labels)
    print(f"written to {out}: {saved.config.model}, outputs {', '.join(labels)}")
    return 0
