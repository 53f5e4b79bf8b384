"""What tensors are in a checkpoint, and the guarantees that follow from it."""

import io
import json
import warnings
from contextlib import nullcontext

import h5py
import numpy as np
import pytest
from checks import call_cli, run_cli
from safetensors.numpy import save_file

import gcodec
from gcodec.compressors.contract import Guarantee
from gcodec.container.reader import Stream
from gcodec.request.policy import Policy
from gcodec.request.roles import role_of
from gcodec.request.rules import Rules
from gcodec.source import ArraySource, Marks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 40)).astype(np.float32)
LINE = RNG.normal(size=1600).astype(np.float32)


def role(name: str, names: set[str], x: np.ndarray = X):
    return role_of(name, ArraySource(x), names)


class Marked(ArraySource):
    """An array of which a file says something."""

    def __init__(self, array: np.ndarray, marks: Marks) -> None:
        super().__init__(array)
        self.marks = marks


@pytest.mark.parametrize(("fill", "there"), [(-9999.0, True), (-9998.0, False), (np.nan, True), (1e300, False)])
def test_fill_values_count_where_they_occur(fill, there):
    x = X.copy()
    if there:
        x[3, 4] = fill
    found = role_of("field", Marked(x, Marks(fills=(7.5, fill))), set())
    assert (found.name if found else None) == ("field with fill values" if there else None)


def test_values_tell_coordinates_and_moments_without_a_name():
    rising = np.sort(LINE)
    assert role("x", set(), rising).name == role("x", set(), rising[::-1].copy()).name == "coordinate"
    swapped = rising.copy()
    swapped[[800, 801]] = swapped[[801, 800]]
    assert (
        role("x", set(), swapped) is role("x", set(), rising[:15]) is role("x", set(), rising.reshape(40, 40)) is None
    )
    assert role("optimizer/vars/3", set(), X**2).name == "second moment"
    assert role("optimizer/vars/2", set()) is role("model/vars/3", set(), X**2) is None
    assert role("optimizer/vars/1", set(), np.array(1e-3)) is None


def test_an_optimizer_s_values_are_looked_at_in_the_whole_tensor():
    x = np.zeros((4000, 64), np.float32)
    x[3999] = X.flat[:64] ** 2
    assert role("optimizer/vars/3", set(), x).name == "second moment"
    x[3999, 63] = -1
    assert role("optimizer/vars/3", set(), x) is role("optimizer/vars/3", set(), np.zeros_like(x)) is None


def test_values_like_squares_are_protected_beside_a_tensor_of_their_shape():
    x = (X * np.exp(RNG.normal(size=(40, 1)))) ** 2
    for other, protected in ((X, True), (X[:39], False)):
        rules = Rules(Policy(alpha=1e-4), 1)
        rules.note([("w", ArraySource(other))])
        decision = rules.decide("power", ArraySource(x))
        assert decision.by == ("role" if protected else "default")
        assert decision.choice.guarantee == (Guarantee("pointwise", 0.01) if protected else Guarantee("alpha", 1e-4))
        assert rules.decide("gains", ArraySource(1 + X**2)).by == "default"
    assert Rules(Policy(omega=0.1), 1).decide("vel", ArraySource(x)).by == "default"


def test_a_writer_knows_second_moments_before_the_first_ones_come():
    file = io.BytesIO()
    with gcodec.Writer(file, Policy(alpha=1e-3)) as writer:
        for name in ("adam/v/w", "adam/m/w", "adam/iteration"):
            writer.add(name, X**2 if "/v/" in name else X)
    file.seek(0)
    kinds = [record.header.guarantee.kind for record in Stream(file)]
    assert kinds == ["pointwise", "alpha", "alpha"]


@pytest.mark.parametrize(
    ("names", "kinds", "with_names"),
    [
        (("m", "v"), ("alpha", "pointwise"), ("alpha", "pointwise")),
        (("v", "m"), ("alpha", "alpha"), ("pointwise", "alpha")),  # which may have negative values
        (("w.first", "power"), ("alpha", "pointwise"), ("alpha", "pointwise")),
        (("power", "w.first"), ("alpha", "alpha"), ("alpha", "alpha")),
    ],
)
def test_a_writer_knows_what_came_before_and_the_names_it_is_given(names, kinds, with_names, tmp_path):
    first = X * np.exp(RNG.normal(size=(40, 1))).astype("f4")
    second = first**2
    second[0, 0] = -1e-9 if "v" in names else 0
    tensors = {name: second if name in ("v", "power") else first for name in names}
    for beside, found in ((None, kinds), (names, with_names)):
        file = io.BytesIO()
        with warnings.catch_warnings(), gcodec.Writer(file, Policy(alpha=1e-3), beside=beside) as writer:
            warnings.simplefilter("ignore")
            made = tuple(writer.add(name, array).guarantee.kind for name, array in tensors.items())
        assert made == found
    gcodec.save(tmp_path / "x.gcz", tensors, alpha=1e-3)
    with gcodec.open(tmp_path / "x.gcz") as saved:
        assert [saved.header(name).guarantee.kind for name in ("v", "power") if name in saved] == ["pointwise"]


