"""What a person reads of a study: text, one HTML page, pictures, and tables in Markdown, CSV and LaTeX."""

from edgerift.report._study._markdown import study_markdown as study_markdown
from edgerift.report._study._plan_text import plan_text as plan_text
from edgerift.report._study._results import results_markdown as results_markdown
from edgerift.report._study._text import study_text as study_text
from edgerift.report._study._write import write_study as write_study
