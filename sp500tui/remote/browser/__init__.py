"""The dashboard in a browser: every session is a separate viewer on the control socket."""
