# %% [markdown]
# # Tensors that share, weights that are tied

# %%
import torch
from torch import nn

torch.manual_seed(3)
base = torch.arange(12, dtype=torch.float32)
grid = base.view(3, 4)
row = grid[1]
transposed = grid.t()
row.mul_(10)
base, transposed[:, 1]

# %%
base[0] = -5
print(grid[0, 0], row.storage_offset(), row.untyped_storage().data_ptr() == base.untyped_storage().data_ptr())

# %%
array = grid.numpy()
array[2, 3] = 77
base[-1], torch.from_numpy(array).sum()


# %%
class Tied(nn.Module):
    """An embedding whose matrix is also the output layer."""

    def __init__(self, words, width):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("seen", torch.zeros(words, dtype=torch.long))

    def forward(self, ids):
        self.seen += torch.bincount(ids, minlength=len(self.seen))
        return self.head(self.embed(ids))


lm = Tied(6, 4)
lm.head.weight is lm.embed.weight, sum(p.numel() for p in lm.parameters())

# %% keeps=scores
ids = torch.tensor([0, 2, 2, 5])
scores = lm(ids)
scores.sum().backward()
lm.seen, lm.embed.weight.grad.shape, round(float(lm.head.weight.grad[1].sum()), 5)

# %%
sgd = torch.optim.SGD(lm.parameters(), lr=0.1, momentum=0.9)
sgd.step()
lm.head.weight is lm.embed.weight, lm.seen.sum()

# %%
captured = []
hook = lm.embed.register_forward_hook(lambda module, inputs, output: captured.append(tuple(output.shape)))
lm(ids[:2])
lm(ids)
captured

# %%
hook.remove()
lm(ids)
captured, lm.seen

# %%
parts = nn.ModuleDict({"a": lm.embed, "b": nn.Linear(4, 2)})
parts["a"].weight.data.fill_(0.5)
lm.head.weight[0].detach(), parts["a"] is lm.embed

# %% keeps=loss
w = torch.tensor([1.0, 2.0], requires_grad=True)
loss = (w**2).sum()
loss.backward()
first = w.grad.clone()
(w**3).sum().backward()
first, w.grad, float(loss)

# %%
types = [torch.tensor([1, 2], dtype=kind) for kind in (torch.bfloat16, torch.float16, torch.int8, torch.bool, torch.complex64)]
sparse = torch.eye(3).to_sparse()
[tensor.dtype for tensor in types], sparse.coalesce().indices()
