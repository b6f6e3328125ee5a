"""How a recipe grows: one step after the other, within its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self
from uuid import uuid4

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import DOCKERFILE, FILE_STEPS, FILES_LIMIT_BYTES, STEPS_LIMIT, ImageRecipe, Step
from kernel_bridge.sdk.image_checks import requirements, secret_names, without_passwords
from kernel_bridge.sdk.image_files import files_size
from kernel_bridge.sdk.image_show import as_calls, as_html
from kernel_bridge.sdk.secret import Secret

_READS_FILES: Final = frozenset({"run_commands", "run_function", "dockerfile_commands"})


@dataclass(frozen=True, slots=True, repr=False)
class Steps:
    """An immutable recipe that can be added to."""

    recipe: ImageRecipe

    @property
    def digest(self) -> str:
        """Return what names this recipe wherever it is built."""
        return self.recipe.digest

    def __repr__(self) -> str:
        return as_calls(self.recipe)

    def _repr_html_(self) -> str:
        return as_html(self.recipe)

    def _install(
        self, kind: str, packages: Sequence[str], options: Sequence[str], force: bool, secrets: Sequence[Secret] = ()
    ) -> Self:
        if not packages:
            return self
        without_passwords((*packages, *options))
        before = [Step("index", tuple(options))] if options else []
        return self._with(*before, Step(kind, requirements(packages)), force=force, secrets=secrets)

    def _with(self, *steps: Step, force: bool = False, secrets: Sequence[Secret] = ()) -> Self:
        first = [Step("force_build", (uuid4().hex,))] if force else []
        if names := secret_names(secrets):
            first.append(Step("secret", names))
        together = (*self.recipe.steps, *first, *steps)
        self._check(together, steps)
        return replace(self, recipe=replace(self.recipe, steps=together))

    def _check(self, together: tuple[Step, ...], new: Sequence[Step]) -> None:
        if len(together) > STEPS_LIMIT:
            raise BadImage(f"An image may have {STEPS_LIMIT} steps: put several commands into one `run_commands`.")
        if files_size(together) > FILES_LIMIT_BYTES * 3 // 2:
            limit = f"{FILES_LIMIT_BYTES / 2**20:g} MiB"
            raise BadImage(f"The files of this image together have more than {limit}: put them into a volume.")
        mounted = next((step.kind for step in self.recipe.steps if step.kind in FILE_STEPS), "")
        reader = next((step.kind for step in new if step.kind in _READS_FILES), "")
        if mounted and reader:
            raise BadImage(
                f"`{reader}` after `{mounted}`: those files appear when a container starts, later than the build. "
                f"Write `{mounted}(..., copy=True)`, or put it last."
            )


def first_recipe(base: str, python: str, steps: Sequence[Step], force: bool) -> ImageRecipe:
    """Return the recipe of a base image, which a forced build makes another one."""
    fresh = [Step("force_build", (uuid4().hex,))] if force else []
    if base == DOCKERFILE and files_size(steps) > FILES_LIMIT_BYTES * 3 // 2:
        raise BadImage(f"The context has more than {FILES_LIMIT_BYTES / 2**20:g} MiB: name less, or use a volume.")
    return ImageRecipe(base, python, (*steps, *fresh))
