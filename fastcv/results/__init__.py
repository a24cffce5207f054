"""What models find, as values that can be drawn, saved and counted."""

from fastcv.results._drawable import Drawable
from fastcv.results._result import Result
from fastcv.results.answer import Answer
from fastcv.results.attention_maps import AttentionMaps
from fastcv.results.attribution import Attribution
from fastcv.results.audio import Audio
from fastcv.results.caption import Caption
from fastcv.results.classification import Classification
from fastcv.results.dense_correspondence import DenseCorrespondence
from fastcv.results.detections import Detections
from fastcv.results.faces import Faces
from fastcv.results.gallery import Gallery
from fastcv.results.generated import Generated
from fastcv.results.instances import Instances
from fastcv.results.keypoints import Keypoints
from fastcv.results.panoptic import Panoptic, Segment
from fastcv.results.ranking import Ranking
from fastcv.results.segmentation import Segmentation
from fastcv.results.sound_classes import SoundClasses
from fastcv.results.sound_map import SoundMap
from fastcv.results.speech import Speech
from fastcv.results.units import Units

__all__ = [
    "Answer",
    "AttentionMaps",
    "Attribution",
    "Audio",
    "Caption",
    "Classification",
    "DenseCorrespondence",
    "Detections",
    "Drawable",
    "Faces",
    "Gallery",
    "Generated",
    "Instances",
    "Keypoints",
    "Panoptic",
    "Ranking",
    "Result",
    "Segment",
    "Segmentation",
    "SoundClasses",
    "SoundMap",
    "Speech",
    "Units",
]
