"""What can go wrong through no fault of the code: one clear line for the user, no traceback.

The library raises plain `ValueError` and `TypeError` for wrong arguments. These errors are for what
lies outside of the program: files, directories, checkpoints, a training that diverges.
"""


class CxrError(Exception):
    """A message for the user: what is wrong, where, and what to do about it."""


class ConfigError(CxrError, ValueError):
    """A setting does not fit the network or the machine."""


class DataError(CxrError, ValueError):
    """A data set, label file or image cannot be used as it is."""


class CheckpointError(CxrError, ValueError):
    """A checkpoint is missing, damaged, or belongs to another configuration."""


class WorkspaceError(CxrError, OSError):
    """A work or cache directory cannot be written."""


class TrainingError(CxrError, RuntimeError):
    """Training cannot go on, for example because the loss is not finite."""
