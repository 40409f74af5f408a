"""What the README shows works."""

import re
from pathlib import Path

import cxr_jax

ROOT = Path(cxr_jax.__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_snippets_run():
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), {})


def test_the_tree_is_the_tree():
    """Every module that the picture names is there, and every module is in the picture."""
    picture = README.split("## The tree")[1].split("```")[1]
    for name in re.findall(r"^  (\S+\.py|\S+/)", picture, flags=re.MULTILINE):
        assert (ROOT / "cxr_jax" / name).exists() or (ROOT / "experiments" / name).exists(), name
    for path in [*ROOT.glob("cxr_jax/*.py"), *ROOT.glob("experiments/*.py")]:
        assert path.name in picture or path.name in ("__init__.py", "errors.py", "settings.py"), (
            path
        )
