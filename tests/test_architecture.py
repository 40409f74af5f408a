"""The house keeps its order: imports point downward, files stay short."""

import ast
from pathlib import Path

import pytest

import cxr_jax

ROOT = Path(cxr_jax.__file__).parents[1]

# From the top down; a module may import from its own rank and from those below.
RANKS = [
    {"experiments", "cxr_jax.commands"},
    {"cxr_jax.training"},
    {"cxr_jax.reporting", "cxr_jax.datasets"},
    {"cxr_jax.pipeline", "cxr_jax.evaluation", "cxr_jax.by_finding",
     "cxr_jax.aggregation"},
    {"cxr_jax.tasks", "cxr_jax.placement", "cxr_jax.preprocess", "cxr_jax.artefacts",
     "cxr_jax.breast_side"},
    {"cxr_jax.augment", "cxr_jax.augment_draw", "cxr_jax.photometric", "cxr_jax.mixup",
     "cxr_jax.models", "cxr_jax.losses", "cxr_jax.metrics", "cxr_jax.optim", "cxr_jax.calibration",
     "cxr_jax.device_preprocess"},
    {"cxr_jax.clahe", "cxr_jax.geometry", "cxr_jax.labels", "cxr_jax.preprocess_config"},
    {"cxr_jax.settings", "cxr_jax.errors", "cxr_jax.device_image", "cxr_jax"},
]  # fmt: skip
FILES = sorted([*ROOT.glob("cxr_jax/**/*.py"), *ROOT.glob("experiments/**/*.py")])


def rank(module: str) -> int:
    for depth, members in enumerate(RANKS):
        if any(module == m or module.startswith(f"{m}.") for m in members if m != "cxr_jax"):
            return depth
    return len(RANKS) - 1


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("cxr_jax", "experiments")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    upward = [name for name in imported(path) if rank(name) < rank(module)]
    assert not upward, f"{module} imports {upward} from above"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_holds_one_concept_in_about_300_lines(path):
    assert len(path.read_text().splitlines()) <= 330
