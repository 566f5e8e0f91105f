"""Exports one of torchvision's networks to ONNX: `/usr/bin/python3 exports.py NETWORK FOLDER OPSET...`, or `--list`.

Writes NETWORK-OPSET.onnx for each opset, case.safetensors with images and what PyTorch computes, also with the upsampling that ONNX
had until opset 10, and told.json with what became of each opset. Weights are random and seeded. Statistics are those of random images, so that values keep their size from layer to
layer, and are moved at random, so that normalization is not the identity.
"""

import json
import sys
import warnings

import torch
import torchvision.models as models
import torchvision.models.segmentation as segmentation
from stored import write
from torch import nn


class Only(nn.Module):
    """The network whose outputs are named, with the one that is called `out`."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)["out"]


def classifier(name, size=128, **more):
    return lambda: getattr(models, name)(weights=None, num_classes=100, **more), size


def segments(name, size=128):
    return lambda: Only(getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=21)), size


# Fixed grids (the heads of AlexNet and VGG) are exported for images that they divide; the auxiliary head of Inception takes no less
# than its own size.
NETWORKS = {
    "alexnet": classifier("alexnet", 224),
    "vgg11_bn": classifier("vgg11_bn", 224),
    "resnet18": classifier("resnet18"),
    "resnext50_32x4d": classifier("resnext50_32x4d"),
    "densenet121": classifier("densenet121"),
    "googlenet": classifier("googlenet", init_weights=False, aux_logits=True),
    "inception_v3": classifier("inception_v3", 299, init_weights=False),
    "squeezenet1_1": classifier("squeezenet1_1"),
    "mobilenet_v2": classifier("mobilenet_v2"),
    "mobilenet_v3_small": classifier("mobilenet_v3_small"),
    "mobilenet_v3_large": classifier("mobilenet_v3_large"),
    "efficientnet_b0": classifier("efficientnet_b0"),
    "mnasnet1_0": classifier("mnasnet1_0"),
    "regnet_y_400mf": classifier("regnet_y_400mf"),
    "shufflenet_v2_x1_0": classifier("shufflenet_v2_x1_0"),
    "convnext_tiny": classifier("convnext_tiny"),
    "lraspp_mobilenet_v3_large": segments("lraspp_mobilenet_v3_large"),
    "deeplabv3_mobilenet_v3_large": segments("deeplabv3_mobilenet_v3_large"),
    "fcn_resnet50": segments("fcn_resnet50"),
}


def settle(model, size):
    """Gives every normalization the statistics of random images and then moves them, and scales that begin next to zero a size."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name.endswith("layer_scale"):
                tensor.uniform_(0.1, 0.5)
        for layer in norms:
            layer.weight.uniform_(0.7, 1.3)
            layer.bias.uniform_(-0.2, 0.2)
            layer.momentum = 1.0
        model.train()
        model(torch.rand(4, 3, size, size))
        model.eval()
        for layer in norms:
            deviation = layer.running_var.sqrt()
            layer.running_mean += 0.2 * deviation * torch.randn_like(deviation)
            layer.running_var *= torch.empty_like(deviation).uniform_(0.7, 1.4)


def upsample(x, size, **_):
    """What Upsample means until opset 10, and PyTorch's interpolation does not: output i lies at i · input / output."""
    for axis, extent in zip((2, 3), size):
        last = x.shape[axis] - 1
        place = torch.arange(extent) * (x.shape[axis] / extent)
        below = place.floor().long().clamp(max=last)
        share = (place - below).reshape([-1, 1] if axis == 2 else [-1]).to(x.dtype)
        x = x.index_select(axis, below) * (1 - share) + x.index_select(axis, (below + 1).clamp(max=last)) * share
    return x


if sys.argv[1:] == ["--list"]:
    print(json.dumps(list(NETWORKS)))
    sys.exit()

name, folder, *opsets = sys.argv[1:]
make, size = NETWORKS[name]
torch.manual_seed(1)
torch.set_num_threads(2)
model = make()
settle(model, size)
x = torch.rand(2, 3, size, size)
with torch.no_grad():
    y = model(x)
    kept, nn.functional.interpolate = nn.functional.interpolate, upsample
    upsampled = model(x)
    nn.functional.interpolate = kept
write(f"{folder}/case.safetensors", {"x": x.numpy(), "y": y.numpy(), "upsampled": upsampled.numpy()})


def export(opset, batch):
    """Writes the file of an opset, for any batch or for that of x alone. Tells whether PyTorch warns that upsampling is another one."""
    free = {"x": {0: "N"}, "y": {0: "N"}} if batch == "any" else {}
    given = x[:1] if batch == "any" else x
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = f"{folder}/{name}-{opset}.onnx"
        torch.onnx.export(model, given, path, opset_version=opset, input_names=["x"], output_names=["y"], dynamic_axes=free)
    return {"upsampled": any("Interpolation until opset 11" in str(warning.message) for warning in caught)}


told = {}
for opset in map(int, opsets):
    # Exported for one image and run with two, where PyTorch can.
    for batch in ["any", "its own"]:
        try:
            told[opset] = {"batch": batch, **export(opset, batch)}
            break
        except Exception as error:
            told[opset] = {"refused": " ".join(str(error).split())}
with open(f"{folder}/told.json", "w") as file:
    json.dump(told, file)
