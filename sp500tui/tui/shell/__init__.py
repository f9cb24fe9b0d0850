"""What all screens share: driver, key bindings, themes, status bar, key bar and base screen."""
