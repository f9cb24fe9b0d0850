"""Shared by all screens: key bindings, themes, status bar, key bar, dialogs and base screen."""
