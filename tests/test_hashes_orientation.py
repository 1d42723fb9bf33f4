"""Eight ways to turn a picture: each has its own code and its name."""

import numpy as np
import pytest

from overlens.hashes.orientation import N_ORIENTATIONS, ORIENTATION_NAMES, orient

CODES = pytest.mark.parametrize("code", range(N_ORIENTATIONS), ids=ORIENTATION_NAMES)
PICTURE = np.arange(2 * 3 * 3).reshape(2, 3, 3)

EXPECTED = {
    "as it is": PICTURE,
    "mirrored": np.fliplr(PICTURE),
    "upside down": np.flipud(PICTURE),
    "rotated by 180 degrees": np.rot90(PICTURE, 2),
    "transposed": PICTURE.swapaxes(0, 1),
    "rotated by 90 degrees clockwise": np.rot90(PICTURE, -1),
    "rotated by 90 degrees counter-clockwise": np.rot90(PICTURE, 1),
    "transposed along the other diagonal": np.rot90(PICTURE, 2).swapaxes(0, 1),
}


@CODES
def test_each_code_does_what_its_name_says(code: int):
    assert np.array_equal(orient(PICTURE, code), EXPECTED[ORIENTATION_NAMES[code]])


def test_all_orientations_differ_and_nothing_is_copied():
    turned = [orient(PICTURE, code) for code in range(N_ORIENTATIONS)]
    assert len({(picture.shape, picture.tobytes()) for picture in turned}) == N_ORIENTATIONS
    assert all(np.shares_memory(picture, PICTURE) for picture in turned)


@pytest.mark.parametrize("code", [-1, 8])
def test_there_is_no_ninth_way(code: int):
    with pytest.raises(ValueError, match=f"orientation {code} is not known; allowed are 0 to 7"):
        orient(PICTURE, code)
