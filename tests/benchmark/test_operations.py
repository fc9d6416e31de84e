import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from cmid_mm.benchmark.operations import count_flops


def test_linear_forward_and_backward():
    layer, x = nn.Linear(5, 7), torch.randn(3, 5)
    forward = 2 * 3 * 5 * 7
    assert count_flops(lambda: layer(x)) == forward
    # the gradient of the weight; nobody asks for that of the input
    assert count_flops(lambda: layer(x).sum().backward()) == 2 * forward
    x.requires_grad_()
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * forward


def test_convolution():
    layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert count_flops(lambda: layer(torch.randn(2, 3, 10, 10))) == 2 * 2 * 8 * 100 * 27


def test_attention_counts_the_same_whether_fused_or_not():
    """torch's own table lacks the fused attention of the CPU."""
    query, key, value = (torch.randn(2, 3, 16, 8, requires_grad=True) for _ in range(3))

    def eager():
        return (query @ key.mT / 8**0.5).softmax(-1) @ value

    def fused():
        return scaled_dot_product_attention(query, key, value)

    forward = 2 * (2 * 2 * 3 * 16 * 16 * 8)
    assert count_flops(eager) == count_flops(fused) == forward
    assert count_flops(lambda: eager().sum().backward()) == 3 * forward
    # the fused backward pass computes the weights once more
    assert count_flops(lambda: fused().sum().backward()) == 3.5 * forward
