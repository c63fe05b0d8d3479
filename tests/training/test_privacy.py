"""Clipped updates, noise on their mean, and the epsilon that a library tells."""

import numpy as np
import pytest

from partitioner.errors import ConfigError
from partitioner.training import federate
from partitioner.training.privacy import Privacy, clipped, epsilon_of, noised

TABLE = {"client": [0, 0, 1, 2, 3], "x": [1.0, 1.0, 1.0, 1.0, 1001.0]}
PRIVACY = {"clip": 1.0, "noise": 0.3, "delta": 1e-5, "seed": 1}


def mean_of(rows, parameters):
    return {"w": np.array([rows["x"].mean()])}, float(len(rows))


def run(tmp_path, rounds=1, **options):
    settings = {"engine": "serial", "progress": False, "report": False, "checkpoint": str(tmp_path / "runs")}
    return federate(TABLE, mean_of, {"w": np.zeros(1)}, client="client", rounds=rounds, **{**settings, **options})


def test_an_update_is_drawn_back_to_the_clip():
    new, old = {"w": np.array([3.0, 4.0]), "n": 7}, {"w": np.zeros(2), "n": 2}
    assert clipped(new, old, 1.0)["w"].tolist() == [0.6000000000000001, 0.8]
    assert clipped(new, old, 10.0) == {"w": pytest.approx([3.0, 4.0]), "n": 2}


def test_one_client_moves_the_mean_by_its_share_of_the_clip(tmp_path):
    found = run(tmp_path, privacy=PRIVACY)
    assert found.state["parameters"]["w"] == pytest.approx([1.0], abs=0.3)  # four clients, each clipped to 1
    assert run(tmp_path).state["parameters"]["w"] == pytest.approx([201.0])


def test_noise_has_the_deviation_asked_for_and_the_type_of_the_parameter():
    add = noised(Privacy(2.0, 3.0, seed=5), clients=4)
    found = add({"w": np.zeros(100_000, np.float32), "n": np.array(3)}, 0)
    assert (found["w"].dtype, found["n"]) == (np.float32, 3)
    assert found["w"].std() == pytest.approx(1.5, rel=0.01)
    assert not np.array_equal(found["w"], add({"w": np.zeros(100_000, np.float32), "n": np.array(3)}, 1)["w"])


def test_epsilon_is_the_one_of_the_analytic_gaussian_mechanism():
    from scipy.stats import norm

    epsilon, sigma = epsilon_of(Privacy(1.0, 2.0, 1e-5), 4), 1.0  # four rounds of deviation 2 are one of deviation 1
    delta = norm.cdf(0.5 / sigma - epsilon * sigma) - np.exp(epsilon) * norm.cdf(-0.5 / sigma - epsilon * sigma)
    assert delta == pytest.approx(1e-5, rel=0.01)


def test_the_result_tells_the_epsilon_of_the_rounds_that_ran(tmp_path):
    found = run(tmp_path, rounds=3, privacy={"clip": 1.0, "noise": 2.0, "seed": 1})
    assert found.state["epsilon"] == epsilon_of(Privacy(1.0, 2.0), 3)


def test_a_resume_with_the_same_seed_gives_the_same_bits(tmp_path):
    privacy = {"clip": 1.0, "noise": 2.0, "seed": 1}
    first = run(tmp_path, rounds=2, privacy=privacy)
    again = run(tmp_path, rounds=3, privacy=privacy, resume=first.run_id)
    whole = run(tmp_path, rounds=3, privacy=privacy)
    assert again.state["parameters"]["w"].tolist() == whole.state["parameters"]["w"].tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"privacy": {"clip": 1.0}}, "privacy needs 'noise'"),
        ({"privacy": {"clip": 0, "noise": 1}}, "clip is 0"),
        ({"privacy": {"clip": 1, "noise": 1, "delta": 1}}, "delta is 1"),
        ({"privacy": {"clip": 1, "noise": 1, "epsilon": 1}}, "no setting 'epsilon'"),
        ({"privacy": 3}, "privacy is 3"),
        ({"privacy": {"clip": 1, "noise": 0.01}}, "which promises nothing"),
        ({"privacy": PRIVACY, "merge": "median"}, "merge is 'median'"),
    ],
)
def test_privacy_that_cannot_be_is_refused(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, **given)
