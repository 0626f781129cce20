"""tritter-assets: from licensed source code to a fine-tuned ternary model, one asset graph."""
