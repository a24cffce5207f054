"""Blocks that more than one model is built of; what users build with is named here.

``layers`` are for any model, ``backbones`` make feature maps of pictures, ``detection`` and
``points`` hold what detectors share, ``losses`` what is minimised.

Example:
    >>> from fastcv.nn import DeformConv2d, FeaturePyramidNetwork
"""

from fastcv.nn.backbones.dla import DLATrunk
from fastcv.nn.backbones.fpn import FeaturePyramidNetwork
from fastcv.nn.backbones.hourglass import StackedHourglass
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.resnet_fpn import ResNetFPN
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.backbones.xception import XceptionTrunk
from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.matching import Matcher
from fastcv.nn.detection.prior_boxes import PriorBoxes
from fastcv.nn.detection.roi_branch import RoIBranch
from fastcv.nn.layers.aspp import ASPP
from fastcv.nn.layers.conv_norm_activation import Conv2dNormActivation, Conv3dNormActivation
from fastcv.nn.layers.deform_conv import DeformConv2d, DeformConv2dPack
from fastcv.nn.layers.drop_block import DropBlock2d, DropBlock3d
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.nn.layers.locally_connected import LocallyConnected2d
from fastcv.nn.layers.mlp import MLP
from fastcv.nn.layers.permute import Permute
from fastcv.nn.layers.separable_conv import AtrousSeparableConv2d, SeparableConv2d
from fastcv.nn.layers.sine_position import SinePosition
from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation
from fastcv.nn.layers.stochastic_depth import StochasticDepth
from fastcv.nn.layers.transformer import Transformer
from fastcv.nn.layers.transposed_conv import ConvTranspose2d, bilinear_kernel
from fastcv.nn.layers.vector_quantizer import VectorQuantizer
from fastcv.nn.losses.focal_loss import SigmoidFocalLoss, SoftmaxFocalLoss
from fastcv.nn.losses.gram import GramMatrix
from fastcv.nn.losses.segmentation_losses import dice_loss, pixel_cross_entropy, pixel_focal_loss
from fastcv.nn.losses.set_loss import SetLoss
from fastcv.nn.losses.yolo_loss import YOLOLoss
from fastcv.nn.points.corner_pooling import CascadeCornerPooling, CenterPooling, CornerPooling

__all__ = [
    "ASPP",
    "MLP",
    "AnchorGenerator",
    "AtrousSeparableConv2d",
    "BoxCoder",
    "CascadeCornerPooling",
    "CenterPooling",
    "Conv2dNormActivation",
    "Conv3dNormActivation",
    "ConvTranspose2d",
    "CornerPooling",
    "DLATrunk",
    "DeformConv2d",
    "DeformConv2dPack",
    "DropBlock2d",
    "DropBlock3d",
    "FeaturePyramidNetwork",
    "FoundBoxes",
    "FrozenBatchNorm2d",
    "GramMatrix",
    "LocallyConnected2d",
    "Matcher",
    "Permute",
    "PriorBoxes",
    "ResNetFPN",
    "ResNetTrunk",
    "RoIBranch",
    "SeparableConv2d",
    "SetLoss",
    "SigmoidFocalLoss",
    "SinePosition",
    "SoftmaxFocalLoss",
    "SqueezeExcitation",
    "StackedHourglass",
    "StochasticDepth",
    "Transformer",
    "VGGTrunk",
    "VectorQuantizer",
    "XceptionTrunk",
    "YOLOLoss",
    "bilinear_kernel",
    "dice_loss",
    "pixel_cross_entropy",
    "pixel_focal_loss",
]
