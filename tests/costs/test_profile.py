import sqlite3

import numpy as np
import pytest

from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.costs.measuring.profile import KEPT, ProfileKey, ProfileStore
from partitioner.errors import DataError

KEY = ProfileKey("jobs:embed", "abc")


def measurements(n=3):
    return Measurements.of({"bytes": np.arange(1.0, n + 1)}, [Timing(float(i), process=f"p{i}") for i in range(n)])


@pytest.fixture(params=["path", "url"])
def location(request, tmp_path):
    if request.param == "path":
        return str(tmp_path / "deep" / "profiles.sqlite")
    pytest.importorskip("fsspec")
    return f"file://{tmp_path}/far/profiles.sqlite"


def test_what_is_added_is_loaded_again(location):
    ProfileStore(location).add(KEY, measurements(), [Term("bytes")], "run-1")
    profile = ProfileStore(location).load(KEY)
    assert profile.measurements.columns["bytes"].tolist() == [1.0, 2.0, 3.0]
    assert profile.measurements.seconds.tolist() == [0.0, 1.0, 2.0]
    assert profile.measurements.first.tolist() == [True, True, True]
    assert profile.terms == (Term("bytes"),)
    assert profile.runs == 1


def test_reading_creates_nothing(tmp_path):
    store = ProfileStore(tmp_path / "none.sqlite")
    assert store.load(KEY) is None
    assert store.profiles() == []
    assert not (tmp_path / "none.sqlite").exists()


def test_the_oldest_measurements_make_room(tmp_path):
    store = ProfileStore(tmp_path / "p.sqlite")
    store.add(KEY, measurements(KEPT), [Term("bytes")], "run-1")
    store.add(KEY, measurements(5), [Term("bytes")], "run-2")
    loaded = store.load(KEY).measurements
    assert len(loaded) == KEPT
    assert loaded.columns["bytes"][-5:].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_forgetting_a_program_leaves_the_others(location):
    store = ProfileStore(location)
    store.add(KEY, measurements(), [Term("bytes")], "run-1")
    store.add(ProfileKey("jobs:train", "abc"), measurements(), [Term("bytes")], "run-1")
    assert store.forget("jobs:embed") == 1
    assert [row["program"] for row in store.profiles()] == ["jobs:train"]


def test_a_file_that_is_no_profile_store_is_refused(tmp_path):
    (tmp_path / "p.sqlite").write_text("not a database, but long enough to have no valid header at all")
    with pytest.raises(DataError, match=r"p\.sqlite cannot be used"):
        ProfileStore(tmp_path / "p.sqlite").profiles()


def test_a_store_of_a_later_version_is_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "p.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DataError, match=r"of version 99; this release knows versions up to 1"):
        ProfileStore(tmp_path / "p.sqlite").profiles()
