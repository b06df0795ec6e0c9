"""Settings: frozen, validated configuration with one text for equal values, and documents read without trust."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.settings._canonical import canonical_json as canonical_json
    from edgerift.settings._documents import LARGEST_DOCUMENT as LARGEST_DOCUMENT
    from edgerift.settings._documents import LARGEST_MODEL as LARGEST_MODEL
    from edgerift.settings._documents import Document as Document
    from edgerift.settings._documents import is_file as is_file
    from edgerift.settings._documents import is_folder as is_folder
    from edgerift.settings._documents import no_file as no_file
    from edgerift.settings._documents import parse_json as parse_json
    from edgerift.settings._kind import typed as typed
    from edgerift.settings._numbers import BatchSize as BatchSize
    from edgerift.settings._numbers import ClassNumber as ClassNumber
    from edgerift.settings._numbers import Count as Count
    from edgerift.settings._numbers import LearningRate as LearningRate
    from edgerift.settings._numbers import Parts as Parts
    from edgerift.settings._numbers import Seed as Seed
    from edgerift.settings._numbers import Threads as Threads
    from edgerift.settings._numbers import Times as Times
    from edgerift.settings._numbers import TimesOrNone as TimesOrNone
    from edgerift.settings._numbers import require_seed as require_seed
    from edgerift.settings._registry import Registry as Registry
    from edgerift.settings._settings import Settings as Settings
    from edgerift.settings._settings import is_empty as is_empty
    from edgerift.settings._settings import is_none as is_none
    from edgerift.settings._wording import NotAllowedError as NotAllowedError
    from edgerift.settings._wording import Problem as Problem
    from edgerift.settings._wording import problems as problems
    from edgerift.settings._yaml import LARGEST_YAML as LARGEST_YAML
    from edgerift.settings._yaml import Node as Node
    from edgerift.settings._yaml import Place as Place
    from edgerift.settings._yaml import read_yaml as read_yaml
    from edgerift.settings._yaml import settings_of as settings_of
else:
    __getattr__, __dir__, __all__ = exported(__name__)
