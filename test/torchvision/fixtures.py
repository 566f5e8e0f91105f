"""Writes test/fixtures/torchvision.json: `/usr/bin/python3 test/torchvision/fixtures.py`.

For each network of the zoo with torchvision's names: names and shapes of the whole state dict of torchvision's, and the logits
that PyTorch computes for a narrow one of ten classes from weights and images that are made by a formula.
"""

import json
import os

import torch
from networks import NETWORKS, image, load, make, narrow, weights

# Eighths of the maps where a quarter is still large. MobileNetV2 rounds its maps in its own way.
WIDTHS = {"alexnet-torchvision": 1 / 8, "mobilenet-v2": 1, "resnet20": 1}
WEIGHT_SEED = 1
IMAGE_SEED = 3_000_000_000


def described(state):
    """Shapes by name. A number stands for a batch normalization of so many maps, which has five tensors."""
    normalized = {name[: -len(".running_mean")] for name in state if name.endswith(".running_mean")}
    shapes = {}
    for name, tensor in state.items():
        layer, part = name.rsplit(".", 1)
        if layer not in normalized:
            shapes[name] = list(tensor.shape)
        elif part != "num_batches_tracked":
            assert list(tensor.shape) == [shapes.setdefault(layer, tensor.shape[0])]
    return shapes


networks = {}
for name in NETWORKS:
    shapes = described(make(name, 1000 if name != "resnet20" else 10).state_dict())
    width = WIDTHS.get(name, 1 / 8 if name.startswith("vgg") else 1 / 4)
    model = make(name, 10)
    if width != 1:
        narrow(model, width)
    load(model, weights(model, WEIGHT_SEED))
    size = (32, 32) if name == "resnet20" or name.startswith("vgg") else (64, 64)
    with torch.no_grad():
        logits = model(torch.from_numpy(image(size, IMAGE_SEED)))
    assert logits.shape == (2, 10) and torch.isfinite(logits).all()
    # Otherwise the test would not notice what the network sees.
    assert (logits[0] - logits[1]).abs().max() > 1e-3 * logits.abs().max(), name
    networks[name] = {"shapes": shapes, "width": width, "size": size, "logits": logits.flatten().tolist()}
    print(f"{name}: {len(shapes)} entries, logits up to {logits.abs().max():.3g}, apart by {(logits[0] - logits[1]).abs().max():.3g}")

about = {
    "what": "Names and shapes of torchvision's state dicts, a number for a batch normalization of so many maps, and logits of narrow "
    "networks with weights and images by a formula, as PyTorch computes them",
    "by": "test/torchvision/fixtures.py",
    "torch": torch.__version__,
    "weightSeed": WEIGHT_SEED,
    "imageSeed": IMAGE_SEED,
}
lines = []
for name, network in networks.items():
    parts = [f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in network.items()]
    lines.append(f"{json.dumps(name)}:{{{','.join(parts)}}}")
path = os.path.join(os.path.dirname(__file__), "../fixtures/torchvision.json")
with open(path, "w") as file:
    file.write("{\n" + ",\n".join([f'"about":{json.dumps(about)}', *lines]) + "\n}\n")
