# %% [markdown]
# # A classifier from data to report
# Scaling, a model, cross-validation and a look at the mistakes.

# %%
import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = make_classification(n_samples=300, n_features=6, n_informative=4, flip_y=0.05, random_state=3)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=3)
X_train.shape, X_test.shape, y.mean()

# %%
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
model

# %%
fitted = model.fit(X_train, y_train)
print(fitted is model, model.score(X_test, y_test))

# %%
scaler, classifier = model[0], model[-1]
print("means", scaler.mean_.round(3))
print("weights", classifier.coef_.round(3))

# %%
guesses = model.predict(X_test)
wrong = np.flatnonzero(guesses != y_test)
probability = model.predict_proba(X_test[wrong]).max(axis=1)
dict(zip(wrong.tolist(), probability.round(3).tolist()))

# %% [markdown]
# The parts are the pipeline's own objects: changing one changes the whole.

# %%
classifier.coef_[0, 0] = 0
changed = (model.predict(X_test) != guesses).sum()
model[-1] is classifier, int(changed)

# %%
scores = {}
for strength in (0.01, 0.1, 1, 10):
    model.set_params(logisticregression__C=strength)
    scores[strength] = cross_val_score(model, X, y, cv=4).mean().round(4)
scores

# %%
best = max(scores, key=scores.get)
model.set_params(logisticregression__C=best).fit(X_train, y_train)
model[-1].get_params()["C"], model.score(X_test, y_test)

# %%
from sklearn.metrics import confusion_matrix, classification_report

table = confusion_matrix(y_test, model.predict(X_test))
print(classification_report(y_test, model.predict(X_test), digits=3))
table

# %%
from sklearn.exceptions import NotFittedError

try:
    LogisticRegression().predict(X_test)
except NotFittedError as problem:
    print(str(problem)[:60])

# %%
from sklearn.base import clone

fresh = clone(model)
hasattr(fresh[-1], "coef_"), hasattr(model[-1], "coef_")
