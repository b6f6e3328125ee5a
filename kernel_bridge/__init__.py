"""What both ends of a cell's journey agree on: the wire, capture, the client and the SDK.

Import from the sub-modules; this package stays empty so that the agent and the control plane load only what they use.
"""
