"""Training on pictures of one's own: ``train_on``, which ``fastcv train --model`` calls.

``boxes``, ``classes``, ``keypoints``, ``label_maps`` and ``masks`` are what a task brings to it;
the task's entry in ``fastcv.models._tasks`` names its module.
"""

from fastcv.learn.own_data.train_on import Trained, train_on

__all__ = ["Trained", "train_on"]
