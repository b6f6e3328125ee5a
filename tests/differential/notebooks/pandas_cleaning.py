# %% [markdown]
# # Cleaning a messy table
# A survey as it arrives: wrong types, doubled rows, blanks. The frame is changed step by step.

# %%
import io

import pandas as pd

raw = """id,name,age,height_cm,joined,city
1,Ada,36,170,2021-01-05,London
2, grace ,45,,2021-02-11,New York
3,ALAN,41,178,2021-02-30,London
2, grace ,45,,2021-02-11,New York
4,Edsger,seventy,183,2021-03-01,
5,barbara,52,165,2021-04-18,boston
"""
survey = pd.read_csv(io.StringIO(raw))
survey

# %%
original = survey.copy()
survey.drop_duplicates(inplace=True)
survey.reset_index(drop=True, inplace=True)
len(original), len(survey)

# %%
survey["name"] = survey["name"].str.strip().str.title()
survey["age"] = pd.to_numeric(survey["age"], errors="coerce")
survey["joined"] = pd.to_datetime(survey["joined"], errors="coerce")
survey.dtypes

# %%
problems = {}


def note(column):
    """Count what is missing in a column of the notebook's table."""
    problems[column] = int(survey[column].isna().sum())
    return problems[column]


for column in survey:
    note(column)
problems

# %%
survey.loc[survey["city"].isna(), "city"] = "unknown"
survey["city"] = survey["city"].str.title().astype("category")
survey.fillna({"age": survey["age"].median(), "height_cm": survey["height_cm"].mean()}, inplace=True)
print(survey["city"].cat.categories.tolist())
survey

# %%
survey.insert(2, "tall", survey["height_cm"] > 172)
survey.rename(columns={"height_cm": "height"}, inplace=True)
survey.eval("bmi_at_70kg = 70 / (height / 100) ** 2", inplace=True)
survey[["name", "tall", "bmi_at_70kg"]].round(2)

# %%
survey.set_index("id", inplace=True)
try:
    survey.loc[99]
except KeyError as missing:
    print("no row", missing)
survey.at[1, "age"] = 37
survey.loc[1]

# %%
survey.describe(include="all").loc[["count", "unique", "top", "mean"]]

# %%
survey.drop(columns=["bmi_at_70kg"], inplace=True)
del survey["tall"]
survey.attrs["source"] = "typed in"
print(list(survey), survey.attrs, survey.index.name)

# %%
changed = original.set_index("id").loc[[1, 3], "age"].tolist()
changed, survey.loc[[1, 3], "age"].tolist()
