"""A recipe as a Dockerfile that works without us: values in, values out.

It is for the classic builder and for BuildKit alike. What a host adds to a build (certificates, package indexes,
passwords, values of secrets) is no part of a recipe and so no part of this text: the engine builder mounts it while a
command runs (`remote_runtime/images/engine.py`), and `docker build` elsewhere uses what is configured there.
"""

from __future__ import annotations

from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.images.context import ContextFile, pack_context
from remote_runtime.images.instructions import Instruction, Plan, UserFile, plan_image


def dockerfile_text(recipe: ImageRecipe) -> str:
    """Return the Dockerfile of a recipe; raises BadImage for one that no engine can build."""
    plan = plan_image(recipe, alone=True)
    lines = [_beginning(plan)]
    for instruction in plan.instructions:
        if instruction.secrets:
            lines.append(f"# The next command has the variables of these secrets: {', '.join(instruction.secrets)}")
        lines.append(instruction.text)
    return "\n".join(lines) + "\n"


def build_context(recipe: ImageRecipe) -> bytes:
    """Return what `dockerfile_text` reads, with the text itself as `Dockerfile`, as a tar archive."""
    plan = plan_image(recipe, alone=True)
    files = {file.path: file for instruction in plan.instructions for file in instruction.files}
    if isinstance(plan.base, UserFile):
        files |= {file.path: file for file in plan.base.files}
    files["Dockerfile"] = ContextFile("Dockerfile", dockerfile_text(recipe).encode())
    return pack_context(files.values())


def instructions_text(base: str, instructions: tuple[Instruction, ...]) -> str:
    """Return a Dockerfile of some instructions on an image that is there."""
    return "\n".join([f"FROM {base}", *(instruction.text for instruction in instructions)]) + "\n"


def _beginning(plan: Plan) -> str:
    if not isinstance(plan.base, UserFile):
        return f"FROM {plan.base}"
    arguments = [f"# Built with --build-arg {item}" for item in plan.base.arguments]
    return "\n".join([plan.base.text.rstrip("\n"), *arguments])  # its first lines may be directives
