"""`overlens models`: results on stdout, errors of the package's own kind."""

import click
import pytest
from click.testing import CliRunner

from overlens.cli.models import models
from overlens.encoders import ENCODERS
from overlens.errors import ConfigError, ModelError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_list_shows_every_name_and_whether_it_is_here():
    lines = {line.split("  ")[0]: line for line in run("list").splitlines()}
    assert set(ENCODERS.names()) <= set(lines)
    assert lines["ViT-L/14"].split()[-1] == "no"
    assert "768" in lines["ViT-L/14"]
    assert lines["offline"].endswith("yes")
    assert "not CLIP" in lines["offline"]


def test_list_sees_cached_weights(tmp_path):
    cached = tmp_path / "models--Xenova--clip-vit-base-patch16"
    (cached / "snapshots" / "abc" / "onnx").mkdir(parents=True)
    (cached / "snapshots" / "abc" / "onnx" / "vision_model.onnx").touch()
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    lines = {line.split("  ")[0]: line.split()[-1] for line in run("list").splitlines()}
    assert (lines["ViT-B/16"], lines["ViT-B/32"]) == ("yes", "no")


def test_list_shows_plug_ins(monkeypatch):
    monkeypatch.setattr(ENCODERS, "_loaders", {**ENCODERS._loaders, "mine": object})
    assert any(line.startswith("mine ") and "plug-in" in line for line in run("list").splitlines())


def test_fetch_tells_what_is_here():
    output = run("fetch", "offline")
    assert "sha256         579344248a93e230" in output
    assert "dimensions     1280 (not CLIP)" in output


def test_fetch_without_network_is_a_model_error():
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        run("fetch", "ViT-B/32")


def test_verify_encodes():
    output = run("verify", "offline", "--precision", "fp32")
    assert "precision      fp32" in output
    assert "test encode    4 pictures" in output


def test_verify_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown encoder 'nothing'; allowed are ViT-B/32"):
        run("verify", "nothing")


@pytest.mark.parametrize("command", sorted(models.commands))
def test_every_command_and_option_has_help(command):
    assert models.commands[command].help
    options = [option for option in models.commands[command].params if isinstance(option, click.Option)]
    assert all(option.help for option in options)
