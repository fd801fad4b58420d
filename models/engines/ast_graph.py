"""An AST in OpenVINO's operators, made from the arrays of a checkpoint: ready in a second, because PyTorch is not loaded."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset15 as ops

from ..log_mel import log_mel
from .openvino_runner import Floats, OpenVinoRunner

Node: TypeAlias = openvino.Node
Weights: TypeAlias = Mapping[str, NDArray[Any]]

PREFIX_TOKENS = 2
"""The class and the distillation token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AstShape:
    """Geometry and size of an AST; the attributes are those of `ast_network.AstConfig`, which needs PyTorch."""

    width: int
    depth: int
    heads: int
    mlp_width: int
    fstride: int
    tstride: int
    input_fdim: int
    input_tdim: int
    label_dim: int
    patch: int
    qkv_bias: bool
    norm_eps: float
    head_norm_eps: float

    @property
    def grid(self) -> tuple[int, int]:
        """Number of patches along mel bins and along rows."""
        return (
            (self.input_fdim - self.patch) // self.fstride + 1,
            (self.input_tdim - self.patch) // self.tstride + 1,
        )


class AstGraph:
    """Engine for an AST on the CPU in single precision, with its front end in NumPy.

    Parameters
    ----------
    shape : AstShape
        Geometry and size.
    weights : mapping of str to array
        State dict of the network, for windows of that geometry.
    mean, std : float
        Normalisation of the log-mel rows.

    Attributes
    ----------
    description : str
        ``openvino cpu fp32``.
    """

    description = "openvino cpu fp32"

    def __init__(self, shape: AstShape, weights: Weights, *, mean: float, std: float) -> None:
        self._rows, self._mean, self._std = shape.input_tdim, mean, std
        self._run = OpenVinoRunner(
            openvino.Core(),
            _Builder(shape, weights).model(),
            full_rows=shape.input_tdim,
            hint="f32",
            threads=_threads(),
        )

    def __call__(self, samples: Floats) -> tuple[Floats, Floats]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width)."""
        return self._run(np.stack([self._features(window) for window in samples]))

    def _features(self, window: Floats) -> Floats:
        """Samples float32 (n,) -> normalised rows float32 (rows, bins); missing rows are zeros before the normalisation."""
        rows = log_mel(window)[: self._rows]
        padded = np.pad(rows, ((0, self._rows - len(rows)), (0, 0)))
        return np.asarray((padded - self._mean) / (2.0 * self._std), np.float32)


def _threads() -> int:
    """Return the number of processors of this program, or what OpenMP is limited to."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdecimal() and int(limit) > 0:
        return int(limit)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Builder:
    """Maker of the graph."""

    def __init__(self, shape: AstShape, weights: Weights) -> None:
        self._shape, self._weights = shape, weights

    def model(self) -> openvino.Model:
        """Return the graph from normalised rows (1, rows, bins) to logits (1, classes) and embeddings (1, width)."""
        shape = self._shape
        rows = ops.parameter([1, shape.input_tdim, shape.input_fdim], np.float32, name="rows")
        tokens = self._tokens(rows)
        for index in range(shape.depth):
            block = f"v.blocks.{index}"
            normal = self._norm(tokens, f"{block}.norm1", shape.norm_eps)
            tokens = ops.add(tokens, self._attention(normal, f"{block}.attn"))
            normal = self._norm(tokens, f"{block}.norm2", shape.norm_eps)
            tokens = ops.add(tokens, self._perceptron(normal, f"{block}.mlp"))
        tokens = self._norm(tokens, "v.norm", shape.norm_eps)
        prefix = ops.slice(tokens, [0], [PREFIX_TOKENS], [1], [1])
        embedding = ops.reduce_mean(prefix, [1], keep_dims=False)
        logits = self._linear(self._norm(embedding, "mlp_head.0", shape.head_norm_eps), "mlp_head.1")
        return openvino.Model([logits.output(0), embedding.output(0)], [rows], "ast")

    def _tokens(self, rows: Node) -> Node:
        """Rows -> tokens (1, 2 + patches, width), the lowest mel bins first."""
        picture = ops.unsqueeze(ops.transpose(rows, [0, 2, 1]), 1)  # (1, 1, bins, rows)
        strides = [self._shape.fstride, self._shape.tstride]
        patches = ops.convolution(
            picture, self._constant("v.patch_embed.proj.weight"), strides, [0, 0], [0, 0], [1, 1]
        )
        patches = ops.transpose(
            ops.reshape(patches, [1, self._shape.width, -1], special_zero=False), [0, 2, 1]
        )
        patches = ops.add(patches, self._constant("v.patch_embed.proj.bias"))
        tokens = ops.concat([self._constant("v.cls_token"), self._constant("v.dist_token"), patches], 1)
        return ops.add(tokens, self._constant("v.pos_embed"))

    def _attention(self, tokens: Node, name: str) -> Node:
        width, heads = self._shape.width, self._shape.heads
        joined = ops.reshape(
            self._linear(tokens, f"{name}.qkv"), [1, -1, 3, heads, width // heads], special_zero=False
        )
        parts = ops.split(ops.transpose(joined, [2, 0, 3, 1, 4]), 0, 3).outputs()
        query, key, value = (ops.squeeze(part, [0]) for part in parts)  # (1, heads, tokens, width / heads)
        mixed = ops.transpose(ops.scaled_dot_product_attention(query, key, value), [0, 2, 1, 3])
        return self._linear(ops.reshape(mixed, [1, -1, width], special_zero=False), f"{name}.proj")

    def _perceptron(self, tokens: Node, name: str) -> Node:
        return self._linear(ops.gelu(self._linear(tokens, f"{name}.fc1"), "erf"), f"{name}.fc2")

    def _norm(self, tokens: Node, name: str, epsilon: float) -> Node:
        normal = ops.mvn(tokens, [-1], normalize_variance=True, eps=epsilon, eps_mode="INSIDE_SQRT")
        return ops.add(ops.multiply(normal, self._constant(f"{name}.weight")), self._constant(f"{name}.bias"))

    def _linear(self, tokens: Node, name: str) -> Node:
        product = ops.matmul(tokens, self._constant(f"{name}.weight"), transpose_a=False, transpose_b=True)
        bias = f"{name}.bias"
        return ops.add(product, self._constant(bias)) if bias in self._weights else product

    def _constant(self, name: str) -> Node:
        return ops.constant(np.ascontiguousarray(self._weights[name], np.float32))
