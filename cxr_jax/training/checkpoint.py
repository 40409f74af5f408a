"""Save and restore a training so that nothing tells it was interrupted.

`<workdir>/checkpoints/last` holds the newest two checkpoints of the whole training,
`<workdir>/checkpoints/best` the weights with the best validation AUROC, both in Orbax's own format.
"""

import contextlib
import dataclasses
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import jax
import orbax.checkpoint as ocp

from cxr_jax.errors import CheckpointError, WorkspaceError
from cxr_jax.training.state import TrainState, Tree


@dataclasses.dataclass(kw_only=True)
class Progress:
    """What the host knows of a training beside its state.

    Attributes:
      epoch, best_epoch: epochs that are finished, and the best of them.
      best: validation score (AUROC, or Dice of masks) and loss of the best epoch; None before the
        first.
      waited: epochs since the best one.
      history: one row of numbers an epoch.
    """

    epoch: int = 0
    best: list[float] | None = None
    best_epoch: int = 0
    waited: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, workdir: Path):
        self.folder = workdir.absolute() / "checkpoints"
        self._last = ocp.CheckpointManager(
            self.folder / "last",
            options=ocp.CheckpointManagerOptions(max_to_keep=2, create=True),
        )
        self._best = ocp.CheckpointManager(
            self.folder / "best",
            options=ocp.CheckpointManagerOptions(max_to_keep=1, create=True),
        )

    @property
    def last_step(self) -> int | None:
        """The newest complete checkpoint; None where there is none."""
        return self._last.latest_step()

    def save(self, state: TrainState, iterator: Any, progress: Progress) -> None:
        """Save everything; it is written in the background, from a copy."""
        step = int(state.step)
        if step == self.last_step:
            return
        parts = ocp.args.Composite(
            state=ocp.args.StandardSave(_with_key_data(state)),
            data=grain.checkpoint.CheckpointSave(iterator),
            progress=ocp.args.JsonSave(dataclasses.asdict(progress)),
        )
        with self._writing(state):
            self._last.save(step, args=parts)

    def restore(self, template: TrainState, iterator: Any) -> tuple[TrainState, Progress]:
        """The newest checkpoint; the iterator is set to the batch after its last one.

        A run that was stopped before its first checkpoint starts anew, which gives the same.

        Raises:
          CheckpointError: it is damaged or does not fit the template.
        """
        step = self.last_step
        if step is None:
            return template, Progress()
        try:
            restored = self._last.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(_with_key_data(template)),
                    data=grain.checkpoint.CheckpointRestore(iterator),
                    progress=ocp.args.JsonRestore(),
                ),
            )
        except Exception as error:  # what Orbax raises for a damaged file is not documented
            raise CheckpointError(
                f"{self.folder / 'last' / str(step)}: damaged, or not a checkpoint of this model: "
                f"{_first_line(error)}; delete that folder to resume from what was saved before"
            ) from error
        return _with_key(restored.state), Progress(**restored.progress)

    def save_best(self, state: TrainState) -> None:
        """Keep the weights as the best; a run that was resumed may save the same step again."""
        step = int(state.step)
        if step in self._best.all_steps():
            return
        with self._writing(state.variables):
            self._best.save(step, args=ocp.args.StandardSave(state.variables), force=True)

    def restore_best(self, template: TrainState) -> dict[str, Tree]:
        """The best weights, as the model's variables."""
        return _restore_variables(self._best, self.folder / "best", template.variables)

    def wait(self) -> None:
        """Return when everything that was saved is on disk."""
        with self._writing():
            self._last.wait_until_finished()
            self._best.wait_until_finished()

    def close(self) -> None:
        """Finish writing and release the managers' threads."""
        with self._writing():
            self._last.close()
            self._best.close()

    @contextlib.contextmanager
    def _writing(self, tree: Tree = ()) -> Iterator[None]:
        """Say in one line what Orbax, which writes in the background, says in many."""
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
        try:
            if shutil.disk_usage(self.folder).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield
        except (OSError, ValueError) as error:
            if isinstance(error, WorkspaceError):
                raise
            full = os.strerror(errno.ENOSPC)
            reason = full if full in str(error) else _first_line(error)
            raise WorkspaceError(
                f"{self.folder}: a checkpoint could not be written: {reason}; the complete ones "
                "are intact: free some space and continue with --resume"
            ) from error


def load_best_variables(run: Path, template: dict[str, Tree]) -> dict[str, Tree]:
    """The best weights of another run.

    Raises:
      CheckpointError: the folder is not a run, or its weights have other names or shapes.
    """
    folder = check_run(run)
    with ocp.CheckpointManager(folder) as manager:
        return _restore_variables(manager, folder, template)


def has_checkpoint(run: Path) -> bool:
    """Tell whether a run was saved, so that it need not start anew to be resumed."""
    return any(step.name.isdigit() for step in (run / "checkpoints" / "last").glob("*"))


def check_run(run: Path) -> Path:
    """The folder of a run's best weights; CheckpointError where there is none."""
    folder = run.absolute() / "checkpoints" / "best"
    if not folder.is_dir():
        raise CheckpointError(f"{run}: no such run; expected the folder {folder}")
    return folder


def _restore_variables(
    manager: ocp.CheckpointManager, folder: Path, template: dict[str, Tree]
) -> dict[str, Tree]:
    step = manager.latest_step()
    if step is None:
        raise CheckpointError(f"{folder}: holds no checkpoint")
    try:
        return manager.restore(step, args=ocp.args.StandardRestore(template))
    except Exception as error:  # what Orbax raises for a damaged file is not documented
        raise CheckpointError(
            f"{folder / str(step)}: damaged, or not a checkpoint of this model: "
            f"{_first_line(error)}; choose the model that it was trained with"
        ) from error


def _with_key_data(state: TrainState) -> TrainState:
    """Orbax stores numbers; a typed key becomes them."""
    return dataclasses.replace(state, key=jax.random.key_data(state.key))


def _with_key(state: TrainState) -> TrainState:
    return dataclasses.replace(state, key=jax.random.wrap_key_data(state.key))


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.split(" [tensorstore_spec")[0]  # how it opened the file, in two thousand letters
