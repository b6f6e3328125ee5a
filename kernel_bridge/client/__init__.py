"""The notebook's end of the wire: reach a control plane, start one if need be, and keep a channel to a session."""
