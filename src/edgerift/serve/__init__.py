"""A build behind an API: the Open Inference Protocol over HTTP, a budget and a ledger for each client."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.serve._application import application as application
    from edgerift.serve._clients import Client as Client
    from edgerift.serve._clients import Clients as Clients
    from edgerift.serve._clients import read_clients as read_clients
    from edgerift.serve._clients import require_tokens as require_tokens
    from edgerift.serve._log import server_log as server_log
    from edgerift.serve._run import serve as serve
    from edgerift.serve._runtime_process import ProcessBuild as ProcessBuild
    from edgerift.serve._service import Service as Service
    from edgerift.serve._settings import ServeSettings as ServeSettings
else:
    __getattr__, __dir__, __all__ = exported(__name__)
