"""What all reports share: numbers and names, Markdown, pages, and how pictures look."""
