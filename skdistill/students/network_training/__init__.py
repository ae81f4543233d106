"""Train students in torch, through skorch.

`network` and `soft_tree` hold the networks, `losses` what they minimise, with the terms of hints;
`batches` brings the rows to the device, `net` is the training loop, `compiled` takes its steps on
the CPU, `callbacks` accompany it, and `train` puts them together.
"""
