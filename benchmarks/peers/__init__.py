"""The same model, written as users of each library would write it well.

Each module has a class `Peer`, made from a `problem.Problem`, with the methods of `worker.Peer`: `loss(x)` is one draw
of the negative ELBO at the current weights. `train(steps)` takes steps of Adam on dynamically binarized batches, and is
done when it returns. `evaluate(x, samples)` is the importance-weighted log p(x), and `evaluate_on(x, noise)` the same
from given noise.

A module may have `takes(workload)`, which says whether the peer supports a workload. Peers that cannot evaluate have
neither `evaluate` nor `evaluate_on`.
"""
