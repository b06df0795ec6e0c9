"""What exports and twins know about integer layers."""

import torch

from edgerift.deploy.program._layers import is_layer, sum_scales, whole_bias


def test_biases_round_as_executorch_writes_them(make_program):
    """Near a tie the reciprocal in float32 decides, so the biases here are put onto the ties."""
    maker = make_program()
    program = maker.program(maker.convolution(maker.rounded("image"), 512))
    module = program.module()
    (layer,) = [node for node in module.graph.nodes if is_layer(node)]
    scales = sum_scales(module, layer)
    ties = torch.arange(512) * 67 + 0.5
    (bias,) = [name for name in program.tensors if name.endswith(".bias")]
    module = program.with_tensors({bias: ties * scales}).module()
    (layer,) = [node for node in module.graph.nodes if is_layer(node)]
    zeros, limits = torch.zeros(512, dtype=torch.int64), torch.iinfo(torch.int32)
    expected = torch.ops.quantized_decomposed.quantize_per_channel(
        ties * scales, scales, zeros, 0, limits.min, limits.max, torch.int32
    )
    assert torch.equal(whole_bias(module, layer), expected.float())
    assert not torch.equal(whole_bias(module, layer), torch.round(ties * scales / scales))
