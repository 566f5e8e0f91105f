"""Native PyTorch's side of the training step: reads commands, one a line, and answers each with a line.

Argument: a JSON file with the steps of the network, the batch, the optimizer, the threads and the names of files: float32
images, uint8 labels, float32 parameters. Commands: `step` trains on the next batch and gives its loss; `parameters FILE`
writes them.
"""
import json
import sys

import numpy
import torch
from torch.nn import functional as F

with open(sys.argv[1]) as file:
    problem = json.load(file)
torch.set_num_threads(problem["threads"])
batch = problem["batch"]
settings = problem["optimizer"]
images = torch.from_numpy(numpy.fromfile(problem["images"], numpy.float32)).reshape(-1, *problem["input"])
labels = torch.from_numpy(numpy.fromfile(problem["labels"], numpy.uint8).astype(numpy.int64))
given = torch.from_numpy(numpy.fromfile(problem["parameters"], numpy.float32))
parameters = []
for shape in problem["shapes"]:
    size = int(numpy.prod(shape))
    parameters.append(given[:size].reshape(shape).clone().requires_grad_())
    given = given[size:]


def forward(x):
    rest = iter(parameters)
    for step in problem["steps"]:
        kind, options = step["type"], step["options"]
        w = next(rest) if step["weight"] else None
        b = next(rest) if step["bias"] else None
        if kind == "Conv2d":
            x = F.conv2d(x, w, b, options.get("stride", 1), options.get("padding", 0), 1, options.get("groups", 1))
        elif kind == "Linear":
            x = F.linear(x, w, b)
        elif kind == "MaxPool2d":
            x = F.max_pool2d(x, options["kernel"], options.get("stride"), options.get("padding", 0))
        elif kind == "AvgPool2d":
            x = F.avg_pool2d(x, options["kernel"], options.get("stride"), options.get("padding", 0))
        elif kind == "LocalResponseNorm":
            x = F.local_response_norm(x, options["size"], options["alpha"], options["beta"], options["k"])
        elif kind == "ScaledTanh":
            x = torch.tanh(x * (2 / 3)) * 1.7159
        elif kind == "RBF":
            x = 2 * x @ w.T - (x * x).sum(1, keepdim=True) - (w * w).sum(1) - b
        elif kind == "Flatten":
            x = torch.flatten(x, 1)
        elif kind == "ReLU":
            x = F.relu(x)
        else:
            raise ValueError(f"has no {kind}")
        if step["relu"]:
            x = F.relu(x)
    return x


rule = torch.optim.SGD(
    parameters, lr=settings["lr"], momentum=settings["momentum"], weight_decay=settings["weightDecay"]
)
print(torch.__version__, flush=True)
begin = 0
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    if command == "parameters":
        torch.cat([parameter.detach().flatten() for parameter in parameters]).numpy().tofile(argument)
        print("written", flush=True)
        continue
    rule.zero_grad()
    loss = F.cross_entropy(forward(images[begin: begin + batch]), labels[begin: begin + batch])
    loss.backward()
    rule.step()
    begin = (begin + batch) % len(labels)
    print(loss.item(), flush=True)
