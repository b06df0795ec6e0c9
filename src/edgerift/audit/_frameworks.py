"""What the threats are called in the catalogues that auditors work with."""

from __future__ import annotations

from typing import Final

_ACT: Final = "EU AI Act Article 15(5)"

#: Images that make a build wrong.
EVASION: Final = (
    "MITRE ATLAS AML.T0015",
    "MITRE ATLAS AML.T0043",
    "OWASP ML01:2023",
    "OWASP AISVS 1.0 C11.1",
    _ACT,
)
#: Clones that are trained on a build's answers.
THEFT: Final = ("MITRE ATLAS AML.T0024.002", "OWASP ML05:2023", "OWASP AISVS 1.0 C11.3", _ACT)
#: Builds that are not what they claim to be.
TAMPERING: Final = (
    "MITRE ATLAS AML.T0010.003",
    "MITRE ATLAS AML.T0018",
    "OWASP ML06:2023",
    "OWASP ML10:2023",
    "OWASP AISVS 1.0 C3.2",
    "OWASP AISVS 1.0 C6.1",
    _ACT,
)

#: The entries by threat, as `maps_to` names them.
CATALOGUES: Final = {"evasion": EVASION, "theft": THEFT, "tampering": TAMPERING}
