import numpy as np
import pytest

from connectors.libsvm import LibsvmSource
from partitioner.errors import ConfigError, DataError
from tests.connectors.reading import rows


def write(path, text):
    path.write_text(text)
    return path


def test_indices_become_zero_based(tmp_path):
    path = write(tmp_path / "x.svm", "+1 1:0.5 3:-2e1 # a comment: 4:5\n\n-1\n")
    assert rows(LibsvmSource(path).describe()) == [
        {"label": 1.0, "indices": [0, 2], "values": [0.5, -20.0]},
        {"label": -1.0, "indices": [], "values": []},
    ]


def test_dense_width_is_the_largest_index_of_all_files(tmp_path):
    write(tmp_path / "1.svm", "0 1:1\n")
    write(tmp_path / "2.svm", "1 4:7\n")
    dataset = LibsvmSource(tmp_path, dense=True).describe()
    assert rows(dataset, ["features"]) == [{"features": [1, 0, 0, 0]}, {"features": [0, 0, 0, 7]}]


def test_dense_width_can_be_given(tmp_path):
    path = write(tmp_path / "x.svm", "0 1:1\n")
    assert rows(LibsvmSource(path, dense=True, n_features=3).describe(), ["features"]) == [{"features": [1, 0, 0]}]


def test_zero_based_input(tmp_path):
    path = write(tmp_path / "x.svm", "0 0:1 2:3\n")
    assert rows(LibsvmSource(path, zero_based=True).describe(), ["indices"]) == [{"indices": [0, 2]}]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1 0:5\n", {}, "whole numbers from 1; say zero_based=True"),
        ("1 1.5:5\n", {}, "whole numbers from 1"),
        ("1 1:\n", {}, "not 'label index:value"),
        ("1 one:2\n", {}, "could not convert string to float: b'one'"),
        ("1 qid:3 1:2\n", {}, "query ids"),
        ("1 5:2\n", {"n_features": 4}, "index 5 lies beyond n_features=4"),
    ],
)
def test_bad_lines_name_the_file(tmp_path, text, options, message):
    path = write(tmp_path / "x.svm", text)
    for dense in (False, True):
        with pytest.raises(DataError, match=rf"x\.svm.*{message}"):
            rows(LibsvmSource(path, dense=dense, **options).describe())


def test_a_width_of_zero_is_refused():
    with pytest.raises(ConfigError, match="n_features is 0; it is at least 1"):
        LibsvmSource("x.svm", n_features=0)


def test_agrees_with_scikit_learn(tmp_path):
    from sklearn.datasets import dump_svmlight_file, load_digits

    x, y = load_digits(return_X_y=True)
    dump_svmlight_file(x[:200], y[:200], str(tmp_path / "x.svm"), zero_based=False)
    dataset = LibsvmSource(tmp_path, dense=True, n_features=64, fragment_bytes=5000).describe()
    assert len(dataset.fragments) > 5
    got = rows(dataset)
    np.testing.assert_array_equal([r["features"] for r in got], x[:200])
    np.testing.assert_array_equal([r["label"] for r in got], y[:200])


def test_numbers_are_those_that_python_reads():
    from connectors.libsvm import _numbers

    assert _numbers(b"+1 1:.5 2:-2e3\n\n-1\t3:inf\r\n").tolist() == [
        1.0,
        1.0,
        0.5,
        2.0,
        -2000.0,
        -1.0,
        3.0,
        float("inf"),
    ]
    assert _numbers(b"1_000 1:1e400\n").tolist() == [1000.0, 1.0, float("inf")]
    with pytest.raises(ValueError, match="'x'"):
        _numbers(b"1 1:x\n")
