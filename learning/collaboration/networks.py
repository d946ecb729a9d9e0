"""Actor and critics: one small network that every agent shares, whatever its number of neighbours.

Rows of candidates are encoded with shared weights and pooled over the candidates that are allowed,
so shuffled neighbours give shuffled scores. The actor sees what its node knows. A *central* critic,
needed in training only, also sees the states of all nodes, pooled in the same way.

LeDRL's actor has, for each candidate, three tokens: its row, what the prior says of it (share,
departure from an even share, risk of the node) and what memory says. They are embedded in eight
numbers each and attend to each other (*alignment*); the mean of what comes out joins the code of
the row.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from learning.collaboration.player import NODE_COLUMNS
from learning.collaboration.shape import Shape

#: Score of a candidate that is not allowed.
ABSENT = -1e9
#: Values are in units of what some ten tasks bring.
VALUE = 10.0


class Told(dict[str, Tensor]):
    """What an agent is told: ``rows`` (B, C, F), ``mask`` (B, C), and what its shape asks for.

    ``prior`` (B, C), ``risk`` (B,), ``memory`` (B, C, 3); ``nodes`` (B, N, 6) for critics.
    """


def pooled(code: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, H) of codes (B, C, H) over what is allowed."""
    share = mask.to(code.dtype)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.einsum("bch,bc->bh", code, share)


class Alignment(nn.Module):
    """Joins a candidate's row with prior and memory in one code (B, C, embedding)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        sizes = {"observation": shape.columns}
        sizes |= {"prior": 3} if shape.prior else {}
        sizes |= {"memory": 3} if shape.memory else {}
        d = shape.embedding
        self.dropout = nn.Dropout(shape.dropout)
        if shape.alignment == "mlp":
            # As many numbers in the middle as the tokens of the attention have together.
            middle = d * len(sizes)
            self.mix = nn.Sequential(
                nn.Linear(sum(sizes.values()), middle), nn.ReLU(), self.dropout,
                nn.Linear(middle, d), nn.ReLU(),
            )  # fmt: skip
            return
        self.embed = nn.ModuleDict({name: nn.Linear(n, d) for name, n in sizes.items()})
        self.attend, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, told: Told) -> Tensor:
        """Codes of all candidates."""
        inputs = {"observation": told["rows"]}
        if self.shape.prior:
            share, count = told["prior"], told["mask"].sum(dim=1, keepdim=True)
            risk = told["risk"][:, None].expand_as(share)
            inputs["prior"] = torch.stack([share, share * count - 1.0, risk], dim=-1)
        if self.shape.memory:
            inputs["memory"] = told["memory"]
        if self.shape.alignment == "mlp":
            mixed: Tensor = self.mix(torch.cat(list(inputs.values()), dim=-1))
            return mixed
        tokens = torch.stack([self.embed[name](x) for name, x in inputs.items()], dim=2)
        q, k, v = self.attend(tokens).chunk(3, dim=-1)
        # Sums of products: thousands of products of matrices this small take longer.
        alike = (q.unsqueeze(3) * k.unsqueeze(2)).sum(dim=-1) / q.shape[-1] ** 0.5
        seen = (alike.softmax(dim=-1).unsqueeze(-1) * v.unsqueeze(2)).sum(dim=3)
        mixed = tokens + self.dropout(self.out(seen))
        return mixed.mean(dim=2).relu()


class Scores(nn.Module):
    """A number for every candidate (B, C), `ABSENT` where it is not allowed.

    Parameters
    ----------
    shape : Shape
    central : bool
        Whether it sees all nodes, as critics do. These are the same for every actor: a critic is
        told neither prior nor memory.
    """

    def __init__(self, shape: Shape, *, central: bool = False) -> None:
        super().__init__()
        if central:
            shape = replace(shape, prior=False, memory=False)
        self.shape, self.central = shape, central
        self.align = Alignment(shape) if shape.prior or shape.memory else None
        inputs = shape.columns + (shape.embedding if self.align is not None else 0)
        h = shape.hidden
        self.encode = nn.Linear(inputs, h)
        self.own, self.around = nn.Linear(h, h), nn.Linear(h, h)
        self.nodes = nn.Linear(NODE_COLUMNS, h) if central else None
        self.everywhere = nn.Linear(h, h) if central else None
        self.score = nn.Linear(h, 1)

    def forward(self, told: Told) -> Tensor:
        """Scores of all candidates."""
        score: Tensor = self.score(self.code(told))[..., 0]
        return score.masked_fill(~told["mask"], ABSENT)

    def code(self, told: Told) -> Tensor:
        """(B, C, hidden)."""
        rows = told["rows"]
        if self.align is not None:
            rows = torch.cat([rows, self.align(told)], dim=-1)
        own = self.encode(rows).relu()
        around = self.around(pooled(own, told["mask"]))
        if self.nodes is not None and self.everywhere is not None:
            around = around + self.everywhere(self.nodes(told["nodes"]).relu().mean(dim=1))
        return (self.own(own) + around[:, None]).relu()


class Value(nn.Module):
    """The central critic: value (B,) of a state."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.body = Scores(shape, central=True)

    def forward(self, told: Told) -> Tensor:
        """Values."""
        value: Tensor = self.body.score(pooled(self.body.code(told), told["mask"]))[..., 0]
        return VALUE * value
