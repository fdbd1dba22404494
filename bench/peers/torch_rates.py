"""Images a second of PyTorch in eager mode: scores, and training steps with Adam."""

import torch
from measure import arguments, report, work
from torch.nn.functional import cross_entropy

options = arguments("inference", "training")
net, images, labels = work(options)
by = f"torch {torch.__version__}"

if options.what == "inference":
    net.eval()
    with torch.inference_mode():
        report(options, by, lambda: net(images))
else:
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        cross_entropy(net(images), labels).backward()
        optimizer.step()

    report(options, by, step)
