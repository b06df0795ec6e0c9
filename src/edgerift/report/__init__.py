"""What a person or a CI reads: cards of builds, audits, comparisons of hardened victims, thefts, sweeps, studies.

An audit is written as text, HTML, Markdown, SARIF and JUnit XML; a comparison as text, HTML, Markdown and pictures; a
study as text, HTML, pictures and tables in Markdown, CSV and LaTeX.
"""

from edgerift.report._audit_text import audit_text as audit_text
from edgerift.report._card import Card as Card
from edgerift.report._card import FidelityEntry as FidelityEntry
from edgerift.report._card import make_card as make_card
from edgerift.report._card_text import card_text as card_text
from edgerift.report._datafree_text import data_free_text as data_free_text
from edgerift.report._defend_text import defend_text as defend_text
from edgerift.report._hardening_charts import hardening_charts as hardening_charts
from edgerift.report._hardening_html import hardening_html as hardening_html
from edgerift.report._hardening_markdown import hardening_markdown as hardening_markdown
from edgerift.report._hardening_text import hardening_text as hardening_text
from edgerift.report._hardening_write import write_defending as write_defending
from edgerift.report._hardening_write import write_hardening as write_hardening
from edgerift.report._html import audit_html as audit_html
from edgerift.report._junit import audit_junit as audit_junit
from edgerift.report._places import place_in_repository as place_in_repository
from edgerift.report._sarif import audit_sarif as audit_sarif
from edgerift.report._study import plan_text as plan_text
from edgerift.report._study import results_markdown as results_markdown
from edgerift.report._study import study_markdown as study_markdown
from edgerift.report._study import study_text as study_text
from edgerift.report._study import write_study as write_study
from edgerift.report._summary import append_ci_summary as append_ci_summary
from edgerift.report._summary import audit_summary as audit_summary
from edgerift.report._theft_text import theft_text as theft_text
from edgerift.report._write import write_reports as write_reports
