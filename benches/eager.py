"""Steps per second of PyTorch eager, on one thread: for `cargo bench --bench methods`.

Each method in two variants: `plain` calls `torch.autograd.grad` once per loss and updates by `torch.optim.Adam`; `fused` makes
one backward pass of all losses whose gradients are not needed apart, and updates by `Adam(fused=True)`. The sizes come from
the command line: d_v d_l d classes batch. Prints a line per method and variant: both names and the steps per second.
"""

import itertools
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


def fused_logits(p, z_v, z_l):
    return linear(torch.cat([z_v, z_l], 1), *p["f_T"])


def embeddings(p, x_v, x_l):
    return relu(linear(x_v, *p["h_v"])), relu(linear(x_l, *p["h_l"]))


def baseline(p, x_v, x_l, y, fused):
    loss = cross_entropy(fused_logits(p, *embeddings(p, x_v, x_l)), y)
    every = [t for part in p.values() for t in part]
    return list(zip(every, torch.autograd.grad(loss, every)))


def balgrad(p, x_v, x_l, y, fused):
    z_v, z_l = embeddings(p, x_v, x_l)
    o_t = fused_logits(p, z_v, z_l)
    log_v, log_l = (log_softmax(linear(z, *p[f]), -1) for z, f in ((z_v, "f_v"), (z_l, "f_l")))
    losses = [torch.nn.functional.nll_loss(log, y) for log in (log_v, log_l)]
    kls = [
        kl_div(log_v, log_l.detach(), reduction="batchmean", log_target=True),
        kl_div(log_l, log_v.detach(), reduction="batchmean", log_target=True),
    ]
    total = (losses[0] + losses[1]).detach()
    weights = [loss.detach() / total for loss in losses]
    theta = p["h_v"] + p["h_l"]
    own = [p["h_v"] + p["f_v"], p["h_l"] + p["f_l"]]
    keep = {"retain_graph": True}
    g_t = torch.autograd.grad(cross_entropy(o_t, y), theta + p["f_T"], **keep)
    if fused:
        # A modality's losses do not reach the other's parameters, so a sum over modalities takes one pass.
        every = own[0] + own[1]
        g_m = torch.autograd.grad(losses[0] + losses[1], every, **keep)
        g_kl = torch.autograd.grad(weights[0] * kls[0] + weights[1] * kls[1], every)
        g_m, g_kl = ([g[:4], g[4:]] for g in (g_m, g_kl))
    else:
        g_m = [torch.autograd.grad(loss, part, **keep) for loss, part in zip(losses, own)]
        g_kl = [torch.autograd.grad(loss, part, **keep) for loss, part in zip(kls, own)]
        g_kl = [[w * g for g in part] for w, part in zip(weights, g_kl)]
    kl_theta = list(g_kl[0][:2]) + list(g_kl[1][:2])
    dot = sum(torch.dot(a.view(-1), b.view(-1)) for a, b in zip(g_t, kl_theta))
    square = sum(torch.dot(g.view(-1), g.view(-1)) for g in kl_theta)
    keep_of_kl = 1 - torch.where(dot < 0, dot / square, torch.zeros(()))
    m_theta = list(g_m[0][:2]) + list(g_m[1][:2])
    # g_T + g_T^m + g_kl − a g_kl
    gradients = [torch.addcmul(g + m, kl, keep_of_kl) for g, m, kl in zip(g_t, m_theta, kl_theta)] + list(g_t[4:])
    for part in (0, 1):
        gradients += [g + kl for g, kl in zip(g_m[part][2:], g_kl[part][2:])]
    return list(zip(theta + p["f_T"] + p["f_v"] + p["f_l"], gradients))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x_v, x_l = torch.randn(BATCH * BATCHES, D_V), torch.randn(BATCH * BATCHES, D_L)
    y = torch.arange(BATCH * BATCHES) % CLASSES
    for method, fused in itertools.product((baseline, balgrad), (False, True)):
        p = parameters(method is balgrad)
        optimizer = torch.optim.Adam([t for part in p.values() for t in part], lr=1e-3, fused=fused)
        best = float("inf")
        for _ in range(ROUNDS):
            for start in range(0, BATCH * BATCHES, BATCH):
                begun = time.perf_counter()
                rows = torch.arange(start, start + BATCH)
                for parameter, gradient in method(p, x_v[rows], x_l[rows], y[rows], fused):
                    parameter.grad = gradient
                optimizer.step()
                best = min(best, time.perf_counter() - begun)
        print(method.__name__, "fused" if fused else "plain", 1 / best)


main()
