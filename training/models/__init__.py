"""The networks, each written once, in Keras 3 with `keras.ops` alone."""

from flowtell.training.models.classifier import (
    ClassifierConfig,
    FlowClassifier,
    build_classifier,
    load_imagenet_weights,
)
from flowtell.training.models.clip_lstm import ClipHeadConfig, ClipLSTM, build_clip_head
from flowtell.training.models.cost_volume import CostVolume
from flowtell.training.models.detector import FlowDetector, build_detector
from flowtell.training.models.flow_image import FLOW_ENCODINGS, BilinearResize, FlowImage, motion_channels
from flowtell.training.models.pwcnet import (
    FLOW_DIVISOR,
    FLOW_PRESETS,
    FlowNetworkConfig,
    PWCNet,
    build_flow_network,
)
from flowtell.training.models.residual import Residual, quarter_luma, seen_motion
from flowtell.training.models.trained_models import JoinSettings, TrainedModels, weight_variables
from flowtell.training.models.warp import Warp, backward_warp

__all__ = [
    "FLOW_DIVISOR",
    "FLOW_ENCODINGS",
    "FLOW_PRESETS",
    "BilinearResize",
    "ClassifierConfig",
    "ClipHeadConfig",
    "ClipLSTM",
    "CostVolume",
    "FlowClassifier",
    "FlowDetector",
    "FlowImage",
    "FlowNetworkConfig",
    "JoinSettings",
    "PWCNet",
    "Residual",
    "TrainedModels",
    "Warp",
    "backward_warp",
    "build_classifier",
    "build_clip_head",
    "build_detector",
    "build_flow_network",
    "load_imagenet_weights",
    "motion_channels",
    "quarter_luma",
    "seen_motion",
    "weight_variables",
]
