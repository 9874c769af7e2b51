"""Inception's weights are those of FID, or are refused; its features are torch-fidelity's."""

import hashlib

import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.evaluation import inception_features as module
from pixelprior.evaluation.inception_features import inception_extractor

NEEDS = "it comes with the extra 'metrics'"


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: name)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "pixelprior\[metrics\]"'):
        inception_extractor()


def test_other_weights_are_refused_before_they_are_unpickled(installed, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    with pytest.raises(InputError, match=f"expected the SHA-256 6726825d0af5f729.*got {found}"):
        inception_extractor(path)


def test_weights_that_are_not_there(installed, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        inception_extractor(tmp_path / "none.pth")


@pytest.mark.torch
def test_weights_that_cannot_be_downloaded(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch", reason=NEEDS)
    pytest.importorskip("torch_fidelity", reason=NEEDS)

    def download(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"\(no route to host\).*--inception_weights.*=classifier"):
        inception_extractor()


@pytest.mark.torch
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_torch_fidelity(monkeypatch, tmp_path, channels):
    torch = pytest.importorskip("torch", reason=NEEDS)
    pytest.importorskip("torch_fidelity", reason=NEEDS)
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    # Weights of the same shapes, since the true ones are too large to come along.
    torch.manual_seed(0)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: None)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
    network = theirs.FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"])
    monkeypatch.undo()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(module, "AT_ONCE", 2)
    extractor = inception_extractor(path)
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 10, channels), dtype=np.uint8)
    found = extractor.extract(images)
    with torch.no_grad():
        colour = torch.from_numpy(np.broadcast_to(images, (3, 12, 10, 3)).copy())
        vectors, logits = network(colour.permute(0, 3, 1, 2).contiguous())
    np.testing.assert_allclose(found.vectors, vectors.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-4)
    assert extractor.name == "inception" and extractor.fingerprint == module.SHA256
    assert extractor.extract(images[:0]).vectors.shape == (0, 2048)
