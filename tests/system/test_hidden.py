"""A library that is hidden while another one is imported."""

import subprocess
import sys

import pytest

from pixelprior.system.hidden import hidden


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A module that can be imported."""
    (tmp_path / "a_large_library.py").write_text("size = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "a_large_library"
    sys.modules.pop("a_large_library", None)


def test_a_module_is_not_there_in_the_body_alone(library):
    with hidden(library), pytest.raises(ImportError):
        import a_large_library
    import a_large_library

    assert a_large_library.size == 3
    # It stays where it is in use.
    with hidden(library):
        assert sys.modules[library] is a_large_library
    assert sys.modules[library] is a_large_library


def test_it_is_there_again_after_an_error(library):
    with pytest.raises(ValueError), hidden(library):
        raise ValueError
    assert library not in sys.modules


def test_training_does_not_import_pytorch(tmp_path):
    # As if it were installed: wherever it is, it takes seconds.
    (tmp_path / "torch.py").write_text("raise SystemExit('PyTorch is imported')\n")
    text = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pixelprior.runs.train, pixelprior.demo"
    )
    subprocess.run([sys.executable, "-c", text, tmp_path], check=True)
