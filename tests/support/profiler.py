"""FLOPs as torch reports them."""

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile


def reported_by_torch_profiler(module: nn.Module, sample: torch.Tensor) -> int:
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiled:
        module(sample)
    return sum(event.flops for event in profiled.key_averages() if event.flops)
