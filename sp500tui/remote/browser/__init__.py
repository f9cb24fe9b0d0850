"""The dashboard in a browser: every session is a viewer of its own on the control socket."""
