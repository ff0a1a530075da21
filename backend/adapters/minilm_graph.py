"""all-MiniLM-L6-v2 as an ONNX graph, written out from the published weights, so that no torch is needed.

A BERT encoder (Devlin et al. 2019) of 6 layers, 384 wide, 12 heads, post-norm, exact GELU. It ends at the token states:
pooling and normalising are the caller's, because one pass serves the chunk and its sentences.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LAYERS = 6
Weights = dict[str, NDArray[np.float32]]

# `Attention` is onnxruntime's fused operator (Q, K and V in one product; `mask` is 1 for a token, 0 for padding). The
# rest is standard ONNX, which onnxruntime fuses by itself as well as its own operators do (measured: no difference).
_HEAD = """<ir_version: 9, opset_import: ["" : 20, "com.microsoft" : 1]>
minilm (int64[batch, tokens] ids, int32[batch, tokens] mask) => (float[batch, tokens, 384] states_6)
{
  length = Shape <start = 1> (ids)
  words = Gather (word_embeddings, ids)
  positions = Slice (position_embeddings, zero, length)
  embedded = Add (words, positions)
  states_0 = LayerNormalization <axis = -1, epsilon = 1e-12> (embedded, embedded_norm_w, embedded_norm_b)
"""
_LAYER = """
  attended_{i} = com.microsoft.Attention <num_heads = 12> (states_{i}, qkv_{i}_w, qkv_{i}_b, mask)
  mixed_{i} = MatMul (attended_{i}, mix_{i}_w)
  mixed_b_{i} = Add (mixed_{i}, mix_{i}_b)
  mixed_sum_{i} = Add (mixed_b_{i}, states_{i})
  middle_{i} = LayerNormalization <axis = -1, epsilon = 1e-12> (mixed_sum_{i}, mix_norm_{i}_w, mix_norm_{i}_b)
  up_{i} = MatMul (middle_{i}, up_{i}_w)
  up_b_{i} = Add (up_{i}, up_{i}_b)
  active_{i} = Gelu (up_b_{i})
  down_{i} = MatMul (active_{i}, down_{i}_w)
  down_b_{i} = Add (down_{i}, down_{i}_b)
  down_sum_{i} = Add (down_b_{i}, middle_{i})
  states_{next} = LayerNormalization <axis = -1, epsilon = 1e-12> (down_sum_{i}, down_norm_{i}_w, down_norm_{i}_b)
"""
GRAPH = _HEAD + "".join(_LAYER.format(i=i, next=i + 1) for i in range(LAYERS)) + "}"
"""The graph in ONNX's text format, without its weights."""


def build_graph(weights: Path) -> bytes:
    """Return the serialised ONNX model made from a `model.safetensors` of all-MiniLM-L6-v2."""
    from onnx import numpy_helper, parser  # 0.4 s to import, and needed only the first time
    from safetensors.numpy import load_file

    model = parser.parse_model(GRAPH)
    tensors: dict[str, NDArray[np.generic]] = {"zero": np.array([0], dtype=np.int64), **_rearrange(load_file(weights))}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(tensor), name) for name, tensor in tensors.items()
    )
    return bytes(model.SerializeToString())


def _rearrange(published: Weights) -> Weights:
    """Name the published tensors as the graph does; fold what can be folded."""
    # every token is of type 0, so its type embedding is a constant of the position
    token_type = published["embeddings.token_type_embeddings.weight"][0]
    graph = {
        "word_embeddings": published["embeddings.word_embeddings.weight"],
        "position_embeddings": published["embeddings.position_embeddings.weight"] + token_type,
        **_affine(published, "embeddings.LayerNorm", "embedded_norm"),
    }
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        graph |= _attention(published, f"{layer}.attention.self", f"qkv_{i}")
        graph |= _linear(published, f"{layer}.attention.output.dense", f"mix_{i}")
        graph |= _affine(published, f"{layer}.attention.output.LayerNorm", f"mix_norm_{i}")
        graph |= _linear(published, f"{layer}.intermediate.dense", f"up_{i}")
        graph |= _linear(published, f"{layer}.output.dense", f"down_{i}")
        graph |= _affine(published, f"{layer}.output.LayerNorm", f"down_norm_{i}")
    return graph


def _affine(published: Weights, source: str, name: str) -> Weights:
    return {f"{name}_w": published[f"{source}.weight"], f"{name}_b": published[f"{source}.bias"]}


def _linear(published: Weights, source: str, name: str) -> Weights:
    """PyTorch keeps (out, in); MatMul wants (in, out)."""
    return {f"{name}_w": published[f"{source}.weight"].T, f"{name}_b": published[f"{source}.bias"]}


def _attention(published: Weights, source: str, name: str) -> Weights:
    parts = [_linear(published, f"{source}.{part}", part) for part in ("query", "key", "value")]
    weights, biases = zip(*(part.values() for part in parts), strict=True)
    return {f"{name}_w": np.concatenate(weights, axis=1), f"{name}_b": np.concatenate(biases)}
