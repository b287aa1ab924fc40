"""scikit-learn's own checks of estimators, all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

ESTIMATORS = {
    "VAE": "VAE(epochs=2, hidden=(4,), latent_dim=1, iw_samples=5, execution='graph')",
    "VAEImputer": "VAEImputer(VAE(epochs=1, hidden=(4,), latent_dim=1, execution='eager'), iw_samples=5)",
}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimator_passes_every_check_of_scikit_learn(estimator: str) -> None:
    script = f"""
        import json
        from sklearn.utils.estimator_checks import check_estimator
        from tfp_vae.interop.sklearn import VAE, VAEImputer

        found = check_estimator({estimator}, on_skip=None)
        print(json.dumps([[each["check_name"], each["status"]] for each in found]))
    """
    # without this variable, which SciPy reads when it is imported, scikit-learn skips one of its checks
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert len(statuses) > 40
    assert [each for each in statuses if each[1] != "passed"] == []
