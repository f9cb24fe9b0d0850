"""The settings as options: names, help texts and groups, for `--help` and the commented configuration file.

Imports nothing heavy: loading the validated `Settings` for `--help` would take five times as long.
"""

from __future__ import annotations

from dataclasses import dataclass

ENVIRONMENT_PREFIX = "SP500TUI_"


@dataclass(frozen=True, slots=True)
class Option:
    """The names and the help text of one setting."""

    field: str
    """Its attribute of `Settings`."""
    metavar: str
    """Placeholder of its value in the help; empty for a switch."""
    help: str
    group: str
    shared: bool = False
    """Whether the one-shot commands accept it too."""
    negatable: bool = False
    """Whether the switch also has a `--no-` form."""
    flag: bool = True
    """Whether it can be given on the command line at all."""

    @property
    def is_address(self) -> bool:
        """Whether its value is a URL, which may hold a password."""
        return self.metavar == "URL"

    @property
    def key(self) -> str:
        """Its name in the configuration file."""
        return "json" if self.field == "json_output" else self.field

    @property
    def switch(self) -> str:
        """Its name on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENVIRONMENT_PREFIX + self.key.upper()


RUN = "Run"
SYMBOLS = "Symbols"
DEMO = "Demo market"
SOURCES = "Wikipedia and Yahoo Finance"
STORAGE = "Database and journal"
WORKERS = "Workers and queues"
CLUSTER = "Cluster"
SCREEN = "Dashboard"
LOGS = "Logging and monitoring"

OPTIONS: tuple[Option, ...] = (
    Option("no_ui", "", "run without the dashboard, for scripts and services", RUN),
    Option("once", "", "fetch everything once, store it and exit", RUN),
    Option("cycles", "N", "exit after N cycles", RUN),
    Option("duration", "SECONDS", "begin no cycle after this time, finish the running one and exit", RUN),
    Option("interval", "SECONDS", "time from the start of a cycle to the next (default: 15, demo: 2)", RUN),
    Option("record", "FOLDER", "record the run to files in this folder, for sp500tui replay", RUN),
    Option("json_output", "", "print JSON (with --no-ui or a command)", RUN),
    Option("symbols", "A,B", "only these symbols, as listed (default: the whole S&P 500)", SYMBOLS),
    Option("symbols_file", "FILE", "only the symbols of this file, one per line or comma-separated", SYMBOLS),
    Option("currency", "CCY", "second currency, an ISO 4217 code (default: DKK)", SYMBOLS, shared=True),
    Option("demo", "", "simulated market with a separate database", DEMO, shared=True, negatable=True),
    Option(
        "market_speed",
        "X",
        "speed of the demo's trading day (default: 1, real time; 20 in the dashboard)",
        DEMO,
        shared=True,
    ),
    Option("market_seed", "N", "seed of the demo's prices and faults", DEMO, shared=True),
    Option("tour", "", "start the dashboard with a tour of real faults, which any key stops", DEMO),
    Option("proxy", "URL", "proxy for all requests", SOURCES, shared=True),
    Option("ca_file", "FILE", "PEM file of the certificate authority to trust", SOURCES, shared=True),
    Option("wikipedia_url", "URL", "page with the list of constituents", SOURCES, shared=True),
    Option(
        "requests_per_second",
        "N",
        "rate limit of the requests to Yahoo Finance (default: 5, demo: 200, its dashboard: 55)",
        SOURCES,
        shared=True,
    ),
    Option("request_timeout", "SECONDS", "timeout of a request (default: 10)", SOURCES, shared=True),
    Option("max_attempts", "N", "attempts per symbol and cycle (default: 4)", SOURCES),
    Option(
        "list_refresh",
        "SECONDS",
        "time until the list of constituents is refreshed (default: 21600)",
        SOURCES,
    ),
    Option("database", "URL", "PostgreSQL URL (default: an embedded server)", STORAGE, shared=True),
    Option("read_database", "URL", "read replica for the dashboard's queries", STORAGE),
    Option("data_dir", "DIR", "folder of the embedded database and the journal", STORAGE, shared=True),
    Option(
        "journal",
        "",
        "keep fetched rows on disk until they are committed (default: on)",
        STORAGE,
        negatable=True,
    ),
    Option("journal_limit_mb", "MB", "journal size at which fetching pauses (default: 1024)", STORAGE),
    Option("write_batch", "N", "maximum rows per commit (default: 1000)", STORAGE),
    Option(
        "heal", "", "fetch missing 1-minute bars in the background (default: off)", STORAGE, negatable=True
    ),
    Option(
        "keep_quotes", "DAYS", "age such as 90d beyond which bars replace prices (default: keep)", STORAGE
    ),
    Option(
        "keep_bars_1m",
        "DAYS",
        "age such as 400d beyond which 15-minute bars replace those (default: keep)",
        STORAGE,
    ),
    Option(
        "commit_timeout",
        "SECONDS",
        "timeout of a commit, after which the writer is restarted (default: 30)",
        STORAGE,
    ),
    Option(
        "drain_timeout",
        "SECONDS",
        "timeout of the shutdown, after which remaining rows are spooled to disk (default: 30)",
        STORAGE,
    ),
    Option("price_workers", "N", "threads that fetch prices (default: 12)", WORKERS),
    Option("converters", "N", "threads that convert currencies (default: 2)", WORKERS),
    Option("writers", "N", "processes that write to the database (default: 2)", WORKERS),
    Option("batch_size", "N", "symbols per request (default: 50, in the demo's dashboard 5)", WORKERS),
    Option("history_workers", "N", "threads that request bars (default: 2)", WORKERS),
    Option("tickers_capacity", "N", "capacity of the tickers queue (default: 2048)", WORKERS),
    Option("quotes_capacity", "N", "capacity of the quotes queue (default: 4096)", WORKERS),
    Option("rows_capacity", "N", "capacity of the rows queue (default: 4096)", WORKERS),
    Option("broker", "URL", "Redis or Valkey URL of the cluster to join (default: run alone)", CLUSTER),
    Option("broker_password_file", "FILE", "file with the broker's password, for a URL without one", CLUSTER),
    Option("cluster_name", "NAME", "namespace for clusters that share a broker", CLUSTER),
    Option("stages", "A=N,B", "stages of this node, with their numbers of workers (default: all)", CLUSTER),
    Option("fetch_group", "NAME", "outgoing address: nodes of one group share the rate limit", CLUSTER),
    Option("theme", "NAME", "theme of the dashboard", SCREEN),
    Option(
        "ascii",
        "",
        "draw the dashboard in ASCII (default: if the terminal or its locale has no Unicode)",
        SCREEN,
        negatable=True,
    ),
    Option("refresh_rate", "N", "screen refreshes per second (default: 4)", SCREEN),
    Option("keymap", "", "key bindings: binding id = keys", SCREEN, flag=False),
    Option("metrics", "HOST:PORT", "serve metrics for Prometheus, /healthz and /readyz there", LOGS),
    Option("log_level", "LEVEL", "DEBUG, INFO, WARNING or ERROR (default: INFO)", LOGS, shared=True),
    Option(
        "log_file", "FILE", "log to this file, not to the log folder; none: only to stderr", LOGS, shared=True
    ),
    Option("log_format", "FORMAT", "text or json, one record per line (default: text)", LOGS, shared=True),
)
"""Every setting, in the order of `--help` and the configuration file."""

BY_FIELD = {option.field: option for option in OPTIONS}
BY_KEY = {option.key: option for option in OPTIONS}
