"""From documentation as projects keep it to clean Markdown, code kept verbatim."""
