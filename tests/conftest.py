"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browsers import started_browser
from pictures import unrendered_pictures

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images with known answers; a test that needs it skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no shared test data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A browser for the tests of a module; they skip where none can be had."""
    with started_browser() as browser:
        yield browser


@pytest.fixture
def unrendered() -> Iterator[None]:
    """Runs draw empty pictures."""
    with unrendered_pictures():
        yield
