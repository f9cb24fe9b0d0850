"""What all screens share: key bindings, themes, status bar, key bar, dialogs and base screen."""
