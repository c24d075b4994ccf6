"""The page that demo.py opens: its app (app), its HTML (markup) and the canvas to draw on (sketchpad)."""
