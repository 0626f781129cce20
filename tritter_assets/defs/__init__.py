"""The Dagster layer: thin. What a stage does is in its room; when and where it runs is here."""
