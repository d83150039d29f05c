"""Pictures and texts per second of PyTorch eager in ViT-B/16 and BERT-base, on one thread: for `cargo bench --bench
encoders`. The networks are those of transformers with `attn_implementation="sdpa"`, with random weights.

Prints a line per network and batch: its name and the items per second.
"""

import time

import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

D, HEADS, MLP, LAYERS = 768, 12, 3072, 12


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(D, D) for _ in range(4))

    def forward(self, x, mask):
        batch, tokens, _ = x.shape
        split = lambda y: y.view(batch, tokens, HEADS, D // HEADS).transpose(1, 2)
        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        context = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.output(context.transpose(1, 2).reshape(batch, tokens, D))


class Block(nn.Module):
    def __init__(self, post_norm):
        super().__init__()
        self.attention, self.post_norm = Attention(), post_norm
        self.mlp_in, self.mlp_out = nn.Linear(D, MLP), nn.Linear(MLP, D)
        self.first, self.second = nn.LayerNorm(D, 1e-12), nn.LayerNorm(D, 1e-12)

    def forward(self, x, mask):
        if self.post_norm:
            x = self.first(x + self.attention(x, mask))
            return self.second(x + self.mlp_out(gelu(self.mlp_in(x))))
        x = x + self.attention(self.first(x), mask)
        return x + self.mlp_out(gelu(self.mlp_in(self.second(x))))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.cls, self.positions = nn.Parameter(torch.zeros(1, 1, D)), nn.Parameter(torch.zeros(1, 197, D))
        self.patches, self.norm = nn.Conv2d(3, D, 16, 16), nn.LayerNorm(D, 1e-12)
        self.layers = nn.ModuleList(Block(False) for _ in range(LAYERS))

    def forward(self, pictures):
        x = self.patches(pictures).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(pictures), 1, D), x], 1) + self.positions
        for layer in self.layers:
            x = layer(x, None)
        return self.norm(x)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions, self.types = nn.Embedding(30522, D), nn.Embedding(512, D), nn.Embedding(2, D)
        self.norm = nn.LayerNorm(D, 1e-12)
        self.layers = nn.ModuleList(Block(True) for _ in range(LAYERS))

    def forward(self, ids, attention_mask):
        x = self.words(ids) + self.types(torch.zeros_like(ids)) + self.positions(torch.arange(ids.shape[1]))
        x = self.norm(x)
        mask = ((1.0 - attention_mask.float()) * torch.finfo(torch.float32).min)[:, None, None]
        for layer in self.layers:
            x = layer(x, mask)
        return x


def rate(items, work):
    work()
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return items / best


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.inference_mode():
        vit = Vit().eval()
        for pictures in (4, 8, 16):
            x = torch.ones(pictures, 3, 224, 224)
            print(f"vit-b16 {pictures}", rate(pictures, lambda: vit(x)))
        bert = Bert().eval()
        for texts, tokens in ((64, 16), (32, 128), (8, 512)):
            ids = torch.arange(1000, 1000 + texts)[:, None].expand(texts, tokens).contiguous()
            mask = torch.ones(texts, tokens, dtype=torch.int64)
            mask[1::2, -3:] = 0
            print(f"bert-base {texts}x{tokens}", rate(texts, lambda: bert(ids, mask)))


main()
