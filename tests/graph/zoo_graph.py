"""What holds for the graph of every network of the zoo."""

from __future__ import annotations

from torch import nn

from edgecnn.graph.export import Exported

COMPUTING = frozenset(
    {"Add", "AveragePool", "BatchNormalization", "Clip", "Conv", "ConvTranspose", "Div", "Gemm",
     "GlobalAveragePool", "HardSigmoid", "HardSwish", "MaxPool", "Mul", "Relu", "Sigmoid", "Tanh"}
)  # fmt: skip
MOVING = frozenset(
    {"Concat", "Flatten", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)
# Response normalisation, written as the mean of squares over neighbouring channels.
MORE = {"vgg11_lrn": {"Pow"}}
BYTES_A_NODE = 400


def check_graph(name: str, module: nn.Module, exported: Exported) -> None:
    """PyTorch's newer exporter wrote few kinds of nodes, each weight once and by its own name."""
    assert (exported.exporter, exported.opset, exported.notes) == ("dynamo", 17, ())
    graph = exported.model.graph
    assert {node.op_type for node in graph.node} <= COMPUTING | MOVING | MORE.get(name, set())
    values = sum(value.numel() for value in module.state_dict().values())
    assert graph.ByteSize() < 4 * values + BYTES_A_NODE * len(graph.node)

    weights = {
        path
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and not path.lower().startswith("aux")
    }
    named = {item.name.removesuffix(".weight") for item in graph.initializer}
    assert weights <= named
