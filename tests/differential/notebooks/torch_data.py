# %% [markdown]
# # Datasets and loaders

# %%
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

torch.manual_seed(1)
SCALE = 10


class Squares(Dataset):
    """Numbers and their squares; scaled by a global, counted in the instance."""

    def __init__(self, count):
        self.count = count
        self.reads = 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        self.reads += 1
        return torch.tensor([index / SCALE]), torch.tensor([(index / SCALE) ** 2])


squares = Squares(20)
squares[3], len(squares), squares.reads

# %%
train, test = random_split(squares, [15, 5], generator=torch.Generator().manual_seed(2))
train.indices, train.dataset is squares

# %%
loader = DataLoader(train, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(3))
for inputs, targets in loader:
    print(inputs.flatten(), targets.shape)
squares.reads

# %%
SCALE = 100
next(iter(loader))[0].flatten(), squares.reads


# %%
def collate(rows):
    return torch.stack([left for left, _ in rows]), [round(float(right), 4) for _, right in rows]


listed = DataLoader(test, batch_size=3, collate_fn=collate)
[targets for _, targets in listed]

# %% keeps=loss
model = torch.nn.Linear(1, 1)
history = {"loss": [], "batches": 0}
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for inputs, targets in loader:
    loss = (model(inputs) - targets).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history["loss"].append(round(loss.item(), 5))
    history["batches"] += 1
history

# %%
import io

store = io.BytesIO()
torch.save({"model": model.state_dict(), "history": history}, store)
print(store.tell() > 500)

# %%
store.seek(0)
saved = torch.load(store)
other = torch.nn.Linear(1, 1)
other.load_state_dict(saved["model"])
torch.equal(other.weight, model.weight), saved["history"] == history, store.read() == b""

# %%
pairs = TensorDataset(torch.arange(6).float(), torch.arange(6) % 2)
whole = DataLoader(pairs, batch_size=6)
(batch,) = list(whole)
batch[0] += 1
pairs.tensors[0], batch
