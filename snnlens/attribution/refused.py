"""Methods of captum that mean nothing on spikes, and those that are had here in another way."""

from __future__ import annotations

_RELU = (
    "it rewrites the backward pass of ReLU modules alone; a spiking network has none, so what "
    "comes out is the plain gradient under another name: take saliency"
)
_RESCALE = (
    "it replaces the gradient of ReLU, ELU, Sigmoid, Tanh, Softplus, Softmax and max pools by a "
    "quotient of differences; a spiking layer is none of them, so what comes out is input x "
    "surrogate gradient under another name: take input_x_gradient or ig"
)
_RULES = (
    "it has rules for Linear, Conv2d, BatchNorm2d and pools, and raises a TypeError at a spiking "
    "layer: there is none for a membrane: take tsa"
)
_LINEAR = (
    "it fits one weight per element to a few dozen randomly hidden copies of a sample, which for "
    "thousands of elements is not determined: take feature_ablation"
)
_ORDERS = (
    "it hides the elements one after the other in random orders, a pass for each element of each "
    "order: take feature_ablation or gradient_shap"
)
_BATCH = (
    "it swaps an element between the samples of a batch, so that a sample's map depends on the "
    "others: take feature_ablation"
)
_SPIKE = "it explains the neuron's own output and no class: take neuron_conductance"

REFUSED: dict[str, str] = {
    "deep_lift": _RESCALE,
    "deep_lift_shap": _RESCALE,
    "layer_deep_lift": _RESCALE,
    "layer_deep_lift_shap": _RESCALE,
    "neuron_deep_lift": _RESCALE,
    "neuron_deep_lift_shap": _RESCALE,
    "guided_backprop": _RELU,
    "guided_gradcam": _RELU + " or gradcam",
    "deconvolution": _RELU,
    "neuron_guided_backprop": _RELU,
    "neuron_deconvolution": _RELU,
    "lrp": _RULES,
    "layer_lrp": _RULES,
}

ELSEWHERE: dict[str, str] = {
    "integrated_gradients": "take ig",
    "layer_integrated_gradients": "take layer_ig",
    "layer_grad_cam": "take gradcam",
    "noise_tunnel": "take smoothgrad",
    "layer_gradient_x_activation": "take input_x_gradient with at=LAYER",
    "layer_feature_ablation": "take feature_ablation with at=LAYER",
    "layer_gradient_shap": "take gradient_shap with at=LAYER, whose noise is then on the spikes",
    "layer_activation": "it is the spikes themselves: take spikes(x) of a bridge, or sam",
    "internal_influence": "it is layer_ig without the spikes' difference: take layer_ig",
    "neuron_gradient": _SPIKE,
    "neuron_integrated_gradients": _SPIKE,
    "neuron_feature_ablation": _SPIKE,
    "neuron_gradient_shap": _SPIKE,
    "feature_permutation": _BATCH,
    "layer_feature_permutation": _BATCH,
    "shapley_values": _ORDERS,
    "shapley_value_sampling": _ORDERS,
    "kernel_shap": _LINEAR,
    "lime": _LINEAR,
    "lime_base": _LINEAR,
    "data_loader_attribution": "it sums over a data set; take attribute for each batch",
    "llm_attribution": "it is for language models",
    "llm_gradient_attribution": "it is for language models",
    "remote_llm_attribution": "it is for language models",
}
