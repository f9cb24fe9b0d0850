"""The one-shot commands for scripts, one a module; none of them loads Textual."""
