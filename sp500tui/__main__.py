"""`python -m sp500tui` is the same as `sp500tui`."""

from sp500tui.cli.main import main

raise SystemExit(main())
