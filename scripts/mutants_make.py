"""Make mutants of a module: where it can be broken, and its text broken at one place.

Four kinds. *removed*: a check that no longer looks (it always passes, its step is gone, or so is one of the
things it looks at). *refusal*: an error that is no longer raised. *flip*: a comparison turned round. *edge*: a
limit moved by one, where checks are.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

REFUSALS: Final = {"Malformed", "Misuse", "NotIncluded", "NotSigned", "Rejected", "Undecided"}
MAKERS: Final = {"failed", "undecided", "waived"}
# What lists of findings are called here, and those of questions that must be answered.
FOUND: Final = {
    *("checks", "wrong", "found", "trouble", "late", "listed", "result"),
    *("revoked", "open_questions", "codes", "needed"),
}
ROWS: Final = {"pairs", "parts", "steps"}  # and tables of what one step looks at, row by row
# What is put among others with a star: things found, or to be looked at.
STARRED: Final = {"checks", "revoked", "signer", "signers", "chain", "trust", "pinned", "required"}
# What a call answers where nothing is wrong: in words, in a list of them, or yes and no.
SILENT: Final[dict[str, str | bool | tuple[()]]] = {
    **dict.fromkeys(("verify", "ecdsa_p256_raw", "ecdsa_p384_raw", "ed25519_raw"), ""),
    **dict.fromkeys(("included", "consistent", "wrong"), ""),
    **dict.fromkeys(("qe_signature", "problem", "unsigned", "_trouble"), ""),
    **dict.fromkeys(("problems", "link", "not_valid", "misfits", "_unknown"), ()),
    **dict.fromkeys(("vouches_for", "carries", "hold", "verifies"), True),
    "revokes": False,
}
FLIPS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
EDGES: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


@dataclass(frozen=True)
class Mutant:
    """One way to break one module.

    Attributes:
        path: of the module, below `src`.
        number: which of the module's mutants it is.
        kind: `removed`, `refusal`, `flip` or `edge`.
        line: where.
        was, now: the broken piece of text, and what it became.
        name: stable while the piece of text is: path, function, kind, text, and a count of equals.
    """

    path: str
    number: int
    kind: str
    line: int
    was: str
    now: str
    name: str


@dataclass
class _Site:
    """A place in a tree, and how to break it there."""

    kind: str
    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST | None  # None takes the node out of its list

    def apply(self) -> None:
        if self.index is None:
            setattr(self.parent, self.field, self.new)
            return
        items = getattr(self.parent, self.field)
        if self.new is None:
            del items[self.index]
        else:
            items[self.index] = self.new


def mutants(path: str, source: str, *, checks: bool) -> list[Mutant]:
    """All mutants of a module; `checks` says whether its steps count as checks to remove."""
    found: list[Mutant] = []
    seen: dict[str, int] = {}
    for number, (site, function) in enumerate(_sites(ast.parse(source), checks=checks)):
        was = _short(site.node)
        now = _short(site.new) if site.new is not None else "(nothing)"
        name = f"{path}:{function}: {site.kind}: {was}"
        if site.kind in ("flip", "edge"):
            name += f" -> {now}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name += f" #{seen[name]}"
        line = getattr(site.node, "lineno", 0) or getattr(site.parent, "lineno", 0)
        found.append(Mutant(path, number, site.kind, line, was, now, name))
    return found


def broken(source: str, mutant: Mutant, *, checks: bool) -> str:
    """The module's text with this mutant in it."""
    tree = ast.parse(source)
    site, _ = list(_sites(tree, checks=checks))[mutant.number]
    site.apply()
    return ast.unparse(ast.fix_missing_locations(tree))


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= 90 else text[:87] + "…"


def _sites(tree: ast.Module, *, checks: bool) -> Iterator[tuple[_Site, str]]:
    """Every place, in the order of the text, with the function it is in."""
    answering = _answering(tree)
    for parent, field, index, node, function in _walk(tree, "module"):
        changes = [*_comparisons(node, "flip", FLIPS), *_refusals(node)]
        if checks:
            changes += _comparisons(node, "edge", EDGES)
            steps = _steps(node, in_row=field == "elts")
            words = _words(node) if function in answering else ()
            silent = () if _is_found(parent) else _silent(node)
            changes += [("removed", new) for new in (*_findings(node), *steps, *words, *silent)]
            for row, place, item in _members(node, in_check=function.startswith("_check")):
                yield _Site("removed", item, row, "elts", place, None), function
        for kind, new in changes:
            yield _Site(kind, node, parent, field, index, new), function


def _answering(tree: ast.Module) -> set[str]:
    """Functions that answer what is wrong in words, so that an empty answer means nothing is."""
    empty = {ast.dump(node) for node in (ast.Constant(""), ast.Tuple([], ast.Load()))}
    return {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Return)
        and node.value is not None
        and (
            ast.dump(node.value) in empty
            or _name_of(node.value) in FOUND
            or SILENT.get(_called(node.value)) == ""
        )
    }


def _walk(
    parent: ast.AST, function: str
) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, str]]:
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, node in children:
            if not isinstance(node, ast.AST):
                continue
            inside = node.name if isinstance(node, ast.FunctionDef) else function
            yield parent, field, index, node, inside
            yield from _walk(node, inside)


