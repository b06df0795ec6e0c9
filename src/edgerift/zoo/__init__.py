"""Architectures: from a name and a number of classes to a classifier that contains its normalisation.

A model of the zoo maps images in `[0, 1]` to logits. Its weights are initialised from a seed that is an argument. It is
saved as safetensors with its architecture in the file, so that loading it runs no code.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.zoo._architecture import Architecture as Architecture
    from edgerift.zoo._architectures import is_small as is_small
    from edgerift.zoo._architectures import names as names
    from edgerift.zoo._channels import channels_of as channels_of
    from edgerift.zoo._channels import taking as taking
    from edgerift.zoo._classifier import Classifier as Classifier
    from edgerift.zoo._classifier import Normalise as Normalise
    from edgerift.zoo._create import check as check
    from edgerift.zoo._create import create as create
    from edgerift.zoo._create import from_architecture as from_architecture
    from edgerift.zoo._create import is_users_own as is_users_own
    from edgerift.zoo._factory import find_function as find_function
    from edgerift.zoo._factory import is_file as is_file
    from edgerift.zoo._factory import source_file as source_file
    from edgerift.zoo._file_networks import FILE_KINDS as FILE_KINDS
    from edgerift.zoo._file_networks import FileKind as FileKind
    from edgerift.zoo._file_networks import FileNetwork as FileNetwork
    from edgerift.zoo._file_networks import file_kind as file_kind
    from edgerift.zoo._file_networks import file_size as file_size
    from edgerift.zoo._files import is_original as is_original
    from edgerift.zoo._files import load as load
    from edgerift.zoo._files import save as save
    from edgerift.zoo._foreign import load_file as load_file
    from edgerift.zoo._foreign import load_pretrained as load_pretrained
    from edgerift.zoo._frozen_copy import frozen_copy as frozen_copy
    from edgerift.zoo._learned import Learned as Learned
    from edgerift.zoo._learned import check_classes as check_classes
    from edgerift.zoo._libraries import library_of as library_of
    from edgerift.zoo._weights import load_weights as load_weights
else:
    __getattr__, __dir__, __all__ = exported(__name__)
