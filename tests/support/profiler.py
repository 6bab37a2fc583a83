"""FLOPs by torch.profiler, as a reference."""

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile


def reported_by_torch_profiler(module: nn.Module, sample: torch.Tensor) -> int:
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
        module(sample)
    return sum(event.flops for event in profiler.key_averages() if event.flops)