def _comparisons(
    node: ast.AST, kind: str, table: dict[type[ast.cmpop], type[ast.cmpop]]
) -> Iterator[tuple[str, ast.AST | None]]:
    if not isinstance(node, ast.Compare):
        return
    for place, operator in enumerate(node.ops):
        if type(operator) in table:
            operators = [*node.ops]
            operators[place] = table[type(operator)]()
            yield kind, ast.Compare(node.left, operators, node.comparators)


def _refusals(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    if isinstance(node, ast.Raise) and _name_of(node.exc) in REFUSALS:
        yield "refusal", ast.Pass()


def _findings(node: ast.AST) -> Iterator[ast.AST]:
    """A finding that turns out well, whatever was found."""
    outcomes = {"passed", *MAKERS}
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in MAKERS:
            yield ast.Call(ast.Name("passed", ast.Load()), node.args, node.keywords)
        case ast.IfExp(body=one, orelse=two) if {_name(one), _name(two)} & outcomes:
            yield ast.Name("passed", ast.Load())
        case ast.Assign(value=ast.Tuple(elts=[code, ast.Name(id=name)])) if name in MAKERS:
            value = ast.Tuple([code, ast.Name("passed", ast.Load())], ast.Load())
            yield ast.Assign(node.targets, value)
        case _:
            return


def _silent(node: ast.AST) -> Iterator[ast.AST]:
    """A call that looks, answered as if nothing were wrong; and a list of what is wrong, empty."""
    match node:
        case ast.Call() if _called(node) in SILENT:
            answer = SILENT[_called(node)]
            empty = ast.List([], ast.Load())
            yield empty if isinstance(answer, tuple) else ast.Constant(answer)
        case ast.Return(value=ast.IfExp(orelse=ast.Tuple(elts=[]) as empty)):
            yield ast.Return(empty)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.ListComp()) if name in FOUND:
            yield ast.Assign(node.targets, ast.List([], ast.Load()))
        case _:
            return


def _steps(node: ast.AST, *, in_row: bool) -> Iterator[ast.AST | None]:
    """A step that is gone: yielded, called, added to a list of findings, or one of a row of them."""
    match node:
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            yield ast.Pass()
        case ast.AugAssign(value=ast.List(elts=[_, _, *_])):
            return  # member by member
        case ast.AugAssign(target=ast.Name(id=name)) if name in FOUND:
            yield ast.Pass()
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))) if name in FOUND:
            yield ast.Pass()
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if _guards(name):
            yield ast.Pass()
        case _ if in_row and _is_step(node):
            yield None
        case _:
            return


def _is_step(node: ast.AST) -> bool:
    """Whether a member of a row is a step of its own: a helper's answer, or those of several."""
    match node:
        case ast.Starred(value=value):
            return _last(value) in STARRED
        case ast.Call(func=ast.Name(id=name)):
            return name.startswith("_")
        case _:
            return False


def _is_finding(node: ast.AST) -> bool:
    """Whether it is a finding that is written out, which `_findings` breaks."""
    return _called(node) in {"passed", *MAKERS}


def _is_found(node: ast.AST) -> bool:
    """Whether it adds to a list of findings: that is a step that can be taken away as a whole."""
    return isinstance(node, ast.AugAssign) and _name(node.target) in FOUND


def _members(node: ast.AST, *, in_check: bool) -> Iterator[tuple[ast.AST, int, ast.AST]]:
    """Members of rows that can be taken away, and are no steps or findings that others see to."""
    for row in _rows(node):
        for place, item in enumerate(row.elts):
            word = isinstance(item, ast.Constant) and not in_check
            if len(row.elts) > 1 and not (word or _is_step(item) or _is_finding(item)):
                yield row, place, item


def _rows(node: ast.AST) -> Iterator[ast.Tuple | ast.List]:
    """Rows of which each member can be taken away: what a loop goes over, tables, lists of findings."""
    match node:
        case ast.For(iter=ast.Tuple() as row) | ast.comprehension(iter=ast.Tuple() as row):
            yield row
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple() as row) if name in ROWS:
            yield row
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.List() as row) if name in FOUND:
            yield row
        case ast.AugAssign(target=ast.Name(id=name), value=ast.List() as row) if name in FOUND:
            yield row
        case _:
            return


def _words(node: ast.AST) -> Iterator[ast.AST]:
    """What is wrong, in words: nothing."""
    match node:
        case ast.Return(value=ast.Tuple(elts=[_, *_])):
            yield ast.Return(ast.Tuple([], ast.Load()))
        case ast.Return(value=ast.List(elts=[_, *_])):
            yield ast.Return(ast.List([], ast.Load()))
        case ast.Return(value=ast.JoinedStr()):
            yield ast.Return(ast.Constant(""))
        case ast.Return(value=ast.Constant(value=str() as text)) if text:
            yield ast.Return(ast.Constant(""))
        case _:
            return


def _name_of(node: ast.AST | None) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Name(id=name):
            return name
        case _:
            return ""


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _called(node: ast.AST) -> str:
    """The last word of what is called."""
    return _last(node.func) if isinstance(node, ast.Call) else ""


def _last(node: ast.AST) -> str:
    """The last word of a name with dots; of a call's, where it is one."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _last(function)
        case _:
            return ""


def _guards(name: str) -> bool:
    """Whether a call for its own sake is a check: a helper of the file, or one that two files share."""
    return name.startswith("_") or name == "sensible"
