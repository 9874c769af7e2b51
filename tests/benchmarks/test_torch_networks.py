"""The networks that we are timed against compute what ours compute, and take the same steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.data import to_pixels
from pixelprior.grid import Grid
from pixelprior.models import GatedPixelCNN
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer

torch = pytest.importorskip("torch", reason="PyTorch comes with the extra 'bench'")
pytestmark = pytest.mark.torch

from benchmarks import our_step, torch_networks, torch_step  # noqa: E402
from pixelprior.training.tasks.pixels import pixel_loss  # noqa: E402


def test_gated_pixel_cnn():
    model = GatedPixelCNN(Grid(7, 6, 1, 5), features=8, num_layers=3, rngs=nnx.Rngs(0))
    network = torch_networks.TorchGatedPixelCNN(model)
    image = np.random.default_rng(0).integers(0, 5, (3, 7, 6, 1))
    with torch.no_grad():
        theirs = network(torch.from_numpy(image[..., 0])).permute(0, 2, 3, 1).numpy()
    ours = model.logits(jnp.asarray(image))[..., 0, :]
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    # As many weights; ours has none that is not used.
    ours = sum(weight.size for weight in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert sum(p.numel() for p in network.parameters()) == ours


def small_vqvae():
    def quantizer(rngs):
        return VectorQuantizer(4, codebook_size=16, dead_share=0.0, rngs=rngs)

    model = VQVAE(
        Grid(12, 8, 1, 256),
        quantizer=quantizer,
        features=8,
        residual_features=4,
        rngs=nnx.Rngs(0),
    )
    image = np.random.default_rng(0).integers(0, 256, (5, 12, 8, 1))
    return model, image


def test_vqvae():
    model, image = small_vqvae()
    network = torch_networks.TorchVQVAE(model)
    pixels = to_pixels(image, 256)
    with torch.no_grad():
        decoded, vectors, indices = network(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    (ours,) = model.quantize(jnp.asarray(pixels))
    np.testing.assert_array_equal(indices.numpy(), np.asarray(ours.indices).reshape(-1))
    parameters = model.decode_parameters([ours.vectors])
    np.testing.assert_allclose(decoded.permute(0, 2, 3, 1).numpy(), parameters, atol=1e-4)
    assert vectors.shape == ours.vectors.shape


def test_steps_have_the_same_losses():
    """A few steps of the timed functions themselves, of small networks."""
    model = GatedPixelCNN(Grid(7, 6, 1, 2), features=8, num_layers=2, rngs=nnx.Rngs(0))
    network = torch_networks.TorchGatedPixelCNN(model)
    image = np.random.default_rng(0).integers(0, 2, (4, 7, 6, 1))
    symbols = torch.from_numpy(image[..., 0])
    batch = {"image": jnp.asarray(image, jnp.int32), "label": jnp.zeros(4, jnp.int32)}
    ours = our_step.our_step(model, pixel_loss, batch)
    theirs = torch_step.their_step(network, lambda: network.loss(symbols))
    for _ in range(5):
        _, metrics = ours()
        np.testing.assert_allclose(theirs(), metrics.metrics["bits_per_dim"], rtol=1e-3)


def test_steps_of_vqvaes_have_the_same_losses_and_codebooks():
    model, image = small_vqvae()
    network = torch_networks.TorchVQVAE(model)
    pixels = torch.from_numpy(to_pixels(image, 256)).permute(0, 3, 1, 2)
    ours = our_step.our_step(
        model,
        our_step.vqvae_loss,
        {"image": jnp.asarray(image, jnp.int32)},
        after_step=our_step.move_codebooks,
    )
    theirs = torch_step.their_step(network, lambda: network.loss(pixels, our_step.VARIANCE))
    for _ in range(5):
        state, metrics = ours()
        np.testing.assert_allclose(theirs(), metrics.metrics["loss"], rtol=1e-3)
    codebook = nnx.to_pure_dict(state.weights)["_levels"][0]["quantizer"]["codebook_vectors"]
    np.testing.assert_allclose(network.codebook.numpy(), codebook[0], atol=1e-3)
