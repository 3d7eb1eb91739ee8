"""How fast the step that trains is."""
