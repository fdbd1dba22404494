"""What the scripts share: their arguments, the work, the clock and the line of JSON that bezoar-bench prints too."""

import argparse
import json
import statistics
import time

import torch
from nets import NETS, SIDES

CLASSES = 43


def arguments(*whats):
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=whats)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def work(options):
    """A fresh net, images of noise and labels of all classes in turn."""
    torch.manual_seed(0)
    net = NETS[options.net](CLASSES).to(options.device)
    options.parameters = sum(parameter.numel() for parameter in net.parameters())
    side = SIDES.get(options.net, 32)
    images = torch.rand(options.batch, 3, side, side, device=options.device)
    return net, images, torch.arange(options.batch, device=options.device) % CLASSES


def report(options, by, step):
    """Times `step`, a batch, after a warm-up, and prints the median rate."""

    def seconds():
        start = time.perf_counter()
        step()
        if options.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds()
    rate = statistics.median(options.batch / seconds() for _ in range(options.repeats))
    line = {"what": options.what, "net": options.net, "by": by, "parameters": options.parameters, "images_per_s": rate}
    print(json.dumps(line))
