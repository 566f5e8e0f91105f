"""The networks of the zoo that have torchvision's names, as PyTorch makes them, and weights and images that need no file.

Needs Debian's python3-torch and python3-torchvision. Numbers are made from the index of an element by integers alone, so that
test/helpers/torchvision.ts makes the same ones.
"""

import numpy as np
import torch
import torchvision.models as models
from torch import nn
from torchvision.models.resnet import BasicBlock


class CifarResNet(nn.Module):
    """ResNet-20 for CIFAR-10 with the names of the weights that are published, and projections where maps grow in number."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        before = 16
        for stage, maps in enumerate([16, 32, 64]):
            blocks = []
            for index in range(3):
                stride = 2 if stage > 0 and index == 0 else 1
                downsample = None
                if stride != 1:
                    conv = nn.Conv2d(before, maps, 1, stride=stride, bias=False)
                    downsample = nn.Sequential(conv, nn.BatchNorm2d(maps))
                blocks.append(BasicBlock(before, maps, stride, downsample))
                before = maps
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(torch.mean(x, (2, 3), keepdim=True), 1))


def of(name, **more):
    return lambda classes: getattr(models, name)(weights=None, num_classes=classes, **more)


# By the name of the zoo: how PyTorch makes the network, and two sizes of images.
NETWORKS = {
    "alexnet-torchvision": (of("alexnet"), [(224, 224), (160, 200)]),
    "vgg11-torchvision": (of("vgg11"), [(224, 224), (96, 128)]),
    "vgg13-torchvision": (of("vgg13"), [(224, 224), (96, 128)]),
    "vgg16-torchvision": (of("vgg16"), [(224, 224), (96, 128)]),
    "vgg19-torchvision": (of("vgg19"), [(224, 224), (96, 128)]),
    "vgg11-bn": (of("vgg11_bn"), [(224, 224), (96, 128)]),
    "vgg13-bn": (of("vgg13_bn"), [(224, 224), (96, 128)]),
    "vgg16-bn": (of("vgg16_bn"), [(224, 224), (96, 128)]),
    "vgg19-bn": (of("vgg19_bn"), [(224, 224), (96, 128)]),
    "googlenet-torchvision": (of("googlenet", aux_logits=True, init_weights=False), [(224, 224), (99, 130)]),
    "resnet18": (of("resnet18"), [(224, 224), (97, 130)]),
    "resnet34": (of("resnet34"), [(224, 224), (97, 130)]),
    "resnet50": (of("resnet50"), [(224, 224), (97, 130)]),
    "resnet20": (CifarResNet, [(32, 32), (41, 50)]),
    "mobilenet-v2": (of("mobilenet_v2"), [(224, 224), (97, 130)]),
    "squeezenet1_1": (of("squeezenet1_1"), [(224, 224), (97, 130)]),
    "densenet121": (of("densenet121"), [(224, 224), (97, 130)]),
}


def make(name, classes):
    """The network, in use."""
    torch.manual_seed(0)
    return NETWORKS[name][0](classes).eval()


def narrow(model, factor):
    """Makes all maps and units fewer, but for the colours and the classes, by putting smaller tensors in the place of the weights."""
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
    outputs = {id(layer) for layer in layers if getattr(layer, "out_features", 0) == 10 or getattr(layer, "out_channels", 0) == 10}
    for layer in layers:
        for name, tensor in list(layer.named_parameters(recurse=False)) + list(layer.named_buffers(recurse=False)):
            if tensor.ndim == 0:
                continue
            shape = list(tensor.shape)
            if id(layer) not in outputs:
                shape[0] = round(shape[0] * factor)
            if tensor.ndim > 1 and shape[1] != 3:
                shape[1] = round(shape[1] * factor)
            tensor.data = torch.zeros(shape)
        if isinstance(layer, nn.Conv2d):
            assert layer.groups == 1
    return model


def uniform(count, seed):
    """Numbers from 0 to 1 in steps of 2^-24 from the whole numbers from `seed` on, by a mixer of 32 bits."""
    h = (np.arange(count, dtype=np.uint64) + np.uint64(seed)).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float64) / 2**24


def number(name, shape, seed):
    """The tensor of a name: what it is told by the end of the name."""
    count = int(np.prod(shape))
    u = uniform(count, seed)
    if name.endswith("running_var"):
        values = 0.5 + u
    elif name.endswith("running_mean"):
        values = 0.2 * u - 0.1
    elif len(shape) > 1:
        # He's: each output's variance is that of its inputs behind a rectifier.
        values = (2 * u - 1) * np.sqrt(6 / (count / shape[0]))
    elif name.endswith("weight"):
        values = 0.5 + u
    else:
        values = 0.2 * u - 0.1
    return values.astype(np.float32).reshape(shape)


def weights(model, seed):
    """Numbers for everything in the state dict that is not a count. The seed of a tensor is the sum of the elements before it."""
    made = {}
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            made[name] = number(name, tuple(tensor.shape), seed)
            seed += made[name].size
    return made


def load(model, made):
    """Puts them in."""
    given = {name: torch.from_numpy(values) for name, values in made.items()}
    missing, unexpected = model.load_state_dict(given, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)


def image(size, seed):
    """A pair of images."""
    shape = (2, 3, *size)
    return (2 * uniform(int(np.prod(shape)), seed) - 1).astype(np.float32).reshape(shape)
