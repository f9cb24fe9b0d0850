"""The options in words: one table behind the command line's help and the commented configuration file.

Imports nothing heavy, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass

ENVIRONMENT_PREFIX = "SP500TUI_"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a person meets it."""

    field: str
    """Its attribute of `Settings`."""
    metavar: str
    """What stands for its value; empty for a switch."""
    help: str
    group: str
    shared: bool = False
    """Whether the one-shot commands take it too."""
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


RUN = "the run"
SYMBOLS = "what is fetched"
SOURCES = "Wikipedia and Yahoo Finance"
STORAGE = "the database"
WORKERS = "workers and queues"
CLUSTER = "many machines"
DEMO = "the demo market"
SCREEN = "the dashboard"
LOGS = "logs"

OPTIONS: tuple[Option, ...] = (
    Option("no_ui", "", "run without the dashboard, for scripts and services", RUN),
    Option("once", "", "fetch everything once, store it and end", RUN),
    Option("cycles", "N", "end after N cycles", RUN),
    Option("duration", "SECONDS", "stop fetching after so many seconds, store the rest and end", RUN),
    Option("interval", "SECONDS", "from the start of a cycle to the next (default: 15, demo: 2)", RUN),
    Option("json_output", "", "with --no-ui or a one-shot: machine-readable output on stdout", RUN),
    Option("symbols", "A,B", "only these symbols, as listed (default: the whole S&P 500)", SYMBOLS),
    Option("symbols_file", "FILE", "only the symbols in this file, one a line or with commas", SYMBOLS),
    Option("currency", "CCY", "second currency, an ISO 4217 code (default: DKK)", SYMBOLS, shared=True),
    Option("demo", "", "a simulated market, with a database of its own", DEMO, shared=True, negatable=True),
    Option(
        "market_speed",
        "X",
        "how many times faster the demo's trading day passes (default: 1)",
        DEMO,
        shared=True,
    ),
    Option("market_seed", "N", "seed of the demo's prices and faults", DEMO, shared=True),
    Option("proxy", "URL", "proxy for every request", SOURCES, shared=True),
    Option("ca_file", "FILE", "PEM file with the certificate authority to trust", SOURCES, shared=True),
    Option("wikipedia_url", "URL", "page with the list of constituents", SOURCES, shared=True),
    Option(
        "requests_per_second",
        "N",
        "upper limit of requests to Yahoo (default: 5, demo: 200)",
        SOURCES,
        shared=True,
    ),
    Option("request_timeout", "SECONDS", "how long a request may take (default: 10)", SOURCES, shared=True),
    Option("max_attempts", "N", "tries a symbol gets in a cycle before it is missing (default: 4)", SOURCES),
    Option("list_refresh", "SECONDS", "after which the list is asked for again (default: 21600)", SOURCES),
    Option("database", "URL", "PostgreSQL URL (default: an embedded server)", STORAGE, shared=True),
    Option("read_database", "URL", "replica that serves the dashboard's reading", STORAGE),
    Option("data_dir", "DIR", "folder of embedded database and journal", STORAGE, shared=True),
    Option("journal", "", "keep fetched rows on disk until committed (default: on)", STORAGE, negatable=True),
    Option("journal_limit_mb", "MB", "size of the journal at which fetching waits (default: 1024)", STORAGE),
    Option("write_batch", "N", "most rows in one commit (default: 1000)", STORAGE),
    Option("commit_timeout", "SECONDS", "after which a silent writer is replaced (default: 30)", STORAGE),
    Option(
        "drain_timeout",
        "SECONDS",
        "how long the end may take before the rest is spooled (default: 30)",
        STORAGE,
    ),
    Option("price_workers", "N", "threads that fetch prices (default: 12)", WORKERS),
    Option("converters", "N", "threads that convert currencies (default: 2)", WORKERS),
    Option("writers", "N", "processes that write to the database (default: 2)", WORKERS),
    Option("batch_size", "N", "symbols in one request (default: 50)", WORKERS),
    Option("tickers_capacity", "N", "tickers that may wait for a price worker (default: 2048)", WORKERS),
    Option("quotes_capacity", "N", "quotes that may wait for a converter (default: 4096)", WORKERS),
    Option("rows_capacity", "N", "rows that may wait for a writer (default: 4096)", WORKERS),
    Option("broker", "URL", "Redis or Valkey URL: join the cluster there (default: run alone)", CLUSTER),
    Option("broker_password_file", "FILE", "the broker's password, where the URL holds none", CLUSTER),
    Option("cluster_name", "NAME", "keeps several clusters on one broker apart", CLUSTER),
    Option("stages", "A=N,B", "only these stages on this node, with so many workers (default: all)", CLUSTER),
    Option("fetch_group", "NAME", "outgoing address: nodes of one group share the rate limit", CLUSTER),
    Option("theme", "NAME", "theme of the dashboard", SCREEN),
    Option("refresh_rate", "N", "looks at the pipeline a second (default: 4)", SCREEN),
    Option("keymap", "", "other keys: binding id = keys", SCREEN, flag=False),
    Option("log_level", "LEVEL", "DEBUG, INFO, WARNING or ERROR (default: INFO)", LOGS, shared=True),
    Option("log_file", "FILE", "write the log there instead of the log folder", LOGS, shared=True),
    Option("log_format", "FORMAT", "text or json, one record a line (default: text)", LOGS, shared=True),
)
"""Every setting, in the order of help and configuration file."""

BY_FIELD = {option.field: option for option in OPTIONS}
BY_KEY = {option.key: option for option in OPTIONS}
