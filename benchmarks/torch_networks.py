"""The Gated PixelCNN and the VQ-VAE in plain PyTorch, with our weights.

The code follows the papers and the style of PyTorch: channels first, convolutions padded on one
side, and `torch.nn` for the rest. Kernels cover only positions that a prediction may depend on, so
nothing is masked. The results equal those of our networks, up to rounding.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from flax import nnx
from torch import nn

from pixelprior.models import GatedPixelCNN
from pixelprior.nn.softmax_head import SoftmaxHead
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer


class TorchGatedBlock(nn.Module):
    """See `pixelprior.models.gated_pixel_cnn.GatedBlock`."""

    def __init__(self, d: int, e: int, *, rows: int, columns: int, left: int, residual: bool):
        super().__init__()
        self.residual = residual
        self.above_padding = (columns // 2, columns // 2, rows - 1, 0)
        self.left_padding = (left - 1, 0, 0, 0)
        self.above = nn.Conv2d(d, 2 * e, (rows, columns))
        self.left = nn.Conv2d(d, 2 * e, (1, left), bias=False)
        self.link = nn.Conv2d(2 * e, 2 * e, 1)
        self.output = nn.Conv2d(e, e, 1)

    def forward(self, v: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute both streams."""
        y = self.above(F.pad(v, self.above_padding))
        x = self.output(_gated(self.left(F.pad(h, self.left_padding)) + self.link(y)))
        return _gated(y), h + x if self.residual else x


