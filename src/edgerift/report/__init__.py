"""What a person or a CI reads: the card of a build, and the audit of a pair as text, HTML, SARIF and JUnit XML."""

from edgerift.report._audit_text import audit_text as audit_text
from edgerift.report._card import Card as Card
from edgerift.report._card import FidelityEntry as FidelityEntry
from edgerift.report._card import make_card as make_card
from edgerift.report._card_text import card_text as card_text
from edgerift.report._html import audit_html as audit_html
from edgerift.report._junit import audit_junit as audit_junit
from edgerift.report._sarif import audit_sarif as audit_sarif
from edgerift.report._write import write_reports as write_reports
