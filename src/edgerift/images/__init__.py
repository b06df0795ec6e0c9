"""Image sets: uint8 images with their labels, from an embedded set, files, a folder or the Hugging Face hub.

`load` returns the training and the test images of a source, `split` holds out images of a set, stratified by class and
without separating groups, and `ImagesSettings` describes images inside a recipe.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.images._collages import collages as collages
    from edgerift.images._load import load as load
    from edgerift.images._npz import save as save
    from edgerift.images._set import Augmentation as Augmentation
    from edgerift.images._set import ImageSet as ImageSet
    from edgerift.images._set import Splits as Splits
    from edgerift.images._set import is_grey as is_grey
    from edgerift.images._set import to_float as to_float
    from edgerift.images._settings import ImagesSettings as ImagesSettings
    from edgerift.images._settings import ThreeWay as ThreeWay
    from edgerift.images._settings import class_names as class_names
    from edgerift.images._settings import notes as notes
    from edgerift.images._settings import open_splits as open_splits
    from edgerift.images._settings import resolve as resolve
    from edgerift.images._shape import ImageShape as ImageShape
    from edgerift.images._shape import ImageSize as ImageSize
    from edgerift.images._shape import ModelSize as ModelSize
    from edgerift.images._shape import Size as Size
    from edgerift.images._shape import batch_of as batch_of
    from edgerift.images._shape import extent as extent
    from edgerift.images._shape import in_channels as in_channels
    from edgerift.images._shape import read_size as read_size
    from edgerift.images._shape import shape_of as shape_of
    from edgerift.images._shape import size_text as size_text
    from edgerift.images._split import split as split
else:
    __getattr__, __dir__, __all__ = exported(__name__)
