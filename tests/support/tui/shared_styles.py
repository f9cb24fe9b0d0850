"""Textual's style sheets, parsed and matched once for all the apps of a test process.

Every app parses the same style sheets, and finds the same styles for the component classes of the same widgets, several
times. Together this is a third of the processor time of the dashboard's tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.css.model import RuleSet
from textual.css.styles import RulesMap
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation
from textual.dom import DOMNode
from textual.widget import Widget

Signature = tuple[object, ...]

_parse_rules = Stylesheet._parse_rules
_parse = Stylesheet.parse
_apply = Stylesheet.apply
_process_component_classes = Stylesheet._process_component_classes
_parsed: dict[Signature, list[RuleSet]] = {}
_sheets: dict[Signature, list[RuleSet]] = {}
_matched: dict[Signature, RulesMap] = {}


@dataclass
class _Owner:
    """A node while its component classes are processed."""

    node: DOMNode
    path: Signature
    """The signatures of the nodes from the app to this one."""
    has_fixed_styles: bool = True
    """Whether the styles of its component classes depend on the path only."""


_owner: _Owner | None = None


def install() -> None:
    """Replace the methods of Textual for the rest of the process."""
    # Textual hashes all its rules for every styled part of a widget, by a method that returns the identity. The own
    # hash of the interpreter is by identity too, without the millions of calls.
    RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]
    Stylesheet._parse_rules = _parse_rules_once  # type: ignore[method-assign]
    Stylesheet.parse = _parse_once  # type: ignore[method-assign]
    Stylesheet.apply = _apply_once  # type: ignore[method-assign]
    Stylesheet._process_component_classes = _process_with_signature  # type: ignore[method-assign]


def _parse_rules_once(
    self: Stylesheet, css: str, read_from: CSSLocation, *more: Any, **named: Any
) -> list[RuleSet]:
    key = (css, read_from, more, *named.items(), frozenset(self._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse_rules(self, css, read_from, *more, **named)
    return _parsed[key]


def _parse_once(self: Stylesheet) -> None:
    """Parse, and let equal style sheets share one list of rules, by which `_apply_once` recognizes them."""
    _parse(self)
    self._rules = _sheets.setdefault(tuple(map(id, self._rules)), self._rules)


def _apply_once(
    self: Stylesheet, node: DOMNode, *, animate: bool = False, cache: dict[Signature, RulesMap] | None = None
) -> None:
    """Apply the rules to a node; to one that stands for a component class, those found for an equal one before."""
    if type(node) is not DOMNode:
        _apply(self, node, animate=animate, cache=cache)
        return
    owner = node._parent
    assert isinstance(owner, DOMNode)
    path = _owner.path if _owner and _owner.node is owner else _path_signature(owner)
    signature = (id(self.rules), *path, _signature(node))
    found = _matched.get(signature)
    if found is None:
        _apply(self, node, animate=animate, cache=cache)
        if not (node._has_focus_within or node._has_order_style or node._has_odd_or_even):
            _matched[signature] = node.styles.base.get_rules()
        elif _owner:
            _owner.has_fixed_styles = False
    else:
        node.styles.base.merge_rules(found)


def _process_with_signature(self: Stylesheet, node: DOMNode) -> None:
    """Process the component classes of a node, unless it has their styles already.

    The signature of the path is the same for all of them.
    """
    global _owner
    classes = node._get_component_classes()
    if not classes:
        return
    path = _path_signature(node)
    signature = (id(self.rules), *path)
    if node._component_styles and node.__dict__.get("_component_signature") == signature:
        return
    outer, _owner = _owner, _Owner(node, path)
    try:
        _process_component_classes(self, node)
        node.__dict__["_component_signature"] = signature if _owner.has_fixed_styles else None
    finally:
        _owner = outer


def _path_signature(node: DOMNode) -> Signature:
    return tuple(map(_signature, node.css_path_nodes))


def _signature(node: DOMNode) -> Signature:
    """Everything in a node that may select a rule, except its position among its siblings."""
    state: Signature
    if isinstance(node, Widget):
        state = (*node._pseudo_classes_cache_key, node.allow_focus())
    else:
        state = (frozenset(node.get_pseudo_classes()),)
    return type(node), node.id, node.classes, *state
