"""The one-shot commands, one module each. None of them loads Textual."""
