"""Steps per second of PyTorch eager doing the same in the plain way, on one thread: for `cargo bench --bench methods`.

One `torch.autograd.grad` call per loss, `torch.optim.Adam`, the sizes from the command line: d_v d_l d classes batch.
Prints a line per method: its name and the steps per second.
"""

import sys
import time

import torch
from torch.nn.functional import cross_entropy, kl_div, linear, log_softmax, relu

D_V, D_L, D, CLASSES, BATCH = (int(argument) for argument in sys.argv[1:6])
BATCHES, ROUNDS = 20, 15


def parameters(heads):
    def layer(outputs, inputs):
        bound = inputs**-0.5
        weight = torch.empty(outputs, inputs).uniform_(-bound, bound)
        return [t.requires_grad_() for t in (weight, torch.empty(outputs).uniform_(-bound, bound))]

    parts = {"h_v": layer(D, D_V), "h_l": layer(D, D_L), "f_T": layer(CLASSES, 2 * D)}
    if heads:
        parts |= {"f_v": layer(CLASSES, D), "f_l": layer(CLASSES, D)}
    return parts


def baseline(p, x_v, x_l, y):
    z = torch.cat([relu(linear(x_v, *p["h_v"])), relu(linear(x_l, *p["h_l"]))], 1)
    loss = cross_entropy(linear(z, *p["f_T"]), y)
    every = [t for part in p.values() for t in part]
    return list(zip(every, torch.autograd.grad(loss, every)))


def balgrad(p, x_v, x_l, y):
    z_v, z_l = relu(linear(x_v, *p["h_v"])), relu(linear(x_l, *p["h_l"]))
    o_t = linear(torch.cat([z_v, z_l], 1), *p["f_T"])
    log_v, log_l = (log_softmax(linear(z, *p[f]), -1) for z, f in ((z_v, "f_v"), (z_l, "f_l")))
    losses = [torch.nn.functional.nll_loss(log, y) for log in (log_v, log_l)]
    kls = [
        kl_div(log_v, log_l.detach(), reduction="batchmean", log_target=True),
        kl_div(log_l, log_v.detach(), reduction="batchmean", log_target=True),
    ]
    theta = p["h_v"] + p["h_l"]
    keep = {"retain_graph": True}
    g_t = torch.autograd.grad(cross_entropy(o_t, y), theta + p["f_T"], **keep)
    own = [p["h_v"] + p["f_v"], p["h_l"] + p["f_l"]]
    g_m = [torch.autograd.grad(loss, part, **keep) for loss, part in zip(losses, own)]
    g_kl = [torch.autograd.grad(loss, part, **keep) for loss, part in zip(kls, own)]
    total = (losses[0] + losses[1]).detach()
    weights = [loss.detach() / total for loss in losses]
    g_kl = [[w * g for g in part] for w, part in zip(weights, g_kl)]
    kl_theta = list(g_kl[0][:2]) + list(g_kl[1][:2])
    dot = sum((a * b).sum() for a, b in zip(g_t, kl_theta))
    square = sum((g * g).sum() for g in kl_theta)
    a = torch.where(dot < 0, dot / square, torch.zeros(()))
    g_theta = [g - a * kl for g, kl in zip(g_t, kl_theta)]
    m_theta = list(g_m[0][:2]) + list(g_m[1][:2])
    gradients = [g + m + kl for g, m, kl in zip(g_theta, m_theta, kl_theta)] + list(g_t[4:])
    for part in (0, 1):
        gradients += [g + kl for g, kl in zip(g_m[part][2:], g_kl[part][2:])]
    return list(zip(theta + p["f_T"] + p["f_v"] + p["f_l"], gradients))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x_v, x_l = torch.randn(BATCH * BATCHES, D_V), torch.randn(BATCH * BATCHES, D_L)
    y = torch.arange(BATCH * BATCHES) % CLASSES
    for method in (baseline, balgrad):
        p = parameters(method is balgrad)
        optimizer = torch.optim.Adam([t for part in p.values() for t in part], lr=1e-3)
        best = float("inf")
        for _ in range(ROUNDS):
            for start in range(0, BATCH * BATCHES, BATCH):
                begun = time.perf_counter()
                rows = torch.arange(start, start + BATCH)
                for parameter, gradient in method(p, x_v[rows], x_l[rows], y[rows]):
                    parameter.grad = gradient
                optimizer.step()
                best = min(best, time.perf_counter() - begun)
        print(method.__name__, 1 / best)


main()
