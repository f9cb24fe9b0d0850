"""The nodes screen: the nodes of a cluster, with the details and the workers of the marked one."""

from __future__ import annotations

from textwrap import wrap
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Snapshot
from sp500tui.tui.nodes.render import details_lines, details_title, node_line, nodes_heading, nodes_title
from sp500tui.tui.render.cluster_labels import HOW_TO_JOIN, short_name
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.render.worker_lines import header_line, name_width, worker_columns, worker_line
from sp500tui.tui.shell import pipeline_actions
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_SCALE = Binding.Group("Scale node", compact=True)
_STAGE = Binding.Group("Stage", compact=True)
_STRIPS_FROM = 150
"""Minimum line width in cells for a strip in addition to the task."""
_MESSAGE_SECONDS = 5.0
"""Seconds for which the message about a key's effect is shown."""


class NodesScreen(BaseScreen):
    """The list of nodes, and the pools and workers of the marked node, which the scaling keys act on."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("nodes.tcss")]
    BINDING_GROUP_TITLE = "Nodes"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("nodes.more", "scale_node(1)", "More on a node", group=_SCALE),
        bind("nodes.fewer", "scale_node(-1)", "Fewer on a node", group=_SCALE),
        bind("nodes.previous_stage", "select_stage(-1)", "Previous stage", group=_STAGE),
        bind("nodes.next_stage", "select_stage(1)", "Next stage", group=_STAGE),
    ]
    AUTO_FOCUS = "#nodes"

    node_list = getters.query_one("#nodes", CursorList)
    details = getters.query_one("#node", LinesWidget)
    worker_list = getters.query_one("#node-workers", CursorList)

    def __init__(self) -> None:
        super().__init__()
        self._cluster_nodes: tuple[NodeSnapshot, ...] = ()
        self._message = ""
        self._message_timer: Timer | None = None

    def compose_panels(self) -> ComposeResult:
        """The nodes, the details and the workers of the marked one."""
        yield CursorList(id="nodes", classes="panel")
        yield LinesWidget(id="node", classes="panel")
        yield CursorList(always_marked=False, id="node-workers", classes="panel")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the app handle the keys that act on a node if there are no nodes."""
        if action in ("scale_node", "select_stage"):
            return not self.has_class("-alone")
        return super().check_action(action, parameters)

    def on_mount(self) -> None:
        """Follow the selected stage, which is shared by all screens."""
        self.watch(self.app, "selected_stage", self._redraw, init=False)

    @property
    def marked(self) -> NodeSnapshot | None:
        """The node under the cursor; None without nodes."""
        cursor = self.node_list.cursor
        return self._cluster_nodes[cursor] if cursor < len(self._cluster_nodes) else None

    # Drawing

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show the nodes of a snapshot; the cursor stays on its node."""
        joined = bool(snapshot.broker)
        if joined is self.has_class("-alone"):
            self.set_class(not joined, "-alone")
            self.refresh_bindings()
            if joined:
                # A hidden list loses the focus.
                self.call_after_refresh(self.node_list.focus)
        marked, self._cluster_nodes = self.marked, snapshot.nodes
        if not joined:
            self._show_how_to_join()
            return
        width = self.node_list.line_width
        stage = self.dashboard.selected_stage
        current = snapshot.broker_health is not Health.DOWN
        rows = [node_line(node, width, current=current) for node in self._cluster_nodes]
        self.node_list.show_rows(rows, nodes_heading(width, stage))
        if marked is not None:
            self.node_list.cursor = self._index_of(marked.name)
        self._set_title(snapshot)
        self._draw_marked(snapshot)

    def _index_of(self, name: str) -> int:
        """Index of a node; the cursor's index if the node is gone."""
        names = [node.name for node in self._cluster_nodes]
        return names.index(name) if name in names else self.node_list.cursor

    def _show_how_to_join(self) -> None:
        """Show how to join a cluster in place of the nodes."""
        texts = ("Joining the cluster …",) if self.dashboard.settings.broker else HOW_TO_JOIN
        width = self.details.size.width
        lines = [line for text in texts for line in wrap(text, max(width, 10))]
        self.details.show_lines([cut((Span(line, Role.LABEL),), width) for line in lines])
        set_titles(self.details, "nodes")

    def _keys_label(self) -> str:
        """The message about the last key, or the target of the scaling keys."""
        node = self.marked
        if self._message or node is None or node.health is Health.DOWN:
            return self._message
        keys = [self.dashboard.offered_key(key_id) for key_id in ("nodes.more", "nodes.fewer")]
        return f"{' '.join(keys)} {STAGE_TITLES[self.dashboard.selected_stage]} of {short_name(node.name)}".lstrip()

    def _set_title(self, snapshot: Snapshot) -> None:
        """Set the title; the message about the keys is in the lower border, if the panel has one."""
        title, message = nodes_title(snapshot), self._keys_label()
        if self.has_class("-narrow"):
            title, message = (f"{title} · {message}" if message else title), ""
        else:
            title = f"{title} · broker {snapshot.broker}"
        set_titles(self.node_list, title, message)

    def _draw_marked(self, snapshot: Snapshot) -> None:
        """Show the marked node and its workers."""
        node = self.marked
        set_titles(self.details, details_title(node))
        current = snapshot.broker_health is not Health.DOWN
        lines = [] if node is None else details_lines(node, self.details.size.width, current=current)
        self.details.show_lines(lines)
        workers = [worker for worker in snapshot.workers if node is not None and worker.node == node.name]
        width = self.worker_list.line_width
        # Only the seconds of this program are known.
        strips = width >= _STRIPS_FROM and node is not None and node.here
        columns = worker_columns(width, name_width(workers), strips=strips)
        past, cells = self.dashboard.feed.recent_seconds, columns.strip
        self.worker_list.show_rows(
            [
                worker_line(worker, columns, width, past.worker_strip(worker.name, cells) if strips else ())
                for worker in workers
            ],
            header_line(columns, width) if workers else None,
            placeholder=[_no_workers(node, width)],
        )
        set_titles(self.worker_list, f"workers ({len(workers)})")

    def _redraw(self) -> None:
        self.show_snapshot(self.dashboard.snapshot)

    @on(CursorList.Moved)
    def mark(self) -> None:
        """Show the node under the cursor."""
        self._redraw()

    def on_resize(self) -> None:
        """Lay everything out for the new size."""
        self.call_after_refresh(self._show, self.dashboard.snapshot)

    # Actions

    def action_select_stage(self, steps: int) -> None:
        """Select the stage before or after the selected one."""
        dashboard = self.dashboard
        dashboard.selected_stage = pipeline_actions.neighbour(
            dashboard.snapshot, dashboard.selected_stage, steps
        )

    def action_scale_node(self, change: int) -> None:
        """Add or remove workers of the selected stage on the marked node."""
        pipeline, node = self.dashboard.feed.pipeline, self.marked
        if pipeline is None or node is None:
            self.show_message("No node to scale yet")
            return
        stage = self.dashboard.selected_stage
        try:
            self.show_message(pipeline_actions.scale_node(pipeline, node, stage, change))
        except Sp500tuiError as error:  # of a pipeline in another process
            self.show_message(clean(str(error)))
        self.dashboard.refresh_data()

    def show_message(self, message: str) -> None:
        """Show the effect of a key for some seconds: in the border of the nodes, or in the key bar without nodes."""
        if self.has_class("-alone"):
            super().show_message(message)
            return
        self._message = message
        if self._message_timer is not None:
            self._message_timer.stop()
        self._message_timer = self.set_timer(_MESSAGE_SECONDS, self._clear_message)
        self._redraw()

    def _clear_message(self) -> None:
        self._message = ""
        self._redraw()


def _no_workers(node: NodeSnapshot | None, width: int) -> Line:
    """Why no workers are listed."""
    if node is None or not node.stages:
        text = "this node runs no workers"
    elif node.health is Health.DOWN:
        text = "node lost; its workers are gone"
    else:
        text = "no worker data received yet"
    return cut((Span(text, Role.LABEL),), width)
