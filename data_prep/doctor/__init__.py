"""What the data doctor looks at and finds."""
