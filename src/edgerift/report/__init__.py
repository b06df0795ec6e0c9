"""What a person or a CI reads: the card of a build, as JSON and as text."""

from edgerift.report._card import Card as Card
from edgerift.report._card import FidelityEntry as FidelityEntry
from edgerift.report._card import make_card as make_card
from edgerift.report._card_text import card_text as card_text
