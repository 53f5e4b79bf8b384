"""The names by which tensors of each role are known."""

import numpy as np
import pytest

from gcodec.request.roles import role_of
from gcodec.source import ArraySource

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 40)).astype(np.float32)
LINE = RNG.normal(size=1600).astype(np.float32)

SECOND = """
optimizer.state.0.exp_avg_sq | 0.exp_avg_sq | state.3.max_exp_avg_sq | exp_avg_sq_row | state.1.square_avg
adam/v/dense/kernel:0 + adam/m/dense/kernel:0
v/dense/w + m/dense/w | opt_state/0/v/w + opt_state/0/m/w
optimizer_weights/adam/dense_kernel_velocity_3 | dense_kernel_velocity + dense_kernel_momentum
opt_state/0/nu/dense/kernel | nu | opt.v_row | state.0.sum | optimizer/accumulator
dense/kernel/Adam_1 + dense/kernel/Adam | bn1.running_var | model/batch_normalization/moving_variance:0
batch_stats/BatchNorm_0/var + batch_stats/BatchNorm_0/mean
Adam/v/dense/kernel:0 | opt_state/0/v/dense/kernel | kernel/.OPTIMIZER_SLOT/optimizer/v/.ATTRIBUTES/VARIABLE_VALUE
adam/v/attn/m/kernel | m_and_v/v/w | factored/v_row/w | v_w1 + m_w1 | w1_v + w1_m | bert/kernel/adam_v | h/w_slot_vc
second_moments_w | W_second_moment_buf | linear_0.w_0_moment2_0 | secondMoment | sq_grads | grad_sq_avg | grad_sum_sq
param_states/w/grad_sq_ema | fc_avg_squared_grad_0 | sum_of_squares | state.0.exp_avg_var | state.0.exp_avg_res_row
state.0.exp_hessian_diag | state.2.row_var | 0.state.state2 | dense/kernel/RMSProp | optimizer/dense/rms | x.acc_delta
['opt_state'][0].nu['dense']['kernel'] | optimizer.weight.v | state.4.sum_sq
"""
SQUARED = """
vel | net.v | W_var | v_w1 | w1.v | accumulated_grad | dense_accumulator | rms | velocity | layer.variance | fisher.w
0.state2 | hessian | adam_1 | layer/vr
"""
NONE = """
embed.weight | attn.v.weight | layers.0.self_attn.v_proj.weight | menu.weight | numu/weight | u_velocity | velocity
vision.v.weight + vision.k.weight | adam_layer.weight | normalizer.weight | rescaled.weight | sum | var | countess
attn.v_proj.weight | net.v | W_var | vel | model/vars/3 | model.q.weight | moments.weight | fc_logvar.weight | dvar
transformer.time_embed.weight | lm_head.weight | model/dense/kernel:0 | scale_mlp.weight | indexer.weight
"""
FIRST = """
state.12.exp_avg | state.3.momentum_buffer | opt_state/0/mu/dense/kernel | dense_kernel_momentum | mu
m/dense/w + v/dense/w | dense/kernel/Adam | adam_m | bert/kernel/adam_m | adam/m/attn/v/kernel | Adam/m/dense/kernel:0
opt_state/0/mu/attn/v/kernel | optimizer.state.model.attn.v.weight.exp_avg | m_w1 + v_w1 | w_moment1_0 | state.0.state1
first_moments_w | state.0.exp_avg_slow | opt_state/1/trace/w | state.0.m
"""
EXACT = """
w_scales_per_group | exp_avg_sq.scale | opt.exp_avg_sq.qmap | weight.SCB | layer.scale_factor | state.0.GG.1 | state.0.Q.0
optimizer/preconditioners/0 | state/w/inv_factor_matrices/1
weight_scale_inv | layer.scales | layer.qzeros | layer.absmax | input_zero_point | model.layers.1.mask | attention_mask
csr.indices | csr.indptr | lat | longitude | time_bnds | table/_i_data/temp/ranges | axis1_level0 | block0_items
"""
EXACT_LINES = """
input_layernorm.weight | blocks.0.ln_1.weight | final_norm.weight | bn1.running_mean | dense/gamma:0 | weight_g
optimizer/adam/iteration | adam/beta1_power
step | state.0.step | learning_rate | opt/iterations | exp_counts | group.weight_decay
batch_stats/BatchNorm_0/mean + batch_stats/BatchNorm_0/var
"""


def cases(text: str) -> list[tuple[str, set[str]]]:
    """Each name with all names of its file, which are joined by `+`; `|` stands between files."""
    files = [[name.strip() for name in case.split("+")] for line in text.split("\n") for case in line.split("|")]
    return [(names[0], {name.lower() for name in names}) for names in files if names[0]]


def role(name: str, names: set[str], x: np.ndarray = X):
    return role_of(name, ArraySource(x), names)


@pytest.mark.parametrize(("name", "names"), cases(SECOND))
def test_names_of_second_moments(name, names):
    found = role(name, names)
    assert (found.name, found.kind, found.bound) == ("second moment", "pointwise", 0.05)


@pytest.mark.parametrize(("name", "names"), cases(SQUARED))
def test_names_that_are_those_of_second_moments_where_no_value_is_negative(name, names):
    found = role(name, names, X**2)
    assert (found.name, found.kind, found.guessed) == ("second moment", "pointwise", True)


@pytest.mark.parametrize(("name", "names"), cases(FIRST))
def test_names_of_first_moments(name, names):
    assert (role(name, names).name, role(name, names).kind) == ("first moment", None)


@pytest.mark.parametrize(("name", "names"), cases(EXACT))
def test_names_of_what_stays_exact(name, names):
    assert role(name, names).kind == role(name, names, LINE).kind == "exact"


@pytest.mark.parametrize(("name", "names"), cases(EXACT_LINES))
def test_names_of_vectors_that_stay_exact(name, names):
    assert role(name, names, LINE).kind == "exact"
    assert role(name, names) is None


@pytest.mark.parametrize(("name", "names"), cases(NONE))
def test_names_that_only_look_like_roles(name, names):
    assert role(name, names) is None and role(name, names, LINE) is None
