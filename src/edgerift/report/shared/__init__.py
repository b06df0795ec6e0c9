"""What all reports share: numbers and names, Markdown, pages, and the style of pictures."""