class TorchGatedPixelCNN(nn.Module):
    """A Gated PixelCNN for one channel, with a softmax head."""

    def __init__(self, model: GatedPixelCNN):
        super().__init__()
        assert isinstance(model.head, SoftmaxHead)
        first, layers = model.first, model.blocks.layers
        _, columns, embedding, twice = first.above.kernel.shape
        depth, rows, kernel_columns, features, _ = layers.above.kernel.shape
        hidden = model.head.hidden[0].kernel.shape[1]
        self.embedding = nn.Embedding(model.grid.levels, embedding)
        sizes = dict(rows=columns // 2, columns=columns, left=columns // 2)
        self.first = TorchGatedBlock(embedding, twice // 2, residual=False, **sizes)
        sizes = dict(rows=rows, columns=kernel_columns, left=layers.left.kernel.shape[2])
        self.blocks = nn.ModuleList(
            TorchGatedBlock(features, features, residual=True, **sizes) for _ in range(depth)
        )
        self.hidden = nn.Conv2d(features, hidden, 1)
        self.output = nn.Conv2d(hidden, model.grid.levels, 1)
        with torch.no_grad():
            self.embedding.weight.copy_(_tensor(model.embedding.table[...][0]))
            _copy_gated(self.first, first, ())
            for number, block in enumerate(self.blocks):
                _copy_gated(block, layers, (number,))
            _copy_conv(self.hidden, model.head.hidden[0])
            _copy_conv(self.output, model.head.output[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``[b, levels, h, w]`` of symbols ``[b, h, w]``."""
        embedded = self.embedding(x).permute(0, 3, 1, 2)
        v, h = F.pad(embedded, (0, 0, 1, 0))[:, :, :-1], F.pad(embedded, (1, 0))[..., :-1]
        v, h = self.first(v, h)
        for block in self.blocks:
            v, h = block(v, h)
        return self.output(F.relu(self.hidden(F.relu(h))))

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Bits per pixel."""
        return F.cross_entropy(self(x), x) / np.log(2.0)


class TorchResidualBlock(nn.Module):
    """See `pixelprior.nn.residual.ResidualBlock`."""

    def __init__(self, d: int, r: int):
        super().__init__()
        self.wide = nn.Conv2d(d, r, 3, padding=1)
        self.back = nn.Conv2d(r, d, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the residual to the input."""
        return x + self.back(F.relu(self.wide(F.relu(x))))


class TorchVQVAE(nn.Module):
    """A VQ-VAE of one level with stride 4, one moving-average codebook, and squared error."""

    codebook: torch.Tensor
    counts: torch.Tensor

    def __init__(self, model: VQVAE):
        super().__init__()
        (level,) = model._levels
        assert isinstance(level.quantizer, VectorQuantizer)
        self.quantizer = level.quantizer
        self.down = nn.ModuleList(_conv(conv, stride=2, padding=1) for conv in level.down.convs)
        self.encoder = _tower(level.encoder)
        self.project = _linear(level.project)
        self.decoder = _tower(level.decoder)
        self.up = nn.ModuleList(_shuffled_conv(conv) for conv in level.up.convs)
        self.register_buffer("codebook", _tensor(self.quantizer.codebook_vectors[...][0]))
        self.register_buffer("counts", _tensor(self.quantizer.counts[...][0]))

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors ``[b, h / 4, w / 4, q]`` of pixels ``[b, 1, h, w]``."""
        x = pixels - 0.5
        for conv in self.down:
            x = F.relu(conv(x))
        return self.project(F.relu(self.encoder(x))).permute(0, 2, 3, 1)

    def decode(self, vectors: torch.Tensor) -> torch.Tensor:
        """Pixels of vectors."""
        x = F.relu(self.decoder(vectors.permute(0, 3, 1, 2)))
        for number, conv in enumerate(self.up):
            x = F.pixel_shuffle(conv(F.relu(x) if number else x), 2)
        return x

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the decoded pixels, the vectors, and the indices of their codes."""
        z = self.encode(pixels)
        flat = z.detach().reshape(-1, z.shape[-1])
        distance = (self.codebook**2).sum(dim=1) - 2 * flat @ self.codebook.T
        indices = distance.argmin(dim=1)
        codes = self.codebook[indices].reshape(z.shape)
        return self.decode(z + (codes - z).detach()), z, indices

    def loss(self, pixels: torch.Tensor, variance: float) -> torch.Tensor:
        """Squared error and commitment loss; also updates the codebook, as a training step does."""
        decoded, z, indices = self(pixels)
        codes = self.codebook[indices].reshape(z.shape)
        commitment = self.quantizer.commitment * ((z - codes) ** 2).mean()
        with torch.no_grad():
            self._move(z.detach().reshape(-1, z.shape[-1]), indices)
        return ((decoded - pixels) ** 2).mean() / variance + commitment

    def _move(self, vectors: torch.Tensor, indices: torch.Tensor) -> None:
        """Update the moving average, and move dead codes to vectors of the batch."""
        quantizer = self.quantizer
        chosen = torch.zeros_like(self.counts).index_add_(0, indices, torch.ones(len(indices)))
        sums = torch.zeros_like(self.codebook).index_add_(0, indices, vectors)
        self.counts.mul_(quantizer.decay).add_(chosen, alpha=1 - quantizer.decay)
        total = self.counts.sum()
        smoothed = (self.counts + quantizer.epsilon) / (
            total + quantizer.codebook_size * quantizer.epsilon
        )
        step = (1 - quantizer.decay) / torch.where(chosen > 0, smoothed * total, 1.0)
        self.codebook.add_(step[:, None] * (sums - chosen[:, None] * self.codebook))
        dead = self.counts < quantizer.dead_share * self.counts.mean()
        drawn = vectors[torch.randint(len(vectors), (len(dead),))]
        self.codebook.copy_(torch.where(dead[:, None], drawn, self.codebook))
        self.counts.copy_(torch.where(dead, self.counts.mean(), self.counts))


def _gated(x: torch.Tensor) -> torch.Tensor:
    value, gate = x.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(gate)


def _tower(tower: Any) -> nn.Sequential:
    blocks = []
    for block in tower.blocks:
        _, _, d, r = block.wide.kernel.shape
        ours = TorchResidualBlock(d, r)
        with torch.no_grad():
            _copy_conv(ours.wide, block.wide)
            _copy_conv(ours.back, block.back)
        blocks.append(ours)
    return nn.Sequential(_conv(tower.first, stride=1, padding=1), *blocks)


def _conv(conv: nnx.Conv, *, stride: int, padding: int) -> nn.Conv2d:
    rows, columns, d, e = conv.kernel.shape
    ours = nn.Conv2d(d, e, (rows, columns), stride=stride, padding=padding)
    with torch.no_grad():
        _copy_conv(ours, conv)
    return ours


def _linear(linear: nnx.Linear) -> nn.Conv2d:
    d, e = linear.kernel.shape
    ours = nn.Conv2d(d, e, 1)
    with torch.no_grad():
        _copy_conv(ours, linear)
    return ours


def _shuffled_conv(conv: nnx.Conv) -> nn.Conv2d:
    """Order the features as `torch.nn.functional.pixel_shuffle` needs them."""
    ours = _conv(conv, stride=1, padding=1)
    order = torch.arange(ours.out_channels).reshape(4, -1).T.reshape(-1)
    with torch.no_grad():
        ours.weight.copy_(ours.weight[order])
        assert ours.bias is not None
        ours.bias.copy_(ours.bias[order])
    return ours


def _copy_gated(ours: TorchGatedBlock, theirs: Any, layer: tuple[int, ...]) -> None:
    """Copy the weights of a block, or of one layer of stacked blocks."""
    ours.above.weight.copy_(_kernel(theirs.above.kernel[...][layer]))
    ours.above.bias.copy_(_tensor(theirs.above_bias[...][layer]))
    ours.left.weight.copy_(_kernel(theirs.left.kernel[...][layer]))
    for name in ("link", "output"):
        linear = getattr(theirs, name)
        getattr(ours, name).weight.copy_(_kernel(linear.kernel[...][layer]))
        getattr(ours, name).bias.copy_(_tensor(linear.bias[...][layer]))


def _copy_conv(ours: nn.Conv2d, theirs: Any) -> None:
    ours.weight.copy_(_kernel(theirs.kernel[...]))
    assert ours.bias is not None
    ours.bias.copy_(_tensor(theirs.bias[...]))


def _kernel(kernel: Any) -> torch.Tensor:
    """Convert ``[rows, columns, d, e]`` or ``[d, e]`` to ``[e, d, rows, columns]``."""
    tensor = _tensor(kernel)
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor.T[..., None, None]


def _tensor(x: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(x))
