"""Writes what compare.mjs compares, for one network: `/usr/bin/python3 compare.py NETWORK FOLDER`.

The state dict as torchvision lists it, counts of batches included, and for each of two sizes a pair of images and the logits that
PyTorch computes.
"""

import sys

import torch
from networks import NETWORKS, image, load, make, weights
from stored import write

name, folder = sys.argv[1:]
torch.set_num_threads(2)
model = make(name, 10 if name == "resnet20" else 1000)
load(model, weights(model, 1))
write(f"{folder}/state.safetensors", {key: tensor.numpy() for key, tensor in model.state_dict().items()})
cases = {}
for index, size in enumerate(NETWORKS[name][1]):
    x = image(size, 3_000_000_000 + index)
    with torch.no_grad():
        cases[f"{index}.x"], cases[f"{index}.y"] = x, model(torch.from_numpy(x)).numpy()
write(f"{folder}/cases.safetensors", cases)
