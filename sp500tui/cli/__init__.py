"""The command line: parser, entry point and one-shot commands."""
