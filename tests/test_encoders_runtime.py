"""OpenVINO starts without telling anyone, and in the precision that was asked for."""

import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from overlens.cores import available_cores
from overlens.encoders import runtime
from overlens.errors import ConfigError, ModelError

QUIET_IMPORT = """
import socket, sys
def refuse(*arguments, **options):
    raise SystemExit("a connection was tried")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from overlens.encoders.runtime import import_openvino, resolve_precision
import_openvino()
resolve_precision("auto")
import openvino.tools.ovc.telemetry_utils as utils
print(utils.tm.__name__, [name for name in sys.modules if name.startswith("openvino_telemetry")])
"""


def test_openvino_reports_to_nobody(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    done = subprocess.run(
        [sys.executable, "-c", QUIET_IMPORT],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub []"
    assert list(tmp_path.iterdir()) == []


def test_a_module_is_hidden_only_inside_the_block():
    with runtime._hidden("overlens.layout"), pytest.raises(ImportError):
        importlib.import_module("overlens.layout")
    assert importlib.import_module("overlens.layout") is sys.modules["overlens.layout"]


@pytest.mark.parametrize(
    ("asked", "has_bf16", "expected"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("fp32", True, "fp32"), ("bf16", True, "bf16")],
)
def test_precision_follows_the_processor(monkeypatch, asked, has_bf16, expected):
    monkeypatch.setattr(runtime, "cpu_has_bf16", lambda: has_bf16)
    assert runtime.resolve_precision(asked) == expected


def test_bf16_is_refused_where_the_processor_has_none(monkeypatch):
    monkeypatch.setattr(runtime, "cpu_has_bf16", lambda: False)
    with pytest.raises(ConfigError, match="--precision bf16 needs a processor with bfloat16"):
        runtime.resolve_precision("bf16")


def test_the_processor_is_asked():
    capabilities = runtime.import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert runtime.cpu_has_bf16() == ("BF16" in capabilities)


def mean_colour(n_threads: int) -> runtime.Tower:
    openvino = runtime.import_openvino()
    from openvino import opset13 as ops

    pixels = ops.parameter([2, 4, 4, 3], np.uint8)
    mean = ops.reduce_mean(ops.convert(pixels, "f32"), np.array([1, 2]))
    return runtime.Tower(lambda: openvino.Model([mean], [pixels]), "fp32", n_threads)


@pytest.mark.parametrize("n_threads", [0, 1, 2, 1000])
def test_a_tower_uses_the_cores_it_may_each_for_a_lane_of_its_own(n_threads):
    compiled = mean_colour(n_threads)._compiled
    expected = min(n_threads or available_cores(), available_cores())
    assert int(compiled.get_property("INFERENCE_NUM_THREADS")) == expected
    assert int(compiled.get_property("NUM_STREAMS")) == min(expected, runtime.MOST_STREAMS)


def colours(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, 2, 4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("n_batches", [0, 1, 3, 50])
def test_many_batches_at_once_give_what_each_gives_alone(n_batches):
    tower, single = mean_colour(2), mean_colour(1)
    batches = colours(n_batches)
    found = list(tower.run_all(batch.copy() for batch in batches))  # each copy may go as soon as it is handed over
    assert len(found) == n_batches
    assert all(np.array_equal(rows, single.run(batch)) for rows, batch in zip(found, batches, strict=True))


def test_batches_are_taken_ahead_of_the_rows_and_may_be_left_half_way():
    tower, taken = mean_colour(1), []
    rows = tower.run_all(taken.append(place) or batch for place, batch in enumerate(colours(20)))
    np.testing.assert_allclose(next(rows), colours(20)[0].mean(axis=(1, 2)), rtol=1e-6)
    assert taken == list(range(runtime.REQUESTS_PER_STREAM + 1))
    rows.close()
    np.testing.assert_allclose(tower.run(colours(3)[2]), colours(3)[2].mean(axis=(1, 2)), rtol=1e-6)


def test_a_network_is_built_for_the_first_batch_and_once():
    tower, built = mean_colour(1), []
    build = tower._build
    tower._build = lambda: built.append(1) or build()
    assert list(tower.run_all([])) == []
    assert not built
    tower.run(colours(1)[0])
    tower.run(colours(2)[1])
    assert len(built) == 1


def test_a_network_that_cannot_be_built_is_told_with_a_way_out():
    openvino = runtime.import_openvino()
    from openvino import opset13 as ops

    pixels, unknown = ops.parameter([2, 4, 4, 3], np.uint8), ops.parameter([2], np.int64)
    tower = runtime.Tower(lambda: openvino.Model([ops.reduce_mean(pixels, unknown)], [pixels]), "fp32", 1)
    with pytest.raises(ModelError, match=r"cannot build the network in fp32 .* try another --precision"):
        tower.run(colours(1)[0])


def test_a_tower_takes_its_one_shape_only():
    tower = mean_colour(1)
    batch = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_allclose(tower.run(batch), batch.mean(axis=(1, 2)), rtol=1e-6)
    with pytest.raises(ValueError, match=r"the network takes uint8 of shape"):
        tower.run(batch[:1])
