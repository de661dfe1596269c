"""The graph of a traced network, changed node by node: names, modules in the place of functions."""

from __future__ import annotations

import copy
from typing import Any

from torch import fx, nn

from snnlens.conversion import known


def has(gm: nn.Module, name: str) -> bool:
    """Whether a network has a module of that name."""
    try:
        gm.get_submodule(name)
    except AttributeError:
        return False
    return True


def name_of(gm: fx.GraphModule, node: fx.Node) -> str:
    """A module's path; of a function the path of the module that calls it, and its own name."""
    if node.op == "call_module":
        return str(node.target)
    return path_of(node, known.type_of(gm, node))


def path_of(node: fx.Node, name: str) -> str:
    """A function's place: under the module that calls it."""
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
    owner = next(reversed(stack), "")
    path = stack[owner][0] if owner else ""
    return f"{path}.{name}" if path else name


def own_module(gm: fx.GraphModule, node: fx.Node, name: str) -> str:
    """Give an activation a module that nobody else calls."""
    if node.op != "call_module":
        return put(gm, node, name, known.activation_of(node))
    users = [n for n in gm.graph.nodes if n.op == "call_module" and n.target == node.target]
    if users[0] is node:
        return name
    return put(gm, node, name, copy.deepcopy(gm.get_submodule(str(node.target))))


def put(gm: fx.GraphModule, node: fx.Node, name: str, module: nn.Module) -> str:
    """Make a node the call of a new module with a name that is free."""
    free, number = name, 0
    while has(gm, free):
        number += 1
        free = f"{name}_{number}"
    gm.add_submodule(free, module)
    inputs = known.tensors(node)
    with gm.graph.inserting_before(node):
        made = gm.graph.call_module(free, inputs)
    made.meta = dict(node.meta)
    node.replace_all_uses_with(made)
    gm.graph.erase_node(node)
    return free


def shortcut_of(node: fx.Node) -> int:
    """Which input of a sum is the shortcut: the one with fewer layers before it."""
    sizes = [_ancestors(n) for n in known.tensors(node)]
    return int(sizes[1] <= sizes[0])


def _ancestors(node: fx.Node) -> int:
    seen, waiting = set(), [node]
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting += found.all_input_nodes
    return len(seen)
