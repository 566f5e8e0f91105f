"""Native PyTorch's side of the training step, on one thread: reads commands, one a line, and answers each with a line.

Arguments: a file of float32 images, one of uint8 labels, one of float32 parameters, the batch, and the optimizer as JSON.
Commands: `step` trains on the next batch and gives its loss; `parameters FILE` writes them.
"""
import json
import sys

import numpy
import torch
from torch import nn

torch.set_num_threads(1)
images_file, labels_file, parameters_file, batch, optimizer = sys.argv[1:6]
batch = int(batch)
settings = json.loads(optimizer)
images = torch.from_numpy(numpy.fromfile(images_file, numpy.float32)).reshape(-1, 1, 28, 28)
labels = torch.from_numpy(numpy.fromfile(labels_file, numpy.uint8).astype(numpy.int64))
model = nn.Sequential(
    nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(1024, 100), nn.ReLU(), nn.Linear(100, 10),
)
given = torch.from_numpy(numpy.fromfile(parameters_file, numpy.float32))
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(given[: parameter.numel()].reshape(parameter.shape))
        given = given[parameter.numel():]
rule = torch.optim.SGD(
    model.parameters(), lr=settings["lr"], momentum=settings["momentum"], weight_decay=settings["weightDecay"]
)
loss_of = nn.CrossEntropyLoss()
print(torch.__version__, flush=True)
begin = 0
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    if command == "parameters":
        torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).numpy().tofile(argument)
        print("written", flush=True)
        continue
    rule.zero_grad()
    loss = loss_of(model(images[begin: begin + batch]), labels[begin: begin + batch])
    loss.backward()
    rule.step()
    begin = (begin + batch) % len(labels)
    print(loss.item(), flush=True)