def test_first_moments_keep_their_zeros():
    """Where both moments are 0 and the first does not stay so, nothing holds the update back."""
    x = np.where(RNG.random((40, 1)) < 0.1, np.float32(0), X)
    choice = Rules(Policy(alpha=1e-3), 1).choice("0.exp_avg", ArraySource(x))
    assert choice.fill == (0.0,) and Rules(Policy(alpha=1e-3), 1).choice("w", ArraySource(x)).fill == ()
    assert Rules(Policy(alpha=1e-3, keep_zeros=False), 1).choice("0.exp_avg", ArraySource(x)).fill == ()
    file = io.BytesIO()
    with gcodec.Writer(file, Policy(alpha=1e-3)) as writer:
        writer.add("0.exp_avg", x)
        writer.add("1.exp_avg", X)
    file.seek(0)
    assert not gcodec.load(file)["0.exp_avg"][x == 0].any()
    file.seek(0)
    assert ["kept" in record.header.attributes for record in Stream(file)] == [True, False]


def guarantee(name: str, x: np.ndarray, **policy: object) -> tuple[str, float, str]:
    decision = Rules(Policy(**policy), 1).decide(name, ArraySource(x))
    return decision.choice.guarantee.kind, decision.choice.guarantee.bound, decision.by


@pytest.mark.parametrize(
    ("policy", "moment", "scale", "weight"),
    [
        ({"alpha": 0.1}, ("pointwise", 0.05, "role"), ("exact", 0, "role"), ("alpha", 0.1, "default")),
        ({"omega": 0.1}, ("pointwise", 0.05, "role"), ("exact", 0, "role"), ("omega", 0.1, "default")),
        ({"pointwise": 0.2}, ("pointwise", 0.2, "default"), ("exact", 0, "role"), ("pointwise", 0.2, "default")),
        ({"lossless": True}, ("exact", 0, "default"), ("exact", 0, "default"), ("exact", 0, "default")),
        ({"alpha": 0.1, "small": 2000}, ("exact", 0, "small"), ("exact", 0, "small"), ("exact", 0, "small")),
        ({"alpha": 0.1, "alphas": {"*": 0.2}}, ("alpha", 0.2, "rule"), ("alpha", 0.2, "rule"), ("alpha", 0.2, "rule")),
        (
            {"alpha": 0.1, "methods": {"*": "sd"}},
            ("alpha", 0.1, "rule"),
            ("alpha", 0.1, "rule"),
            ("alpha", 0.1, "rule"),
        ),
        ({"alpha": 0.1, "exact": ["*"]}, ("exact", 0, "rule"), ("exact", 0, "rule"), ("exact", 0, "rule")),
    ],
)
def test_a_role_goes_before_the_default_and_behind_every_rule(policy, moment, scale, weight):
    with (
        pytest.warns(UserWarning, match="a second moment")
        if moment[2:] == ("rule",) and moment[0] != "exact"
        else nullcontext()
    ):
        assert guarantee("0.exp_avg_sq", X, **policy) == moment
    assert guarantee("layer.scales", X, **policy) == scale
    assert guarantee("layer.weight", X, **policy) == weight


def test_one_array_alone_has_no_role():
    assert Rules(Policy(alpha=0.1), 1, must_choose=False).decide("v", ArraySource(np.sort(LINE))).role is None


def test_the_scope_of_a_file_counts_what_moments_may_lose(tmp_path):
    tensors = {"w": X, "m": X / 1000, "v": X**2 / 1e6, "scales": X}
    for unit, kind in ((1, "pointwise"), (1e7, "exact")):
        tensors["v"] = tensors["v"] * np.float32(unit)
        gcodec.save(tmp_path / "a.gcz", tensors, alpha=1e-3, scope="file", small=0)
        with gcodec.open(tmp_path / "a.gcz") as coded:
            assert coded.header("v").guarantee.kind == kind and coded.header("scales").guarantee.kind == "exact"
        assert gcodec.verify(tmp_path / "a.gcz", tensors).ok


def write_keras(path):
    """Weights with their optimizer, as Keras 3 writes them: the moments have numbers for names."""
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = X
        file["optimizer/vars/0"], file["optimizer/vars/1"] = np.int64(7), np.float32(1e-3)
        file["optimizer/vars/2"], file["optimizer/vars/3"] = X * 1e-3, (X * np.exp(3 * RNG.normal(size=(40, 1)))) ** 2


def write_field(path):
    """A field with its axes, as netCDF files have it, and an index as PyTables writes it."""
    field = 280 + 10 * RNG.normal(size=(20, 100)).astype("f4")
    holes = RNG.random(field.shape) < 0.1
    with h5py.File(path, "w") as file:
        for name, missing in (("sentinel", -9999), ("nan", np.nan), ("unset", 9.96921e36)):
            values = np.where(holes, np.float32(missing), field)
            file.create_dataset(
                name, data=values, fillvalue=np.float32(9.96921e36), chunks=(10, 50), compression="gzip"
            )
        file["sentinel"].attrs["_FillValue"] = np.array([-9999], "f4")
        file["nan"].attrs["missing_value"] = np.float32("nan")
        file.create_dataset("whole", data=field, fillvalue=np.float32(9.96921e36)).attrs["_FillValue"] = "none"
        file["axis"] = 360 * (RNG.random(100) + np.arange(100))
        file["axis"].make_scale("axis")
        file["whole"].dims[1].attach_scale(file["axis"])
        file["_i_table/temp/sorted"] = np.sort(RNG.normal(size=(4, 500)), axis=1)


