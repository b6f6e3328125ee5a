# %% [markdown]
# # Validating a configuration

# %%
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, field_validator

LIMIT = 10


class Level(str, Enum):
    low = "low"
    high = "high"


class Step(BaseModel):
    """One step of an experiment."""

    model_config = ConfigDict(validate_assignment=True)

    name: str
    repeats: Annotated[int, Field(gt=0)] = 1
    level: Level = Level.low
    notes: list[str] = []

    @field_validator("repeats")
    @classmethod
    def not_too_many(cls, value):
        if value > LIMIT:
            raise ValueError(f"at most {LIMIT}")
        return value


step = Step(name="mix", repeats="3")
step, step.repeats + 1

# %%
step.repeats = 7
step.notes.append("gently")
other = Step(name="heat", level="high")
other.notes, step.notes, other.level is Level.high

# %%
try:
    step.repeats = 50
except ValidationError as problem:
    print(problem.error_count(), problem.errors()[0]["msg"])
LIMIT = 100
step.repeats = 50
step.repeats


# %%
class Plan(BaseModel):
    start: date
    steps: list[Step]
    kind: Literal["trial", "final"] = "trial"

    @computed_field
    @property
    def end(self) -> date:
        return self.start + timedelta(days=sum(item.repeats for item in self.steps))


plan = Plan(start="2024-02-27", steps=[step, other, {"name": "cool"}])
plan.end, plan.steps[0] is step, type(plan.steps[2])

# %%
step.repeats = 1
print(plan.end)
plan.model_dump(mode="json", exclude_defaults=True)

# %%
copied = plan.model_copy()
deep = plan.model_copy(deep=True)
plan.steps[1].notes.append("slowly")
copied.steps is plan.steps, copied.steps[1].notes, deep.steps[1].notes

# %%
text = plan.model_dump_json(indent=1)
again = Plan.model_validate_json(text)
again == plan, again.steps[0] is step, text.count("\n")

# %% raises
Plan.model_validate({"start": "yesterday", "steps": [{"name": 1}], "kind": "draft"})

# %%
class Step(Step):
    """A step that also takes time; the old plan keeps the old class."""

    minutes: float = 5


longer = Step(name="rest", minutes=2.5)
isinstance(longer, type(step)), isinstance(step, Step), [type(item) is Step for item in plan.steps]

# %%
plan.steps.append(longer)
plan.model_dump()["steps"][-1], Step.model_json_schema()["properties"].keys() - {"name"} == {"repeats", "level", "notes", "minutes"}
