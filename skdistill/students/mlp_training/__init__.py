"""Train the MLP students in torch, through skorch: the only folder that imports them.

`network` holds the network and its losses, `batches` brings the rows to the device, `net` is the
training loop, `callbacks` accompany it, and `train` puts them together.
"""
