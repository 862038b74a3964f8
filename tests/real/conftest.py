"""Real clips and real pretrained models, where there are any."""

from pathlib import Path

import pytest

from .data import find_data


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real clips and models."""
    found = find_data()
    if found is None:
        pytest.skip("no real data: set INFILINK_DATA to a folder with models/ and video/ (tests/real/data.py)")
    return found
