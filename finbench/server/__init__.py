"""The web service and its page: texts in, labels out."""
