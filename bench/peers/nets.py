"""Bezoar's nets in PyTorch, layer by layer as crates/models lays them out for 32x32 images."""

import torch
from torch import nn
from torchvision import models


class Add(nn.Module):
    def forward(self, a, b):
        return a + b


def conv_norm(inputs, channels, kernel, padding=0, stride=1, bias=False):
    return [nn.Conv2d(inputs, channels, kernel, stride, padding, bias=bias), nn.BatchNorm2d(channels)]


def conv_norm_relu(*arguments, **options):
    return [*conv_norm(*arguments, **options), nn.ReLU(inplace=True)]


class PaperInception(nn.Module):
    def __init__(self, classes):
        super().__init__()

        def conv(inputs, channels, kernel, padding=0):
            return conv_norm_relu(inputs, channels, kernel, padding, bias=True)

        self.branch1 = nn.Sequential(*conv(3, 64, 1))
        self.branch5 = nn.Sequential(*conv(3, 48, 1), *conv(48, 64, 5, 2))
        self.branch3 = nn.Sequential(*conv(3, 64, 1), *conv(64, 96, 3, 1), *conv(96, 96, 3, 1))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv(3, 32, 1))
        blocks = [layer for _ in range(3) for layer in (nn.MaxPool2d(2), *conv(256, 256, 2))]
        self.trunk = nn.Sequential(*blocks, nn.MaxPool2d(2), nn.Flatten())
        hidden = [layer for i, o in ((256, 256), (256, 128)) for layer in (nn.Linear(i, o), nn.ReLU(inplace=True), nn.Dropout(0.5))]
        self.head = nn.Sequential(*hidden, nn.Linear(128, classes))

    def forward(self, x):
        branches = [branch(x) for branch in (self.branch1, self.branch5, self.branch3, self.pooled)]
        return self.head(self.trunk(torch.cat(branches, 1)))


def compact_cnn(classes, width=16):
    layers, inputs = [], 3
    for stage in ((1,), (2, 3), (4, 4)):
        for factor in stage:
            layers += conv_norm_relu(inputs, factor * width, 3, 1)
            inputs = factor * width
        layers.append(nn.MaxPool2d(2))
    hidden = [nn.Flatten(), nn.Linear(inputs * 16, 128), nn.ReLU(inplace=True), nn.Dropout(0.3)]
    return nn.Sequential(*layers, *hidden, nn.Linear(128, classes))


class BasicBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.inner = nn.Sequential(*conv_norm_relu(inputs, channels, 3, 1, stride), *conv_norm(channels, channels, 3, 1))
        same = inputs == channels and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_norm(inputs, channels, 1, 0, stride))
        self.add = Add()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.add(self.inner(x), self.shortcut(x)))


def resnet(classes):
    blocks, inputs = [], 64
    for stage in range(4):
        for block in range(2):
            blocks.append(BasicBlock(inputs, 64 << stage, 2 if stage > 0 and block == 0 else 1))
            inputs = 64 << stage
    return nn.Sequential(*conv_norm_relu(3, 64, 3, 1), *blocks, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, classes))


def vgg(classes):
    layers, inputs = [], 3
    for stage in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for channels in stage:
            layers += conv_norm_relu(inputs, channels, 3, 1, bias=True)
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, classes))


def squeezenet(classes):
    return models.squeezenet1_1(num_classes=classes)


def mobilenet(classes):
    """With the strides for small images: the first convolution and the second stage keep the size."""
    net = models.mobilenet_v2(num_classes=classes)
    net.features[0][0].stride = (1, 1)
    net.features[2].conv[1][0].stride = (1, 1)
    return net


def inception(classes):
    return models.inception_v3(num_classes=classes, aux_logits=False, init_weights=False)


NETS = {
    "paper-inception": PaperInception,
    "compact-cnn": compact_cnn,
    "resnet": resnet,
    "vgg": vgg,
    "squeezenet": squeezenet,
    "mobilenet-v2": mobilenet,
    "inception-v3": inception,
}

# Pixels a side, where they are not 32.
SIDES = {"inception-v3": 96}
