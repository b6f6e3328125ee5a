"""Which names a cell reads, writes and deletes, from its text alone."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from kernel_bridge.capture import magics
from kernel_bridge.capture.paths import path_words

MOST_PATH_CHARS: Final = 4096
# Every kernel puts its own into the namespace; they are never the other side's.
SHELL_NAMES: Final = frozenset({"get_ipython", "exit", "quit"})
# What a module has by itself; other names with two underscores at both ends are the user's.
MODULE_NAMES: Final = frozenset(
    {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__builtin__", "__builtins__"}
    | {"__main__", "__annotations__", "__annotate__", "__conditional_annotations__", "__warningregistry__"}
    | {"__session__", "__vsc_ipynb_file__"}
)

_DYNAMIC_CALLS: Final = frozenset({"eval", "exec", "globals", "locals"})
_DYNAMIC_BARE: Final = frozenset({"vars", "dir"})  # dynamic only without an argument
_NOT_IN_PATHS: Final = frozenset('\n\r\0<>|"*?{}')
_MAIN: Final = "__main__"
# Test runners that look through `__main__` for what they run.
_RUNNERS: Final = frozenset({("doctest", "testmod"), ("unittest", "main"), ("ipytest", "run")})
_NAMESPACES: Final = frozenset({"user_ns", "user_global_ns", "f_globals", "f_locals", "__globals__"})

Transform = Callable[[str], str]
# By name, because TypeAlias is new in 3.12.
_BINDING: Final = frozenset(
    {"Assign", "AnnAssign", "Import", "ImportFrom", "FunctionDef", "AsyncFunctionDef", "ClassDef", "TypeAlias"}
)


@dataclass(frozen=True, slots=True)
class CellNames:
    """What a cell's text says about the names it uses.

    `reads` are names it surely or possibly takes from the notebook (builtins among them), `dynamic` says that it may
    use any name, `imports` are modules by their full names, `chains` are names with attributes such as
    `xml.dom` (a module's attribute may be a module that has to be imported), `path_strings` are texts that could name a
    file, `path_words` parts of texts that could.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    deletes: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    chains: frozenset[str] = frozenset()
    path_strings: tuple[str, ...] = ()
    path_words: tuple[str, ...] = ()
    dynamic: bool = False


@lru_cache(maxsize=64)
def cell_names(source: str, transform: Transform | None = None) -> CellNames:
    """Analyse a cell that IPython has already transformed, so that its magics are calls.

    `transform` is applied to Python inside magics, such as the body of `%%time`. Raises SyntaxError.
    """
    scan = _Scan(transform)
    scan.module(ast.parse(source))
    return scan.found()


@dataclass(slots=True)
class _Scan:
    """One pass over a cell in the order in which it runs."""

    transform: Transform | None = None
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    chains: set[str] = field(default_factory=set)
    paths: dict[str, None] = field(default_factory=dict)
    words: dict[str, None] = field(default_factory=dict)
    dynamic: bool = False

    def found(self) -> CellNames:
        """Return what was seen."""
        return CellNames(
            reads=frozenset(self.reads - SHELL_NAMES),
            writes=frozenset(self.writes),
            deletes=frozenset(self.deletes),
            imports=frozenset(self.imports),
            chains=frozenset(self.chains),
            path_strings=tuple(self.paths),
            path_words=tuple(self.words),
            dynamic=self.dynamic,
        )

    def module(self, tree: ast.Module) -> None:
        """Look at a whole cell."""
        self._facts(tree)
        self._block(tree.body, set())

    def _block(self, statements: Iterable[ast.stmt], bound: set[str]) -> None:
        """Follow statements one after another; `bound` grows by what they surely bind."""
        for statement in statements:
            branches = getattr(self, f"_{type(statement).__name__.lower().removeprefix('async')}", self._simple)
            branches(statement, bound)

    def _if(self, node: ast.If, bound: set[str]) -> None:
        self._expression(node.test, bound)
        then, other = set(bound), set(bound)
        self._block(node.body, then)
        self._block(node.orelse, other)
        bound |= then & other

    def _while(self, node: ast.While, bound: set[str]) -> None:
        self._expression(node.test, bound)
        self._block(node.body, set(bound))
        self._block(node.orelse, set(bound))

    def _for(self, node: ast.For, bound: set[str]) -> None:
        self._expression(node.iter, bound)
        inside = set(bound)
        self._target(node.target, inside)
        self._block(node.body, inside)
        self._block(node.orelse, set(bound))

    def _with(self, node: ast.With, bound: set[str]) -> None:
        for item in node.items:
            self._expression(item.context_expr, bound)
            if item.optional_vars is not None:
                self._target(item.optional_vars, bound)
        self._block(node.body, bound)

    def _try(self, node: ast.Try, bound: set[str]) -> None:
        inside = set(bound)
        self._block(node.body, inside)
        self._block(node.orelse, inside)
        for handler in node.handlers:
            caught = set(bound)
            if handler.type is not None:
                self._expression(handler.type, caught)
            if handler.name is not None:
                self.writes.add(handler.name)
                caught.add(handler.name)
            self._block(handler.body, caught)
        self._block(node.finalbody, bound)

    _trystar = _try

    def _match(self, node: ast.Match, bound: set[str]) -> None:
        self._expression(node.subject, bound)
        for case in node.cases:
            inside = set(bound)
            for part in ast.walk(case.pattern):
                self._pattern(part, inside)
            if case.guard is not None:
                self._expression(case.guard, inside)
            self._block(case.body, inside)

    def _pattern(self, part: ast.AST, bound: set[str]) -> None:
        name = getattr(part, "rest" if isinstance(part, ast.MatchMapping) else "name", None)
        if isinstance(part, ast.MatchAs | ast.MatchStar | ast.MatchMapping) and name is not None:
            self.writes.add(name)
            bound.add(name)
        elif isinstance(part, ast.Name) and part.id not in bound:
            self.reads.add(part.id)

    def _delete(self, node: ast.Delete, bound: set[str]) -> None:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        self.deletes |= names
        bound -= names
        for target in node.targets:
            if not isinstance(target, ast.Name):
                self._simple(ast.Delete([target]), bound)

    def _target(self, target: ast.expr, bound: set[str]) -> None:
        self._simple(ast.Assign([target], ast.Constant(None)), bound)

    def _expression(self, expression: ast.expr, bound: set[str]) -> None:
        self._simple(ast.Expr(expression), bound)

    def _simple(self, statement: ast.stmt, bound: set[str]) -> None:
        """Take one statement as a whole, nested functions and classes included."""
        text = ast.unparse(ast.fix_missing_locations(_for_symtable(statement)))
        reads, writes = _table_names(symtable.symtable(text, "<cell>", "exec"))
        again = _augmented(statement) | _deleted_inside(statement)
        self.reads |= (reads | (again & writes)) - bound
        self.writes |= writes
        if type(statement).__name__ in _BINDING:
            bound |= writes

    def _facts(self, tree: ast.AST) -> None:
        """Note what does not depend on the order: imports, paths, dynamic uses, magics."""
        fragments = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imports |= _imported(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.dynamic |= node.value == _MAIN
                if id(node) not in fragments and could_be_path(node.value):
                    self.paths[node.value] = None
                self.words |= dict.fromkeys(("." if id(node) in fragments else word) for word in path_words(node.value))
            elif isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Attribute):
                self.chains.add(_chain(node))
                self.dynamic |= node.attr in _NAMESPACES or (getattr(node.value, "id", ""), node.attr) in _RUNNERS
        self.dynamic |= _MAIN in self.imports

    def _call(self, call: ast.Call) -> None:
        if isinstance(call.func, ast.Name):
            bare = not call.args and not call.keywords
            self.dynamic |= call.func.id in _DYNAMIC_CALLS or (bare and call.func.id in _DYNAMIC_BARE)
        found = magics.read(call)
        if found is None:
            return
        self.dynamic |= found.dynamic
        self.reads |= found.names
        self.paths |= dict.fromkeys(filter(could_be_path, found.words))
        for code in found.code:
            self._nested(code)

    def _nested(self, code: str) -> None:
        """Look at Python inside a magic; what cannot be parsed is left to paging."""
        try:
            inner = cell_names(self.transform(code) if self.transform else code, self.transform)
        except SyntaxError:
            return
        self.reads |= inner.reads
        self.writes |= inner.writes
        self.deletes |= inner.deletes
        self.imports |= inner.imports
        self.chains |= inner.chains
        self.paths |= dict.fromkeys(inner.path_strings)
        self.words |= dict.fromkeys(inner.path_words)
        self.dynamic |= inner.dynamic


def could_be_path(text: str) -> bool:
    """Whether a text could name a file; whether there is such a file is for the caller to see."""
    if not 0 < len(text) <= MOST_PATH_CHARS or not _NOT_IN_PATHS.isdisjoint(text):
        return False
    return "://" not in text and text.strip() == text and not text.isspace() and text not in {".", "..", "/"}


def _table_names(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the globals a scope and those inside it read and write."""
    reads: set[str] = set()
    writes: set[str] = set()
    is_top = table.get_type() == "module"
    is_class = table.get_type() == "class"
    for symbol in table.get_symbols():
        is_global = is_top or symbol.is_global()
        if symbol.is_referenced() and (is_global or (is_class and symbol.is_local())):
            reads.add(symbol.get_name())
        if is_global and (symbol.is_assigned() or symbol.is_imported()):
            writes.add(symbol.get_name())
    for child in table.get_children():
        inner_reads, inner_writes = _table_names(child)
        reads |= inner_reads
        writes |= inner_writes
    return reads, writes


def _augmented(statement: ast.stmt) -> set[str]:
    """Return the names that `+=` and its like change, which symtable counts as assigned only."""
    changes = (node.target for node in ast.walk(statement) if isinstance(node, ast.AugAssign))
    return {target.id for target in changes if isinstance(target, ast.Name)}


def _chain(node: ast.expr) -> str:
    """Return `a.b.c` for attributes of a name; empty for those of anything else."""
    if isinstance(node, ast.Attribute):
        before = _chain(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def _deleted_inside(statement: ast.stmt) -> set[str]:
    """Return the names that functions declare global and delete: CPython does that past the namespace's own methods."""
    if not any(isinstance(node, ast.Global) for node in ast.walk(statement)):
        return set()
    targets = (target for node in ast.walk(statement) if isinstance(node, ast.Delete) for target in node.targets)
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module} if node.module and not node.level else set()


def _for_symtable(statement: ast.stmt) -> ast.stmt:
    """Return a statement with the same names that symtable takes and keeps apart."""
    if not any(isinstance(node, ast.Await | ast.comprehension) for node in ast.walk(statement)):
        return statement
    copied: ast.stmt = ast.parse(ast.unparse(ast.fix_missing_locations(statement))).body[0]
    stripped: ast.stmt = _Synchronous().visit(copied)
    return stripped


class _Scoped(ast.NodeTransformer):
    """Make generators of comprehensions: since 3.12 only a generator's variables are apart from those around it."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.AST:
        return self.generic_visit(ast.GeneratorExp(node.elt, node.generators))

    visit_SetComp = visit_ListComp  # noqa: N815 - ast names it

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        pair = ast.Tuple([node.key, node.value], ast.Load())
        return self.generic_visit(ast.GeneratorExp(pair, node.generators))


class _Synchronous(_Scoped):
    """Take awaits out, but not those inside functions: symtable refuses them elsewhere."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return _Scoped().generic_visit(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        value: ast.AST = self.visit(node.value)
        return value

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.is_async = 0
        return self.generic_visit(node)
