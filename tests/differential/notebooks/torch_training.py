# %% [markdown]
# # A small network, trained in pieces
# The model, its optimizer and the generator of the batches go on from cell to cell.

# %%
import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.linspace(-2, 2, 64).unsqueeze(1)
y = x.pow(3) - x + 0.1 * torch.randn_like(x)
y[:3].squeeze()

# %%
model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses = []
model

# %%
generator = torch.Generator().manual_seed(12)


def epoch():
    order = torch.randperm(len(x), generator=generator)
    for rows in order.split(16):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    losses.append(round(loss.item(), 4))


epoch()
losses

# %%
first_weight = model[0].weight
for _ in range(20):
    epoch()
len(losses), losses[-1] < losses[0], first_weight is model[0].weight

# %% [markdown]
# The optimizer must still know the model's own parameters, and its moments.

# %%
same = all(a is b for a, b in zip(optimizer.param_groups[0]["params"], model.parameters()))
state = optimizer.state[first_weight]
print(same, int(state["step"]), state["exp_avg"].shape)
optimizer.param_groups[0]["lr"] = 0.005

# %%
for _ in range(20):
    epoch()
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
for _ in range(6):
    epoch()
    schedule.step()
optimizer.param_groups[0]["lr"], round(losses[-1], 3) < 0.2

# %%
with torch.no_grad():
    first_weight[0] = 0
    model[2].bias.add_(0.25)
model[0].weight[0].item(), model[0].weight.grad is not None

# %%
model.eval()
frozen = {name: value.clone() for name, value in model.state_dict().items()}
for parameter in model[0].parameters():
    parameter.requires_grad_(False)
[(name, parameter.requires_grad) for name, parameter in model.named_parameters()], model.training

# %%
model.train()
before = model[0].weight.clone()
epoch()
torch.equal(before, model[0].weight), torch.equal(frozen["2.weight"], model[2].weight)

# %%
try:
    model(torch.zeros(2, 5))
except RuntimeError as problem:
    print(problem)
torch.rand(3), torch.rand(2, generator=generator)