def write_adam(path):
    save_file({"0.exp_avg": X, "0.exp_avg_sq": X**2, "0.step": np.float32(5).reshape(1), "w": X}, path)


FILES = {
    "keras.h5": (write_keras, {"optimizer/vars/3": "pointwise"}, {"optimizer/vars/2", "layers/dense/vars/0"}),
    "field.h5": (
        write_field,
        dict.fromkeys(["axis", "_i_table/temp/sorted"], "exact"),
        {"whole", "sentinel", "nan", "unset"},
    ),
    "adam.safetensors": (write_adam, {"0.exp_avg_sq": "pointwise"}, {"0.exp_avg", "w"}),
}


@pytest.mark.parametrize("name", FILES)
def test_files_with_tensors_of_every_role(tmp_path, name):
    write, protected, free = FILES[name]
    write(tmp_path / name)
    arguments = (tmp_path / name, "--alpha", "1e-3", "--small", "16")
    code, out, err = call_cli("encode", *arguments, "--plan", "--json")
    planned = {one["name"]: one for one in json.loads(out)["plan"]}
    assert (code, err, [path.name for path in tmp_path.iterdir()]) == (0, "", [name])
    code, out, err = call_cli("encode", *arguments, "--json")
    coded = {one["name"]: one for one in json.loads(out)["tensors"]}
    assert (code, err) == (0, "")
    for one, about in coded.items():
        assert about["guarantee"] == planned[one]["guarantee"] and about.get("role") in (None, planned[one]["role"])
        assert 0.5 < about["bytes"] / planned[one]["estimated_bytes"] < 2
    assert {one: coded[one]["guarantee"]["class"] for one in protected} == protected
    assert {one for one, about in coded.items() if about["guarantee"]["class"] == "alpha"} == free
    assert {one for one in coded if "role" in coded[one]} == set(protected)
    assert call_cli("verify", f"{tmp_path / name}.gcz", "--against", tmp_path / name)[0] == 0
    text = call_cli("encode", *arguments, "-f")[1]
    count = f"roles protect {len(protected)} tensor{'s' * (len(protected) != 1)}: "
    assert count in text and text.strip().endswith("such as --alpha 'GLOB=1e-3'")


@pytest.mark.parametrize(
    "options",
    [
        ("--alpha", "1e-3", "--small", "16"),
        ("--alpha", "1e-3", "--small", "16", "--fill", "nan"),  # beside those that the file declares
        ("--lossless", *(part for name in ("sentinel", "nan", "unset") for part in ("--alpha", f"{name}=1e-3"))),
    ],
)
def test_fill_values_come_back_and_the_bound_is_on_the_others(tmp_path, options):
    write_field(tmp_path / "field.h5")
    assert call_cli("encode", tmp_path / "field.h5", *options)[0] == 0
    assert call_cli("decode", tmp_path / "field.h5.gcz", "-o", tmp_path / "back.h5")[0] == 0
    with h5py.File(tmp_path / "field.h5") as before, h5py.File(tmp_path / "back.h5") as after:
        for name, missing in (("sentinel", -9999), ("nan", np.nan), ("unset", np.float32(9.96921e36))):
            x, y = before[name][()], after[name][()]
            filled = np.isnan(x) if np.isnan(missing) else x == missing
            assert filled.any() and x[filled].tobytes() == y[filled].tobytes()
            assert 0 < ((x - y)[~filled] ** 2).sum() <= 1e-3 * (x[~filled].astype(float) ** 2).sum()


def test_the_plan_for_people(tmp_path):
    write_adam(tmp_path / "a.safetensors")
    code, out, err = run_cli("encode", tmp_path / "a.safetensors", "--alpha", 1e-3, "--alpha", "*_sq=1e-3", "--plan")
    rows = {line.split("  ")[0]: line for line in out.splitlines()}
    assert code == 0 and "nothing is written" in out and "roles protect" not in out
    assert "second moment" in rows["0.exp_avg_sq"] and "rule" in rows["0.exp_avg_sq"] and "default" in rows["w"]
    doubt, loss = err.splitlines()
    assert doubt == (
        "gcodec: warning: a rule asks for alpha 0.001 of 0.exp_avg_sq, a second moment: it bounds the norm, and may "
        "ruin the small values; use --pointwise 0.exp_avg_sq=0.05 (pointwises= in Python)"
    )
    assert " % of the values of 0.exp_avg_sq changed by more than half of their size, though alpha 0.001 holds" in loss
    code, _, err = call_cli("encode", tmp_path / "a.safetensors", "--alpha", 1e-3, "--plan", "-o", tmp_path / "b.gcz")
    assert code == 2 and "--plan writes nothing" in err
