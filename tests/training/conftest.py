"""What the tests of whole runs share."""

import pytest

from cxr_jax.training import outputs


@pytest.fixture
def unreported(monkeypatch):
    """Runs without the page, half of a tiny one's time: for tests that do not look at it."""
    monkeypatch.setattr(outputs, "_report", lambda *arguments: None)
