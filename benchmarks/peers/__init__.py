"""The same model, written as the users of each library would write it well.

Each module has a class `Peer`, made of a `problem.Problem`, with
`loss(x)`: one draw of the negative ELBO of binary x [B, 784], averaged, at the current weights;
`train(steps)`: so many steps of Adam on dynamically binarized batches, done when it returns;
`evaluate(x, samples)`: the importance-weighted log p(x) of binary x [B, 784], [B].

A module may have `takes(workload)`, whether the peer can do it; one without can do all. Those that evaluate nothing
need no `evaluate`.
"""
