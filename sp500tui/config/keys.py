"""The keys of the dashboard: id, default keys and what each does. `tui/` binds them to actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sp500tui.config.suggestions import suggestion


class Key(NamedTuple):
    """One binding of the dashboard."""

    id: str
    keys: str
    """Default keys, separated by commas."""
    explanation: str
    steers: bool = False
    """Whether it acts on the pipeline, which a read-only viewer and a recording refuse."""


def _cursor_keys(panel: str, ends: tuple[str, str] = ("first", "last")) -> tuple[Key, ...]:
    """The keys that move the cursor of a list; `ends` are the last parts of the ids for its first and last line."""
    first, last = ends
    return (
        Key(f"{panel}.up", "up,k", "Move the cursor up a line"),
        Key(f"{panel}.down", "down,j", "Move the cursor down a line"),
        Key(f"{panel}.page_up", "pageup,ctrl+u", "Move the cursor up by the lines on the screen"),
        Key(f"{panel}.page_down", "pagedown,ctrl+d", "Move the cursor down by the lines on the screen"),
        Key(f"{panel}.{first}", "home,g", "Move the cursor to the first line"),
        Key(f"{panel}.{last}", "end,G", "Move the cursor to the last line"),
    )


KEYS: tuple[Key, ...] = (
    Key("stage.more", "plus", "Add a worker to the selected stage", steers=True),
    Key(
        "stage.fewer",
        "minus,underscore",
        "Remove a worker from the selected stage (after its current batch)",
        steers=True,
    ),
    Key("stage.set", "equals_sign", "Type the number of workers of the selected stage", steers=True),
    Key("stage.previous", "left,h", "Select the previous stage as the target of the scaling keys"),
    Key("stage.next", "right,l", "Select the next stage as the target of the scaling keys"),
    Key("pipeline.pause", "p", "Pause or resume the intake of the pipeline", steers=True),
    Key("stage.pause", "P", "Pause (after confirmation) or resume the selected stage only", steers=True),
    Key(
        "tour.start",
        "ctrl+t",
        "Demo: watch two minutes of real faults on a schedule; any key stops them and sets everything back",
        steers=True,
    ),
    Key("cycle.run", "r", "Start the next cycle now", steers=True),
    Key("interval.shorter", "left_square_bracket", "Shorten the interval between cycles", steers=True),
    Key("interval.longer", "right_square_bracket", "Lengthen the interval between cycles", steers=True),
    Key("refresh.slower", "less_than_sign", "Refresh the screen less often"),
    Key("refresh.faster", "greater_than_sign", "Refresh the screen more often"),
    Key("help", "question_mark,f1", "Show all keys and symbols"),
    Key("quit", "q,ctrl+c", "Drain and quit; again: spool to disk; a third time: kill the workers"),
    Key(
        "pipeline.stop",
        "Q",
        "Stop the pipeline for all viewers (after confirmation); again: spool to disk; a third time: kill",
        steers=True,
    ),
    Key(
        "time.back",
        "comma",
        "Go back in time; a live dashboard keeps the last 15 minutes while the pipeline keeps running",
    ),
    Key("time.forth", "full_stop", "Go forward in time"),
    Key("time.minute_back", "ctrl+left", "Go back one minute"),
    Key("time.minute_forth", "ctrl+right", "Go forward one minute"),
    Key(
        "time.previous_event",
        "left_curly_bracket",
        "Go back to the previous event that is not part of the routine",
    ),
    Key("time.next_event", "right_curly_bracket", "Go to the next event that is not part of the routine"),
    Key(
        "time.previous_error", "left_parenthesis", "Go back to the previous error, of an event or in the log"
    ),
    Key("time.next_error", "right_parenthesis", "Go to the next error, of an event or in the log"),
    Key(
        "time.end",
        "end",
        "Return to the present, or go to the end of a recording; at the present it is a list's last row",
    ),
    Key("replay.play", "space", "Play the recording, or pause it"),
    Key("replay.slower", "less_than_sign", "Play more slowly"),
    Key("replay.faster", "greater_than_sign", "Play faster"),
    Key("replay.begin", "home", "Go to the beginning of the recording"),
    Key("screen.pipeline", "1", "The pipeline, its workers, the prices and the log"),
    Key("screen.database", "2", "What is stored, how it grows, and the SQL behind each figure"),
    Key("screen.demo", "3", "Inject faults and watch the pipeline recover"),
    Key("screen.nodes", "4", "The nodes of a cluster, their workers, and where the work of lost ones went"),
    Key("screen.timeline", "5", "What every worker did, on one time axis"),
    Key("screen.coverage", "6", "Which sessions of which symbols have all their bars"),
    Key("screen.lessons", "8", "Experiments on concurrency with measured results"),
    Key("screen.journeys", "9", "How long quotes take from the start of a cycle to the commit, and where"),
    Key("view.freeze", "space", "Pause or resume the panels; the pipeline keeps running"),
    Key("view.currency", "c", "Change which currency is shown first"),
    Key("view.copy", "y", "Copy the selected row of the prices to the clipboard"),
    Key("view.export_csv", "e", "Export the prices shown to a CSV file"),
    Key("view.export_json", "E", "Export the prices shown to a JSON file"),
    Key("view.zoom", "z", "Maximize the focused panel, or restore it"),
    Key("view.next_panel", "tab", "Focus the next panel"),
    Key("view.previous_panel", "shift+tab", "Focus the previous panel"),
    Key("prices.select", "enter", "Show everything about this symbol"),
    *_cursor_keys("prices", ends=("top", "bottom")),
    Key("prices.filter", "slash", "Keep only the rows whose symbol, name or sector contains the words typed"),
    Key("prices.sort", "s", "Choose the column to sort by from a list"),
    Key("prices.reverse", "R", "Reverse the order"),
    Key("prices.group", "b", "Group the rows by sector, or not"),
    Key("prices.flash", "F", "Highlight prices that change, or not"),
    Key("prices.release", "escape", "Clear the filter; without one, return to the first row"),
    Key("sort.close", "escape,s,q", "Close the list and keep the order"),
    *_cursor_keys("list"),
    Key("list.choose", "enter", "Choose the marked line"),
    *_cursor_keys("workers"),
    Key("workers.scope", "w", "Show all workers, or only those of the selected stage"),
    Key("workers.copy", "y", "Copy the marked worker's line"),
    Key("workers.export_csv", "e", "Write the workers shown to a CSV file"),
    Key("workers.export_json", "E", "Write the workers shown to a JSON file"),
    Key("log.level", "v", "Change the lowest level shown"),
    Key("log.level_back", "V", "Change the lowest level shown back"),
    Key("log.worker", "w", "Show the lines of one stage or worker"),
    Key("log.worker_back", "W", "Show the previous stage or worker"),
    Key("log.search", "slash", "Search the messages, and mark what matches"),
    Key("log.open", "enter", "Show the whole marked or newest line"),
    Key("log.next_match", "n", "Go to the next match of the search"),
    Key("log.previous_match", "N", "Go to the previous match of the search"),
    Key("log.next_error", "x", "Go to the next error"),
    Key("log.follow", "f", "Follow the newest line, or stop following"),
    Key("log.copy", "y", "Copy the marked line, or the newest one shown"),
    Key("log.left", "left,h", "Scroll long lines to the left"),
    Key("log.right", "right,l", "Scroll long lines to the right"),
    Key("log.release", "escape", "Clear the search"),
    *_cursor_keys("log", ends=("top", "bottom")),
    Key("screen.back", "escape", "Back to the pipeline, its prices and its log"),
    Key("symbol.next", "down,j", "Show the next symbol of the table"),
    Key("symbol.previous", "up,k", "Show the previous symbol of the table"),
    Key("symbol.currency", "c", "Show the chart in the other currency"),
    Key(
        "symbol.fetch",
        "B",
        "Have the pipeline fetch the bars of this symbol and range that are not stored",
        steers=True,
    ),
    Key("symbol.copy", "y", "Copy the quote shown"),
    Key("chart.span", "t", "Change to the next longer range, from an hour to everything"),
    Key("chart.span_back", "T", "Change to the previous range"),
    Key("chart.back", "left,h", "Mark an earlier price"),
    Key("chart.on", "right,l", "Mark a later price; past the last one, remove the mark"),
    Key("database.copy", "y", "Copy the SQL of the marked metric"),
    Key("faults.clear", "x", "Switch off every fault", steers=True),
    Key(
        "faults.kill_writer",
        "K",
        "Kill the process of one writer with SIGKILL, after confirmation",
        steers=True,
    ),
    Key(
        "faults.stop_database",
        "D",
        "Stop the embedded PostgreSQL for ten seconds, after confirmation",
        steers=True,
    ),
    Key("faults.switch", "space", "Switch the marked fault, or run the action", steers=True),
    Key("faults.weaker", "left,h", "Make the marked fault weaker", steers=True),
    Key("faults.stronger", "right,l", "Make the marked fault stronger", steers=True),
    Key("faults.strength_0", "0", "Switch the marked fault off", steers=True),
    *(
        Key(
            f"faults.strength_{digit}",
            f"{digit}",
            f"Set the marked fault to its strength {digit}",
            steers=True,
        )
        for digit in range(1, 5)
    ),
    Key(
        "nodes.more", "plus,equals_sign", "Add a worker to the selected stage of the marked node", steers=True
    ),
    Key(
        "nodes.fewer",
        "minus,underscore",
        "Remove a worker from the selected stage of the marked node (after its current batch)",
        steers=True,
    ),
    Key("nodes.previous_stage", "left,h", "Select the previous stage for the scaling keys"),
    Key("nodes.next_stage", "right,l", "Select the next stage for the scaling keys"),
    Key("timeline.freeze", "space", "Freeze the view, or follow the present again"),
    Key("timeline.zoom_in", "z", "Show less time, around the cursor of a frozen view"),
    Key("timeline.zoom_out", "Z", "Show more time, around the cursor of a frozen view"),
    Key("timeline.up", "up,k", "Mark the row above"),
    Key("timeline.down", "down,j", "Mark the row below"),
    Key("timeline.back", "left,h", "Freeze the view and move the cursor back in time"),
    Key("timeline.on", "right,l", "Freeze the view and move the cursor forward in time"),
    Key("timeline.follow", "f", "Dim all but the batch under the cursor"),
    Key(
        "timeline.trace",
        "t",
        "Write the last minute, or the frozen view, as a trace that ui.perfetto.dev opens",
    ),
    Key("coverage.earlier", "left,h", "Move to the previous session"),
    Key("coverage.later", "right,l", "Move to the next session"),
    Key("coverage.mark", "space", "Mark the session to be fetched, or remove the mark"),
    Key("coverage.mark_symbol", "m", "Mark all sessions of the symbol that lack bars, or remove its marks"),
    Key("coverage.unmark", "x", "Remove all marks"),
    Key(
        "coverage.check",
        "c",
        "Determine what is stored of the last week, without fetching anything",
        steers=True,
    ),
    Key("coverage.resolution", "r", "Show the next resolution"),
    Key(
        "coverage.heal",
        "B",
        "Fetch what the marked sessions lack, or everything that is shown without marks (after confirmation)",
        steers=True,
    ),
    Key("coverage.copy", "y", "Copy the command that does the same"),
    Key("lessons.answer_a", "a", "Predict answer a and run the lesson", steers=True),
    Key("lessons.answer_b", "b", "Predict answer b and run the lesson", steers=True),
    Key("lessons.answer_c", "c", "Predict answer c and run the lesson", steers=True),
    Key("lessons.stop", "x", "Stop the lesson; everything is set back", steers=True),
    Key("lessons.down", "d", "Scroll the text down"),
    Key("lessons.up", "u", "Scroll the text up"),
    Key("line.close", "escape,enter", "Close the lines"),
    Key("line.copy", "y", "Copy the newest of the lines"),
    Key("stopping.hide", "escape", "Hide this dialog; the shutdown continues"),
    Key("help.close", "escape,question_mark,f1,q", "Close this sheet"),
    Key("help.down", "down,j", "Scroll down a line"),
    Key("help.up", "up,k", "Scroll up a line"),
    Key("help.page_down", "pagedown,space", "Scroll down ten lines"),
    Key("help.page_up", "pageup", "Scroll up ten lines"),
    Key("help.top", "home,g", "Scroll to the first line"),
    Key("help.bottom", "end,G", "Scroll to the last line"),
    Key("question.yes", "y", "Do it"),
    Key("question.no", "n,escape,q", "Do nothing"),
    Key("number.close", "escape", "Close and change nothing"),
)
"""In the order of the help screen."""
STEERING: frozenset[str] = frozenset(key.id for key in KEYS if key.steers)
"""Ids of the keys that act on the pipeline."""
KEYS_BY_ID: Mapping[str, Key] = {key.id: key for key in KEYS}


def validate_keymap(keymap: Mapping[str, str]) -> None:
    """Raise ValueError with the remedy for an unknown id, or an id without a key."""
    for key_id, keys in keymap.items():
        if key_id not in KEYS_BY_ID:
            hint = suggestion(key_id, KEYS_BY_ID) or "`sp500tui config init` writes a file that lists them"
            raise ValueError(f"has no binding for the id {key_id!r}; {hint}")
        if not all(key.strip() for key in keys.split(",")):
            raise ValueError(
                f"has the empty key {keys!r} for {key_id!r}; name one, such as 'f5' or 'ctrl+r,r'"
            )
